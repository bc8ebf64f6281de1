"""Pruned networks: the same layers with fewer channels, as a checkpoint says."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rtmpose.errors import ModelError

# LAYER.mutable_attrs.in_channels.mask, LAYER.out_features_mask, ... and LAYER.in_mask.
_MASK = re.compile(
    r"(?P<layer>.*?)\.(?:mutable_attrs\.)?(?P<side>in|out)_(?:channels|features)?[\w.]*mask$|"
    r"(?P<layer2>.*?)\.(?P<side2>in|out)_mask$"
)


def apply_masks(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint with channel masks as one without the masked channels.

    Masks are 0/1 vectors under ``LAYER.(...)in_channels(...)mask`` and
    ``LAYER.(...)out_channels(...)mask``, or ``LAYER.in_mask`` and ``LAYER.out_mask``. Without any
    the tensors are returned as they are.

    Raises:
        ModelError: a mask does not fit its layer.
    """
    # Masks apart from the tensors, by layer and side.
    masks: dict[tuple[str, str], Tensor] = {}
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        match = _MASK.match(key)
        if match is None:
            out[key] = value
        else:
            layer = match["layer"] or match["layer2"]
            side = match["side"] or match["side2"]
            masks[layer, side] = value.flatten().bool()

    # Each mask cuts the tensors of its layer on its side.
    for (layer, side), mask in masks.items():
        for name in ("weight", "bias", "running_mean", "running_var"):
            key = f"{layer}.{name}"
            if key not in out or out[key].ndim == 0:
                continue
            value = out[key]
            # Vectors follow the output side, and so does a depthwise convolution.
            if side == "in" and (value.ndim < 2 or value.shape[1] == 1):
                continue
            axis = 1 if side == "in" else 0
            if value.shape[axis] != len(mask):
                raise ModelError(
                    f"the mask of {layer} has {len(mask)} channels, its {name} {value.shape[axis]}"
                )
            out[key] = value.index_select(axis, mask.nonzero().flatten())
    return out


def fit_widths(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Replace every layer by one of the size that the checkpoint has; the graph stays.

    Args:
        network: Changed in place; its weights are undefined afterwards.
        state: From :func:`rtmpose.networks.checkpoint.read_checkpoint`; layers without a key in it
            are left alone.
    """
    with torch.no_grad():
        for name, module in network.named_modules():
            # First what the layer knows of itself, then its tensors.
            weight = state.get(f"{name}.weight")
            if weight is not None:
                _set_sizes(module, weight)
            prefix = f"{name}." if name else ""

            # Empty tensors of the file's shapes: the weights are loaded afterwards.
            for key, parameter in list(module.named_parameters(recurse=False)):
                value = state.get(prefix + key)
                if value is not None and value.shape != parameter.shape:
                    empty = torch.zeros_like(value, dtype=parameter.dtype)
                    setattr(module, key, nn.Parameter(empty))
            for key, buffer in list(module.named_buffers(recurse=False)):
                value = state.get(prefix + key)
                if value is not None and value.shape != buffer.shape:
                    setattr(module, key, torch.zeros_like(value, dtype=buffer.dtype))


def _set_sizes(module: nn.Module, weight: Tensor) -> None:
    """The numbers of channels, and the kernel size, that a layer keeps as attributes."""
    if isinstance(module, nn.Conv2d):
        # In a depthwise convolution every channel is a group.
        depthwise = module.groups > 1
        module.out_channels = weight.shape[0]
        module.in_channels = weight.shape[0] if depthwise else weight.shape[1]
        module.groups = weight.shape[0] if depthwise else 1
        if tuple(weight.shape[2:]) != module.kernel_size:
            module.kernel_size = (weight.shape[2], weight.shape[3])
            module.padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, nn.BatchNorm2d):
        module.num_features = len(weight)
