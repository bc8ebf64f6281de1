"""The running mean of a network's weights and buffers, which is what is evaluated and kept."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn


class MovingAverage:
    """Exponential moving average with a warm-up: young averages forget faster.

    The share of the newest weights is ``(1 - momentum) exp(-(1 + steps) / gamma) + momentum`` (as
    RTMDet and RTMPose were trained; update 0 copies).

    Args:
        network: Followed; its buffers are averaged too.
        momentum: Share of the newest weights in the long run.
        gamma: Steps over which the warm-up fades.
    """

    def __init__(self, network: nn.Module, momentum: float, gamma: float) -> None:
        self.momentum, self.gamma, self.steps = momentum, gamma, 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    def share(self) -> float:
        """Of the newest weights in the next update."""
        if self.steps == 0:
            return 1.0
        return (1 - self.momentum) * math.exp(-(1 + self.steps) / self.gamma) + self.momentum

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights of one more step."""
        share = self.share()
        mine, theirs = self.network.state_dict(), network.state_dict()
        floating = [k for k, v in mine.items() if v.is_floating_point()]
        torch._foreach_lerp_(
            [mine[k] for k in floating], [theirs[k].detach() for k in floating], share
        )
        for key, value in mine.items():
            if not value.is_floating_point():
                value.copy_(theirs[key])
        self.steps += 1
