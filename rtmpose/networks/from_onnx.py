"""An official ONNX export read back into its network, so that training and pruning can start from
genuine weights.

Exports have the batch norms folded into the convolutions and have lost most names, but keep the
order of execution. The network is run once to learn in which order it uses its layers; the weights
of the file are handed out in the same order. A folded pair becomes the convolution and a batch norm
that only adds the bias. The statistics of the original norms are gone: such weights serve inference
and fine-tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtmpose.errors import MissingDependencyError, ModelError
from rtmpose.networks.widths import fit_widths

Arrays = Mapping[str, NDArray[Any]]


def read_onnx_weights(
    network: nn.Module, path: Path, input_wh: tuple[int, int], *, pruned: bool = False
) -> None:
    """Fill a network from an ONNX export of it.

    Args:
        network: Of the file's architecture; changed in place, left in evaluation mode.
        path: The ``.onnx`` file; float32 weights, norms folded or not needed.
        input_wh: Width and height of an image the network accepts.
        pruned: Give the network's layers the widths that the file has.

    Raises:
        ModelError: the file is damaged or is an export of another network.
        MissingDependencyError: the onnx package is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise MissingDependencyError(
            "reading ONNX weights needs onnx: pip install 'rtmpose[export]'"
        ) from error
    try:
        graph = onnx.load(str(path)).graph
        constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        for node in graph.node:  # weights that are stored in half precision
            if node.op_type == "Cast" and node.input[0] in constants:
                constants[node.output[0]] = constants.pop(node.input[0]).astype(np.float32)
    except Exception as error:
        raise ModelError(f"{path} could not be read as an ONNX file: {error}") from error
    convolutions = [
        n for n in graph.node if n.op_type in ("Conv", "ConvTranspose") and n.input[1] in constants
    ]
    products = [
        n for n in graph.node if n.op_type in ("MatMul", "Gemm") and n.input[1] in constants
    ]
    order = _execution_order(network, input_wh)
    theirs: dict[type[nn.Module], list[Any]] = {
        nn.Conv2d: list(convolutions),
        nn.Linear: list(products),
    }
    for kind, nodes in theirs.items():
        ours = [name for name, module in order if isinstance(module, kind)]
        if len(ours) != len(nodes):
            what = "convolutions" if kind is nn.Conv2d else "matrix products"
            raise ModelError(
                f"{path} is an export of another network: it has {len(nodes)} {what}, not"
                f" {len(ours)}"
            )

    if pruned:
        fit_widths(network, _shapes(order, theirs, constants))
    first_use: dict[int, NDArray[Any]] = {}
    with torch.no_grad():
        for name, module in order:
            if isinstance(module, nn.Conv2d):
                node = theirs[nn.Conv2d].pop(0)
                weight = constants[node.input[1]]
                bias = (
                    constants[node.input[2]]
                    if len(node.input) > 2
                    else np.zeros(len(weight), np.float32)
                )
                _check(path, name, module.weight, weight)
                if module.bias is not None:
                    module.weight.copy_(torch.from_numpy(weight.copy()))
                    module.bias.copy_(torch.from_numpy(bias.copy()))
                else:
                    norm = network.get_submodule(f"{name.rpartition('.')[0]}.bn")
                    _unfold(module, norm, weight, bias, first_use)
            elif isinstance(module, nn.Linear):
                node = theirs[nn.Linear].pop(0)
                weight = _product(node, constants)
                _check(path, name, module.weight, weight)
                module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
                if module.bias is not None:
                    module.bias.copy_(torch.from_numpy(constants[node.input[2]].copy()))
        _named_parameters(network, constants, path)

    network.eval()


def _product(node: Any, constants: Arrays) -> NDArray[Any]:
    """The weight ``(out, in)`` of a matrix product."""
    transposed = node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)
    return constants[node.input[1]] if transposed else constants[node.input[1]].T


