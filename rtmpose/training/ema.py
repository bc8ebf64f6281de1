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
        network: Whose weights are averaged, and its buffers too.
        momentum: Share of the newest weights in the long run.
        gamma: Steps over which the warm-up fades.

    Attributes:
        network: The averages, in evaluation mode.
        steps: Updates so far.
    """

    def __init__(self, network: nn.Module, momentum: float, gamma: float) -> None:
        self.momentum = momentum
        self.gamma = gamma
        self.steps = 0

        # A copy that is never trained: no gradients, no dropout, fixed batch norms.
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    def share(self) -> float:
        """Share of the newest weights in the next update."""
        # The first update copies: nothing has been averaged so far.
        if self.steps == 0:
            return 1.0
        return (1 - self.momentum) * math.exp(-(1 + self.steps) / self.gamma) + self.momentum

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights of one more step."""
        # Weights and buffers by name.
        averages = self.network.state_dict()
        newest = network.state_dict()

        # All tensors in one call: thousands of small ones would take longer than a step.
        floating = [key for key, value in averages.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [averages[key] for key in floating],
            [newest[key].detach() for key in floating],
            self.share(),
        )

        # Counters have no mean.
        for key, value in averages.items():
            if not value.is_floating_point():
                value.copy_(newest[key])
        self.steps += 1
