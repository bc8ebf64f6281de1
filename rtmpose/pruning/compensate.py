"""Compensating for removed channels: the remaining weights are changed so that the outputs of a
layer stay as close as they can.

The input channels of a layer are correlated. Those that are removed are predicted from those that
remain, by linear regression over the positions of real maps, and the prediction is folded into the
layer's weights, tap by tap: in closed form, without training (the reconstruction of He et al.,
Channel Pruning, ICCV 2017, with the channels given).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rtmpose.pruning.channel_graph import ChannelGroup
from rtmpose.training.activation_hooks import InputWatch
from rtmpose.training.batch_norm import norms_behind
from rtmpose.training.least_squares import Moments, regress


class InputMoments(InputWatch):
    """Means and covariances of the inputs of layers; see
    :class:`rtmpose.training.activation_hooks.InputWatch`.

    Attributes:
        found: Moments by layer name.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__(network, layers)
        self.found: dict[str, Moments] = {}

    def see(self, layer: str, x: Tensor) -> None:
        """Add a layer's input; see :meth:`rtmpose.training.least_squares.Moments.add`."""
        self.found.setdefault(layer, Moments.none()).add(x.detach())


@torch.no_grad()
def compensate(
    network: nn.Module,
    groups: Sequence[ChannelGroup],
    selected: Sequence[Sequence[int]],
    moments: Mapping[str, Moments],
) -> int:
    """Change the remaining weights so that the layers' outputs change as little as possible when
    units are removed.

    Args:
        network: Changed in place; the units themselves are still there afterwards.
        groups: Its groups.
        selected: Units per group that will be removed.
        moments: Of the layers' inputs, from :class:`InputMoments`; layers without are left alone.

    Returns:
        The number of layers that were changed.
    """
    # Channels that are predicted are spread over those that stay, layer by layer.
    norms = norms_behind(network)  # levels may share a convolution, each with its own norm
    changed = 0
    for layer, positions in _removed_inputs(network, groups, selected).items():
        conv = network.get_submodule(layer)
        if layer not in moments or not isinstance(conv, nn.Conv2d):
            continue

        # Indices of the input channels that go and of those that stay.
        removed = torch.tensor(sorted(positions))
        kept = torch.from_numpy(np.setdiff1d(np.arange(conv.in_channels), removed.numpy()))
        if not len(kept):
            continue

        # The prediction is the same at every tap, so each tap of the weights takes its share.
        factors, offset = regress(moments[layer], kept, removed)
        lost = conv.weight[:, removed].double()
        conv.weight[:, kept] += torch.einsum("orhw,kr->okhw", lost, factors).to(conv.weight.dtype)

        # The constant part goes into the bias, or into the norm behind where there is no bias.
        shift = lost.sum((2, 3)) @ offset
        if conv.bias is not None:
            conv.bias += shift.to(conv.bias.dtype)
        for norm in norms.get(conv, ()):
            if norm.running_mean is not None:
                norm.running_mean -= shift.to(norm.running_mean.dtype)
        changed += 1
    return changed


def _removed_inputs(
    network: nn.Module, groups: Sequence[ChannelGroup], selected: Sequence[Sequence[int]]
) -> dict[str, list[int]]:
    """Convolutions by name, each with the indices of the input channels that it will lose."""
    removed: dict[str, list[int]] = {}
    for group, units in zip(groups, selected, strict=True):
        if len(units) == 0:
            continue

        # Depthwise convolutions have one filter per channel: nothing there to correct.
        for use in group.uses:
            if use.side == "in" and isinstance(network.get_submodule(use.layer), nn.Conv2d):
                positions = use.positions[np.asarray(units, np.int64)]
                removed.setdefault(use.layer, []).extend(positions.ravel().tolist())
    return removed
