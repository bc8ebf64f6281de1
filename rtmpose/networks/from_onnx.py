"""Reading an ONNX export back into its network, so that training and pruning can start from
published weights.

Exports have the batch norms folded into the convolutions. Those of this package name each weight as
the network does, and are read by name. Most others have lost the names, but keep the order of
execution: the network is run once to learn in which order it uses its layers, and the weights of
the file are handed out in the same order. A folded pair becomes the convolution and a batch norm
that only adds the bias. The statistics of the original norms are gone: such weights serve inference
and fine-tuning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtmpose.errors import MissingDependencyError, ModelError
from rtmpose.networks.widths import fit_widths

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

Array = NDArray[np.float32]  # of what is read; a file has constants of other types too
Arrays = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class _FileLayer:
    """A convolution or matrix product of the file.

    Attributes:
        name: Of the constant that holds its weight.
        weight: ``(out, in, ...)`` float32.
        bias: ``(out,)`` float32; None where there is none.
    """

    name: str
    weight: Array
    bias: Array | None


Pairs = list[tuple[str, nn.Module, _FileLayer]]
"""Name of a layer, the layer, and its counterpart in the file, in the order of execution."""


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
    # Layers of the network next to those of the file, by name or by order.
    graph, constants = _read_graph(path)
    pairs = _match(_execution_order(network, input_wh), graph, constants, path)
    if pruned:
        fit_widths(network, _shapes(pairs))

    first_use: dict[nn.Module, Array] = {}
    with torch.no_grad():
        for name, module, layer in pairs:
            assert isinstance(module, nn.Conv2d | nn.Linear)  # the weighted layers of this family
            # A convolution without a bias has a norm behind it, which takes the file's bias.
            _check_shape(path, name, module.weight, layer.weight)
            if isinstance(module, nn.Conv2d) and module.bias is None:
                norm = network.get_submodule(f"{name.rpartition('.')[0]}.bn")
                _unfold(module, norm, layer, first_use)
                continue
            module.weight.copy_(torch.from_numpy(np.array(layer.weight, order="C")))
            if module.bias is not None:
                module.bias.copy_(torch.from_numpy(_bias(layer).copy()))
        _copy_other_parameters(network, constants, path)
    network.eval()


def _read_graph(path: Path) -> tuple[GraphProto, Arrays]:
    """The file's graph and its constants by name, all in full precision."""
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
        # Weights stored in half precision are cast when the file is opened.
        for node in graph.node:
            if node.op_type == "Cast" and node.input[0] in constants:
                constants[node.output[0]] = constants.pop(node.input[0]).astype(np.float32)
    except Exception as error:
        raise ModelError(f"{path} could not be read as an ONNX file: {error}") from error
    return graph, constants


def _match(
    order: list[tuple[str, nn.Module]], graph: GraphProto, constants: Arrays, path: Path
) -> Pairs:
    """Each layer of the network with its counterpart in the file."""
    # Kinds of layers, the operators that they are exported as, and a name for the error.
    kinds: tuple[tuple[type[nn.Module], tuple[str, ...], str], ...] = (
        (nn.Conv2d, ("Conv", "ConvTranspose"), "convolutions"),
        (nn.Linear, ("MatMul", "Gemm"), "matrix products"),
    )
    # Convolutions and products are counted apart, as exporters may move one past the other.
    found: dict[int, _FileLayer] = {}
    for kind, operators, title in kinds:
        positions = [i for i, (_, module) in enumerate(order) if isinstance(module, kind)]
        layers = _file_layers(graph, operators, constants)
        if len(positions) != len(layers):
            raise ModelError(
                f"{path} is an export of another network: it has {len(layers)} {title}, not"
                f" {len(positions)}"
            )
        layers = _by_name([order[i][0] for i in positions], layers) or layers
        found |= zip(positions, layers, strict=True)
    return [(name, module, found[i]) for i, (name, module) in enumerate(order)]


def _file_layers(
    graph: GraphProto, operators: Iterable[str], constants: Arrays
) -> list[_FileLayer]:
    """The file's nodes of these operators with a constant weight, in the order of execution."""
    return [
        _FileLayer(
            node.input[1],
            _weight(node, constants),
            constants[node.input[2]] if len(node.input) > 2 else None,
        )
        for node in graph.node
        if node.op_type in operators and node.input[1] in constants
    ]


def _weight(node: NodeProto, constants: Arrays) -> Array:
    """The weight of a node, ``(out, in)`` for matrix products."""
    weight = constants[node.input[1]]
    if node.op_type == "MatMul":
        return weight.T  # MatMul has (in, out)
    if node.op_type == "Gemm":
        # Gemm says whether its weight is (out, in).
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return weight if transposed else weight.T
    return weight


def _by_name(names: list[str], layers: list[_FileLayer]) -> list[_FileLayer] | None:
    """The layers in the order of the names; None where the file does not have those names."""
    # All or nothing: one name that is missing or ambiguous leaves the order to decide.
    table = {layer.name: layer for layer in layers}
    sorted_layers = []
    for name in names:
        # An export wraps the network once or twice: "network.network.backbone...".
        key = f"{name}.weight"
        hits = [table[k] for k in table if k == key or k.endswith(f"network.{key}")]
        if len(hits) != 1:
            return None
        sorted_layers += hits
    return sorted_layers


