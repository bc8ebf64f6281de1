"""What removing channels saves: multiply-adds, parameters, activations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from torch import nn

from rtmpose.pruning.channel_graph import ChannelGroup, ChannelUse, Side, is_depthwise

Widths = Mapping[tuple[str, Side], int]
"""Channels on each side of each convolution."""


def layer_widths(network: nn.Module) -> dict[tuple[str, Side], int]:
    """Channels on each side of each convolution of a network."""
    widths: dict[tuple[str, Side], int] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            widths[name, "in"] = module.in_channels
            widths[name, "out"] = module.out_channels
    return widths


def saved_multiply_adds(network: nn.Module, group: ChannelGroup, units: int, widths: Widths) -> int:
    """Multiply-adds saved by removing units of a group, counted as
    :func:`rtmpose.networks.count_multiply_adds` does.

    Args:
        network: Its kernels and kinds of layers count, its widths do not.
        group: Whose units are removed.
        units: The number of units.
        widths: Widths before the removal, see :func:`layer_widths`.
    """
    # Dense layers cost the product of both sides, all others one term per channel.
    saved = _saved_in_dense(network, group, units, widths, per_cell=True)
    for use in group.uses:
        module = network.get_submodule(use.layer)
        channels = units * use.positions.shape[1]  # (units, copies)
        if is_depthwise(module):  # one filter per channel
            saved += use.area * _taps(module) * channels
        elif isinstance(module, nn.BatchNorm2d):  # a product and a sum per value
            saved += 2 * use.area * channels
        elif isinstance(module, nn.AdaptiveAvgPool2d | nn.Upsample):
            saved += use.area * channels
    return saved


def saved_parameters(network: nn.Module, group: ChannelGroup, units: int, widths: Widths) -> int:
    """Learned values saved by removing units of a group; arguments as
    :func:`saved_multiply_adds`.
    """
    # Weights of dense convolutions, then what goes with a single channel.
    saved = _saved_in_dense(network, group, units, widths, per_cell=False)
    for use in group.uses:
        module = network.get_submodule(use.layer)
        channels = units * use.positions.shape[1]
        convolution = isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        # A bias is of the writing side.
        if convolution and use.side == "out" and module.bias is not None:
            saved += channels
        if is_depthwise(module):
            saved += _taps(module) * channels
        elif isinstance(module, nn.BatchNorm2d):  # gain and offset
            saved += 2 * channels
    return saved


def saved_memory(network: nn.Module, group: ChannelGroup, units: int) -> int:
    """Values of activations per image saved by removing units of a group: those that convolutions
    write.
    """
    return sum(
        use.area * units * use.positions.shape[1]
        for use in group.uses
        if use.side == "out"
        and isinstance(network.get_submodule(use.layer), nn.Conv2d | nn.ConvTranspose2d)
    )


def _saved_in_dense(
    network: nn.Module, group: ChannelGroup, units: int, widths: Widths, *, per_cell: bool
) -> int:
    """Weights of the dense convolutions that are saved, times the cells they are applied to.

    A convolution may lose channels on both sides; its weights are the product of the two.
    """
    # Both sides of a layer are counted before their product is taken.
    lost: dict[tuple[str, int], Counter[Side]] = {}
    for use in group.uses:
        if _is_dense(network, use):
            area = use.area if per_cell else 1
            counts = lost.setdefault((use.layer, area), Counter())
            counts[use.side] += units * use.positions.shape[1]

    # Weights before, less weights after, for each layer.
    saved = 0
    for (layer, area), counts in lost.items():
        inputs = widths[layer, "in"]
        outputs = widths[layer, "out"]
        left = (inputs - counts["in"]) * (outputs - counts["out"])
        saved += area * _taps(network.get_submodule(layer)) * (inputs * outputs - left)
    return saved


def _is_dense(network: nn.Module, use: ChannelUse) -> bool:
    module = network.get_submodule(use.layer)
    return isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not is_depthwise(module)


def _taps(module: nn.Module) -> int:
    assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    return math.prod(module.kernel_size)
