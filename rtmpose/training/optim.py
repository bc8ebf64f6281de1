"""Optimizer and learning rate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from rtmpose.training.recipes import Recipe

USUAL_SIZE = 0.1
"""Root mean square of a weight whose rate is the recipe's, where rates go by size."""


def learning_rate(recipe: Recipe, samples_per_step: int) -> float:
    """The recipe's rate for that many samples per step, over all devices and accumulated batches."""
    if not recipe.base_batch or recipe.lr_scaling == "none":
        return recipe.lr
    factor = samples_per_step / recipe.base_batch
    return recipe.lr * (factor if recipe.lr_scaling == "linear" else math.sqrt(factor))


def parameter_groups(
    network: nn.Module,
    weight_decay: float,
    lr: float,
    head_lr: float = 1.0,
    *,
    by_size: bool = False,
) -> list[dict[str, Any]]:
    """Parameters with and without decay (norms and biases), backbone and the rest apart.

    Args:
        network: Whose parameters.
        weight_decay: Of weights.
        lr: Of the backbone.
        head_lr: Factor on the rate of the rest.
        by_size: A weight's rate is proportional to its root mean square, ``lr`` where that is
            :data:`USUAL_SIZE`.
    """
    bare = {
        id(p)
        for m in network.modules()
        if isinstance(m, _NORMS)
        for p in m.parameters(recurse=False)
    }
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decays = id(parameter) not in bare and name.rpartition(".")[2] != "bias"
            factor = 1.0 if name.startswith("backbone.") else head_lr
            if by_size and decays and parameter.ndim > 1:
                size = float(parameter.detach().square().mean().sqrt())
                factor *= size / USUAL_SIZE if size else 1.0
            groups.setdefault((decays, factor), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": weight_decay if decays else 0.0,
            "lr": lr * factor,
            "factor": factor,
        }
        for (decays, factor), parameters in groups.items()
    ]


def make_optimizer(modules: list[nn.Module], recipe: Recipe, lr: float) -> torch.optim.AdamW:
    """AdamW over all the modules.

    Not torch's fused one: on CPUs (2.13) it takes weights and gradients for arrays of the same
    layout, which they are not with channels last, and learns nonsense without a word.
    """
    groups = [
        g
        for m in modules
        for g in parameter_groups(
            m, recipe.weight_decay, lr, recipe.head_lr, by_size=recipe.lr_by_size
        )
    ]
    return torch.optim.AdamW(groups, lr=lr)


def rate_factor(recipe: Recipe, step: int, total: int) -> float:
    """The factor on the learning rate in a step: warm-up, flat, cosine.

    Args:
        recipe: See its fields.
        step: From 0.
        total: Steps of the whole training.
    """
    warm = min(recipe.warmup_steps, total)
    factor = 1.0
    if step < warm - 1:
        factor = recipe.warmup_start + (1 - recipe.warmup_start) * step / (warm - 1)
    begin = int(total * recipe.flat)
    if step > begin:
        along = min((step - begin) / max(total - begin, 1), 1.0)
        factor *= recipe.final_lr + (1 - recipe.final_lr) * (1 + math.cos(math.pi * along)) / 2
    return factor


_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
