"""Optimizer and learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypedDict

import torch
from torch import nn

from rtmpose.training.recipes import Recipe

REFERENCE_RMS = 0.1
"""Root mean square of a weight whose rate is the recipe's, with layer-wise rates."""

NORM_LAYERS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.GroupNorm,
    nn.LayerNorm,
)


class ParameterGroup(TypedDict):
    """What the optimizer takes; ``factor`` is that of the group on the rate of every step."""

    params: list[nn.Parameter]
    weight_decay: float
    lr: float
    factor: float


def learning_rate(recipe: Recipe, samples_per_step: int) -> float:
    """The recipe's rate for that number of samples per step, over all devices and accumulated
    batches.
    """
    # Without scaling the rate is taken as it is.
    settings = recipe.optimizer
    if not settings.base_batch_size or settings.lr_scaling == "none":
        return settings.lr
    factor = samples_per_step / settings.base_batch_size
    # Linear by default (Goyal et al., 2017).
    return settings.lr * (factor if settings.lr_scaling == "linear" else math.sqrt(factor))


def parameter_groups(
    network: nn.Module,
    weight_decay: float,
    lr: float,
    head_lr_factor: float = 1.0,
    *,
    by_rms: bool = False,
) -> list[ParameterGroup]:
    """Parameters with and without decay (norms and biases), backbone and the rest apart.

    Args:
        network: Whose parameters.
        weight_decay: Of weights.
        lr: Of the backbone.
        head_lr_factor: Factor on the rate of the rest.
        by_rms: A weight's rate is proportional to its root mean square, ``lr`` where that is
            :data:`REFERENCE_RMS`.
    """
    # Norms' gains and offsets have no decay, and neither have biases.
    norm_parameters = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, NORM_LAYERS)
        for parameter in module.parameters(recurse=False)
    }

    # Parameters with the same decay and the same rate share a group.
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = id(parameter) not in norm_parameters and name.rpartition(".")[2] != "bias"
        factor = 1.0 if name.startswith("backbone.") else head_lr_factor

        # Weights take steps in proportion to their size; all-zero ones take the plain rate.
        if by_rms and decays and parameter.ndim > 1:
            rms = float(parameter.detach().square().mean().sqrt())
            factor *= rms / REFERENCE_RMS if rms else 1.0
        groups.setdefault((decays, factor), []).append(parameter)

    # The factor is kept with the group: the rate of a step is recomputed from it.
    return [
        {
            "params": parameters,
            "weight_decay": weight_decay if decays else 0.0,
            "lr": lr * factor,
            "factor": factor,
        }
        for (decays, factor), parameters in groups.items()
    ]


def make_optimizer(modules: Iterable[nn.Module], recipe: Recipe, lr: float) -> torch.optim.AdamW:
    """AdamW over all the modules.

    Not torch's fused one: on CPUs (2.13) it takes weights and gradients for arrays of the same
    layout, which they are not with channels last, and learns nonsense without a word.
    """
    # One optimizer for the network and what is trained along with it.
    settings = recipe.optimizer
    groups: list[dict[str, object]] = []
    for module in modules:
        found = parameter_groups(
            module,
            settings.weight_decay,
            lr,
            settings.head_lr_factor,
            by_rms=settings.layerwise_lr_by_rms,
        )
        groups += [dict(group) for group in found]
    return torch.optim.AdamW(groups, lr=lr)


def rate_factor(recipe: Recipe, step: int, total: int) -> float:
    """The factor on the learning rate in a step: warm-up, flat, cosine.

    Args:
        recipe: Its schedule.
        step: From 0.
        total: Steps of the whole training.
    """
    schedule = recipe.schedule

    # Warm-up: linear from the start factor to 1.
    warmup = min(schedule.warmup_steps, total)
    factor = 1.0
    if step < warmup - 1:
        start = schedule.warmup_start_factor
        factor = start + (1 - start) * step / (warmup - 1)

    # Cosine behind the flat part, down to the final factor; over the warm-up where they overlap.
    begin = int(total * schedule.flat_fraction)
    if step > begin:
        progress = min((step - begin) / max(total - begin, 1), 1.0)
        final = schedule.final_lr_factor
        factor *= final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2
    return factor
