"""Making up for channels that are taken out: what is left learns to stand for them, by least
squares.

A layer reads channels that hang together. What the ones that go said is predicted from the ones
that stay, by linear regression over the positions of real maps, and the prediction is put into the
layer's weights, tap by tap: in closed form, without training (the reconstruction of He et al.,
Channel Pruning, ICCV 2017, with the channels given).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rtmpose.pruning.channel_graph import ChannelGroup
from rtmpose.training.activation_hooks import InputWatch
from rtmpose.training.batch_norm import norms_behind

RIDGE = 1e-2
"""Of the mean variance of the channels that stay: keeps the weights small where channels say the
same.
"""

MOST_POSITIONS = 768
"""Per image: larger maps are read with a stride."""


@dataclass
class Moments:
    """Count, sums ``(C,)`` and sums of products ``(C, C)`` of the channels of a map, float64."""

    count: int
    total: Tensor
    products: Tensor

    @classmethod
    def none(cls) -> Moments:
        """Of nothing yet."""
        return cls(0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64))

    def add(self, x: Tensor) -> None:
        """Add maps ``(N, C, H, W)`` or tokens ``(N, K, C)``."""
        if x.ndim == 4:
            step = 1
            while x.shape[2] * x.shape[3] > MOST_POSITIONS * step * step:
                step += 1
            x = x[:, :, ::step, ::step].permute(0, 2, 3, 1)
        rows = x.reshape(-1, x.shape[-1]).float()
        self.count += len(rows)
        self.total = self.total + rows.sum(0).double()
        self.products = self.products + (rows.T @ rows).double()


class InputMoments(InputWatch):
    """Means and covariances of what layers read; see
    :class:`rtmpose.training.activation_hooks.InputWatch`.

    Attributes:
        found: By layer.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__(network, layers)
        self.found: dict[str, Moments] = {}

    def see(self, layer: str, x: Tensor) -> None:
        """Add a layer's input; see :meth:`Moments.add`."""
        self.found.setdefault(layer, Moments.none()).add(x.detach())


@torch.no_grad()
def compensate(
    network: nn.Module,
    groups: Sequence[ChannelGroup],
    chosen: Sequence[Sequence[int]],
    moments: Mapping[str, Moments],
) -> int:
    """Change what stays so that the layers' outputs change as little as can be when units go.

    Args:
        network: Changed in place; the units themselves are still there afterwards.
        groups: Its groups.
        chosen: Units per group that will go.
        moments: Of the layers' inputs, from :class:`InputMoments`; layers without are left alone.

    Returns:
        How many layers were changed.
    """
    going: dict[str, list[int]] = {}
    for group, units in zip(groups, chosen, strict=True):
        for use in group.uses:
            if (
                len(units)
                and use.side == "in"
                and isinstance(network.get_submodule(use.layer), nn.Conv2d)
            ):
                going.setdefault(use.layer, []).extend(
                    use.positions[np.asarray(units, np.int64)].ravel().tolist()
                )
    behind = norms_behind(network)
    changed = 0
    for layer, positions in going.items():
        if layer not in moments:
            continue
        conv: Any = network.get_submodule(layer)
        gone = torch.tensor(sorted(positions))
        stay = torch.from_numpy(np.setdiff1d(np.arange(conv.in_channels), positions))
        if not len(stay):
            continue
        factors, offset = regress(moments[layer], stay, gone)
        lost = conv.weight[:, gone].double()
        conv.weight[:, stay] += torch.einsum("orhw,kr->okhw", lost, factors).to(conv.weight.dtype)
        shift = lost.sum((2, 3)) @ offset
        if conv.bias is not None:
            conv.bias += shift.to(conv.bias.dtype)
        for norm in behind.get(conv, ()):
            norm.running_mean -= shift.to(norm.running_mean.dtype)
        changed += 1
    return changed


def regress(moments: Moments, stay: Tensor, gone: Tensor) -> tuple[Tensor, Tensor]:
    """Factors ``(stay, gone)`` and offset ``(gone,)`` that predict channels from the others,
    float64.
    """
    mean = moments.total / moments.count
    covariance = moments.products / moments.count - torch.outer(mean, mean)
    kept = covariance[stay][:, stay]
    ridge = RIDGE * kept.diagonal().mean().clamp(min=1e-12)
    factors = torch.linalg.solve(
        kept + ridge * torch.eye(len(stay), dtype=kept.dtype), covariance[stay][:, gone]
    )
    return factors, mean[gone] - mean[stay] @ factors