def _shapes(
    order: list[tuple[str, nn.Module]],
    nodes: Mapping[type[nn.Module], list[Any]],
    constants: Arrays,
) -> dict[str, Tensor]:
    """Empty tensors of the file's sizes, under the keys that a checkpoint has."""
    left = {kind: iter(found) for kind, found in nodes.items()}
    state = {}
    for name, module in order:
        if isinstance(module, nn.Linear):
            state[f"{name}.weight"] = torch.empty(_product(next(left[nn.Linear]), constants).shape)
        if not isinstance(module, nn.Conv2d):
            continue
        weight = constants[next(left[nn.Conv2d]).input[1]]
        state[f"{name}.weight"] = torch.empty(weight.shape)
        if module.bias is not None:
            state[f"{name}.bias"] = torch.empty(len(weight))
        else:
            norm = f"{name.rpartition('.')[0]}.bn"
            state |= {
                f"{norm}.{k}": torch.empty(len(weight))
                for k in ("weight", "bias", "running_mean", "running_var")
            }
    return state


def _execution_order(network: nn.Module, input_wh: tuple[int, int]) -> list[tuple[str, nn.Module]]:
    """Names and modules of the weighted layers, as often and in the order they run."""
    order: list[tuple[str, nn.Module]] = []
    handles = []
    seen_names: dict[int, list[str]] = {}
    for name, module in network.named_modules(remove_duplicate=False):
        if isinstance(module, nn.Conv2d | nn.Linear):
            seen_names.setdefault(id(module), []).append(name)

    def note(module: nn.Module, *_: Any) -> None:
        names = seen_names[id(module)]
        used = sum(1 for _, m in order if m is module)
        order.append((names[min(used, len(names) - 1)], module))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            handles.append(module.register_forward_hook(note))
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, input_wh[1], input_wh[0]))
    finally:
        for handle in handles:
            handle.remove()
    return order


def _unfold(
    conv: nn.Conv2d,
    norm: nn.Module,
    weight: NDArray[Any],
    bias: NDArray[Any],
    first_use: dict[int, NDArray[Any]],
) -> None:
    """A folded convolution as a convolution and a norm with mean 0 and variance 1.

    A convolution that several levels share was folded with each level's norm: one factor per output
    channel apart.
    """
    assert isinstance(norm, nn.BatchNorm2d)
    if id(conv) in first_use:
        base = first_use[id(conv)].reshape(len(weight), -1).astype(np.float64)
        gain = (weight.reshape(len(weight), -1) * base).sum(axis=1) / np.maximum(
            (base**2).sum(axis=1), 1e-30
        )
    else:
        first_use[id(conv)] = weight
        conv.weight.copy_(torch.from_numpy(weight.copy()))
        gain = np.ones(len(weight))
    norm.weight.copy_(torch.from_numpy(gain.astype(np.float32)))
    norm.bias.copy_(torch.from_numpy(bias.copy()))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)


def _named_parameters(network: nn.Module, constants: Arrays, path: Path) -> None:
    """Gains and offsets outside convolutions and products: by name where the export kept it, else
    by shape.
    """
    layers = {
        name
        for name, m in network.named_modules()
        if isinstance(m, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
    }
    left = {n: p for n, p in network.named_parameters() if n.rpartition(".")[0] not in layers}
    by_suffix = {
        n: c for n in left for key, c in constants.items() if key == n or key.endswith(f".{n}")
    }
    for name, parameter in left.items():
        value = by_suffix.get(name)
        if value is None:
            # Exporters may add leading axes of size one and drop the name.
            fitting = [
                c
                for key, c in constants.items()
                if not any(key == n or key.endswith(f".{n}") for n in left)
                and c.dtype == np.float32
                and c.ndim >= parameter.ndim
                and tuple(d for d in c.shape if d != 1)
                == tuple(d for d in parameter.shape if d != 1)
                and c.size == parameter.numel()
                and c.size > 1
            ]
            if len(fitting) != 1:
                raise ModelError(f"{path}: cannot tell which of its constants is {name}")
            value = fitting[0]
        parameter.copy_(torch.from_numpy(value.copy()).reshape(parameter.shape))


def _check(path: Path, name: str, ours: Tensor, theirs: NDArray[Any]) -> None:
    if tuple(ours.shape) != theirs.shape:
        raise ModelError(
            f"{path} is an export of another network: {name} is {tuple(ours.shape)} here,"
            f" {theirs.shape} there"
        )
