"""Removing channels from a network, its optimizer included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rtmpose.errors import ModelError
from rtmpose.pruning.channel_graph import ChannelGroup, Side, has_channel_weights, is_depthwise


def remove_channels(
    network: nn.Module,
    cuts: Iterable[tuple[ChannelGroup, Sequence[int]]],
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Remove units from a network, in place: it stays a plain network with fewer channels.

    Parameters keep their identity, so an optimizer goes on with the rest of its state.

    Args:
        network: That the groups were made from, with the widths it had then.
        cuts: Groups, each with the indices of the units to remove.
        optimizer: Whose state is cut along.

    Raises:
        ModelError: a layer would be left without channels.
    """
    # A layer may lose channels of several groups, which are removed in one go: indices stay valid.
    removed: dict[tuple[str, Side], list[int]] = {}
    for group, units in cuts:
        for use in group.uses:
            positions = use.positions[np.asarray(units, np.int64)].ravel().tolist()
            removed.setdefault((use.layer, use.side), []).extend(positions)

    for (layer, side), positions in removed.items():
        module = network.get_submodule(layer)
        if has_channel_weights(module):
            _remove_from_layer(layer, module, side, positions, optimizer)


def _remove_from_layer(
    layer: str,
    module: nn.Module,
    side: Side,
    positions: list[int],
    optimizer: torch.optim.Optimizer | None,
) -> None:
    # Which slices of the weight stay.
    weight = module.get_parameter("weight")
    # Weights are (out, in, ...), those of a transposed convolution (in, out, ...).
    transposed = isinstance(module, nn.ConvTranspose2d)
    axis = int((side == "in") != transposed)
    kept = np.setdiff1d(np.arange(weight.shape[axis]), np.asarray(positions, np.int64))
    keep = torch.from_numpy(kept).to(weight.device)
    if not len(keep):
        raise ModelError(f"{layer} would be left without {side}put channels")

    _select(module, "weight", axis, keep, optimizer)
    # A centered convolution has one mean per input channel: rtmpose.training.batch_norm.center.
    reads = side == "in" or is_depthwise(module)
    if reads and getattr(module, "center", None) is not None:
        _select(module, "center", 0, keep, optimizer)

    # The output side has vectors too: bias, or gain, offset and statistics of a norm.
    if side == "out":
        for name in ("bias", "running_mean", "running_var"):
            if getattr(module, name, None) is not None:
                _select(module, name, 0, keep, optimizer)
    _set_width(module, side, len(keep))


def _select(
    module: nn.Module, name: str, axis: int, keep: Tensor, optimizer: torch.optim.Optimizer | None
) -> None:
    """Keep some slices of a parameter or buffer, and of what the optimizer knows of it."""
    value: Tensor = getattr(module, name)
    before = value.shape

    # Moments of the optimizer have the parameter's shape; its step counter has not.
    value.grad = None
    if optimizer is not None and value in optimizer.state:
        state = optimizer.state[value]
        for key, entry in state.items():
            if isinstance(entry, Tensor) and entry.shape == before:
                state[key] = entry.index_select(axis, keep)

    # Kernels that work on channels-last weights would be slow on the default layout.
    channels_last = value.ndim == 4 and value.is_contiguous(memory_format=torch.channels_last)
    selected = value.data.index_select(axis, keep)
    if channels_last:
        selected = selected.contiguous(memory_format=torch.channels_last)
    value.data = selected


def _set_width(module: nn.Module, side: Side, width: int) -> None:
    """Update the numbers of channels that a layer keeps as attributes."""
    if isinstance(module, nn.BatchNorm2d):
        module.num_features = width
        return
    assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)

    # A depthwise convolution has one filter per channel: both sides shrink together.
    depthwise = is_depthwise(module)
    if depthwise:
        module.groups = width
    if depthwise or side == "in":
        module.in_channels = width
    if depthwise or side == "out":
        module.out_channels = width
