"""Pruned networks: the same layers with fewer channels, as a checkpoint says."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rtmpose.errors import ModelError

_MASK = re.compile(
    r"(?P<layer>.*?)\.(?:mutable_attrs\.)?(?P<side>in|out)_(?:channels|features)?[\w.]*mask$|"
    r"(?P<layer2>.*?)\.(?P<side2>in|out)_mask$"
)


def apply_masks(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint with channel masks as one with the masked channels cut out.

    Masks are 0/1 vectors under ``LAYER.(...)in_channels(...)mask`` and
    ``LAYER.(...)out_channels(...)mask``, or ``LAYER.in_mask`` and ``LAYER.out_mask``. Without any
    the tensors are returned as they are.

    Raises:
        ModelError: a mask does not fit its layer.
    """
    masks: dict[tuple[str, str], Tensor] = {}
    out = {}
    for key, value in state.items():
        match = _MASK.match(key)
        if match is None:
            out[key] = value
        else:
            layer, side = (
                (match["layer"], match["side"])
                if match["layer"]
                else (match["layer2"], match["side2"])
            )
            masks[layer, side] = value.flatten().bool()
    for (layer, side), mask in masks.items():
        for name in ("weight", "bias", "running_mean", "running_var"):
            key = f"{layer}.{name}"
            value = out.get(key)
            if value is None or value.ndim == 0:
                continue
            if side == "in" and (value.ndim < 2 or value.shape[1] == 1):
                continue  # vectors follow the output side, and so does a depthwise convolution
            axis = 1 if side == "in" else 0
            if value.shape[axis] != len(mask):
                raise ModelError(
                    f"the mask of {layer} has {len(mask)} channels, its {name} {value.shape[axis]}"
                )
            out[key] = value.index_select(axis, mask.nonzero().flatten())
    return out


def fit_widths(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Replace every layer by one of the size that the checkpoint has; the wiring stays.

    Args:
        network: Changed in place; its weights are undefined afterwards.
        state: From :func:`rtmpose.networks.checkpoint.read_checkpoint`; keys it lacks leave their
            layer alone.
    """
    with torch.no_grad():
        for name, module in network.named_modules():
            weight = state.get(f"{name}.weight")
            if isinstance(module, nn.Conv2d) and weight is not None:
                depthwise = module.groups > 1
                module.out_channels = weight.shape[0]
                module.in_channels = weight.shape[0] if depthwise else weight.shape[1]
                module.groups = weight.shape[0] if depthwise else 1
                if tuple(weight.shape[2:]) != module.kernel_size:
                    module.kernel_size = (weight.shape[2], weight.shape[3])
                    module.padding = (weight.shape[2] // 2, weight.shape[3] // 2)
            elif isinstance(module, nn.Linear) and weight is not None:
                module.out_features, module.in_features = weight.shape
            elif isinstance(module, nn.BatchNorm2d) and weight is not None:
                module.num_features = len(weight)
            for key, parameter in list(module.named_parameters(recurse=False)):
                value = state.get(f"{name}.{key}" if name else key)
                if value is not None and value.shape != parameter.shape:
                    setattr(
                        module, key, nn.Parameter(torch.zeros_like(value, dtype=parameter.dtype))
                    )
            for key, buffer in list(module.named_buffers(recurse=False)):
                value = state.get(f"{name}.{key}" if name else key)
                if value is not None and value.shape != buffer.shape:
                    setattr(module, key, torch.zeros_like(value, dtype=buffer.dtype))