def _shapes(pairs: Pairs) -> dict[str, Tensor]:
    """Empty tensors of the file's sizes, under the keys that a checkpoint has."""
    state = {}
    for name, module, layer in pairs:
        width = len(layer.weight)  # output channels
        state[f"{name}.weight"] = torch.empty(layer.weight.shape)
        if not isinstance(module, nn.Conv2d):
            continue
        if module.bias is not None:
            state[f"{name}.bias"] = torch.empty(width)
            continue

        # The norm behind has four vectors of the same width.
        norm = f"{name.rpartition('.')[0]}.bn"
        for key in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{key}"] = torch.empty(width)
    return state


def _execution_order(network: nn.Module, input_wh: tuple[int, int]) -> list[tuple[str, nn.Module]]:
    """Names and modules of the weighted layers, as often and in the order they run."""
    # A layer that several levels share has a name per level, and runs once per name.
    names: dict[nn.Module, list[str]] = {}
    for name, module in network.named_modules(remove_duplicate=False):
        if isinstance(module, nn.Conv2d | nn.Linear):
            names.setdefault(module, []).append(name)

    # Hooks see the layers run.
    order: list[tuple[str, nn.Module]] = []

    def record(module: nn.Module, _inputs: object, _output: object) -> None:
        calls = sum(1 for _, earlier in order if earlier is module)
        order.append((names[module][min(calls, len(names[module]) - 1)], module))

    handles = [module.register_forward_hook(record) for module in names]
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, input_wh[1], input_wh[0]))
    finally:
        for handle in handles:
            handle.remove()
    return order


def _unfold(
    conv: nn.Conv2d, norm: nn.Module, layer: _FileLayer, first_use: dict[nn.Module, Array]
) -> None:
    """A folded convolution as a convolution and a norm with mean 0 and variance 1.

    A convolution that several levels share was folded with each level's norm: the weights differ by
    one factor per output channel.
    """
    assert isinstance(norm, nn.BatchNorm2d)
    weight = layer.weight
    width = len(weight)
    if conv in first_use:
        # The factor of this level over the first one, by least squares.
        base = first_use[conv].reshape(width, -1).astype(np.float64)
        products = (weight.reshape(width, -1) * base).sum(axis=1)
        gain = products / np.maximum((base**2).sum(axis=1), 1e-30)
    else:
        first_use[conv] = weight
        conv.weight.copy_(torch.from_numpy(weight.copy()))
        gain = np.ones(width)

    norm.weight.copy_(torch.from_numpy(gain.astype(np.float32)))
    norm.bias.copy_(torch.from_numpy(_bias(layer).copy()))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)


def _bias(layer: _FileLayer) -> Array:
    return np.zeros(len(layer.weight), np.float32) if layer.bias is None else layer.bias


def _copy_other_parameters(network: nn.Module, constants: Arrays, path: Path) -> None:
    """Gains and offsets outside convolutions and products: by name where the export kept it, else
    by shape.
    """
    layers = {
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
    }
    # What is left: gains and factors of scale norms and of the attention unit.
    others = {
        name: parameter
        for name, parameter in network.named_parameters()
        if name.rpartition(".")[0] not in layers
    }

    # By name where the export kept it.
    named = {
        name: constant
        for name in others
        for key, constant in constants.items()
        if _has_name(key, name)
    }
    # Constants that have a parameter's name cannot stand for another.
    unnamed = [c for key, c in constants.items() if not any(_has_name(key, n) for n in others)]

    # By shape otherwise, where only one constant comes into question.
    for name, parameter in others.items():
        value = named.get(name)
        if value is None:
            candidates = [constant for constant in unnamed if _fits(constant, parameter)]
            if len(candidates) != 1:
                raise ModelError(f"{path}: cannot tell which of its constants is {name}")
            value = candidates[0]
        parameter.copy_(torch.from_numpy(value.copy()).reshape(parameter.shape))


def _has_name(key: str, name: str) -> bool:
    return key == name or key.endswith(f".{name}")


def _fits(constant: Array, parameter: Tensor) -> bool:
    """Whether a constant has the shape of a parameter. Exporters may add leading axes of size one;
    scalars all look alike.
    """
    return (
        constant.dtype == np.float32
        and constant.ndim >= parameter.ndim
        # Leading axes of size one do not matter.
        and [d for d in constant.shape if d != 1] == [d for d in parameter.shape if d != 1]
        and constant.size == parameter.numel()
        and constant.size > 1
    )


def _check_shape(path: Path, name: str, ours: Tensor, theirs: Array) -> None:
    if tuple(ours.shape) != theirs.shape:
        raise ModelError(
            f"{path} is an export of another network: {name} is {tuple(ours.shape)} here,"
            f" {theirs.shape} there"
        )
