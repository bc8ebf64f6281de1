"""Importance of a channel: how much the loss would grow without it, by group Fisher information,
or the magnitude of its weights.

Liu et al., Group Fisher Pruning, ICML 2021, section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtmpose.pruning.channel_graph import ChannelGroup, reading_uses
from rtmpose.training.activation_hooks import InputWatch

Scores = list[NDArray[np.float64]]
"""Importance of every unit, group by group."""


class MaskGradients(InputWatch):
    """Per image, the gradient of the loss with respect to a mask on every input channel of some
    layers.

    See :class:`rtmpose.training.activation_hooks.InputWatch`. A layer called twice shares its mask.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__(network, layers)
        self.found: dict[str, Tensor] = {}

    def see(self, layer: str, x: Tensor) -> tuple[Tensor, ...] | None:
        """Watch the gradient of a layer's input ``(N, C, H, W)``."""
        if not x.requires_grad:  # frozen, or not reached by the loss
            return None
        # A view has its own gradient: that of this reader alone, not of all that use the map.
        view = x.view_as(x)

        def add(gradient: Tensor) -> None:
            # Activation times gradient per image, (N, C).
            product = (x.detach() * gradient).sum(dim=(2, 3), dtype=torch.float32)
            previous = self.found.get(layer)
            self.found[layer] = product if previous is None else previous + product

        view.register_hook(add)
        return (view,)  # takes the input's place

    def take(self) -> dict[str, Tensor]:
        """Layer name to ``(N, C)`` float32 since the last call; layers that no gradient reached are
        missing.
        """
        found = self.found
        self.found = {}
        return found


def fisher_scores(
    network: nn.Module, groups: Sequence[ChannelGroup], gradients: Mapping[str, Tensor]
) -> Scores:
    """Importance of every unit of every group from the mask gradients of one batch (equations 4 and
    5).

    Args:
        network: That the groups are of.
        groups: From :func:`rtmpose.pruning.channel_graph.channel_groups`.
        gradients: From :meth:`MaskGradients.take`.
    """
    scores = []
    for group in groups:
        # One mask per unit: its gradient is the sum over all layers that read the unit.
        total: Tensor | None = None
        for use in reading_uses(network, group):
            if use.layer in gradients:
                # (N, units), copies added up.
                part = gradients[use.layer][:, torch.from_numpy(use.positions)].sum(dim=2)
                total = part if total is None else total + part
        if total is None:  # no reader was reached: nothing depends on it
            scores.append(np.zeros(len(group)))
        else:
            # Squared per image, summed over images.
            scores.append(total.double().square().sum(dim=0).cpu().numpy())
    return scores


def magnitude_scores(network: nn.Module, groups: Sequence[ChannelGroup]) -> Scores:
    """The baseline: mean absolute weight of the convolutions that write a unit, norms folded in,
    relative to the mean of their layer.
    """
    scores = []
    for group in groups:
        # The convolutions that write a unit; a coupled unit has several.
        total = np.zeros(len(group))
        for use in group.uses:
            module = network.get_submodule(use.layer)
            if use.side == "out" and isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                # All axes but the output channels.
                axes = (0, 2, 3) if isinstance(module, nn.ConvTranspose2d) else (1, 2, 3)
                size = module.weight.detach().abs().mean(dim=axes) * _norm_gain(network, use.layer)
                # Relative: layers differ in scale.
                total += (size / size.mean()).cpu().numpy()[use.positions].sum(axis=1)
        scores.append(total)
    return scores


def _norm_gain(network: nn.Module, layer: str) -> Tensor | float:
    """The factors that the norm behind a convolution applies to its filters; 1 without a norm."""
    # Only the conv of a ConvModule has its norm next to it.
    norm = getattr(network.get_submodule(layer.rpartition(".")[0]), "bn", None)
    if not layer.endswith(".conv") or not isinstance(norm, nn.BatchNorm2d):
        return 1.0
    assert norm.running_var is not None  # norms of this family track statistics
    return norm.weight.detach().abs() / (norm.running_var + norm.eps).sqrt()
