"""Selecting the channels to remove: the least important ones until a budget is met."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import nn

from rtmpose.errors import ModelError
from rtmpose.pruning.channel_cost import (
    layer_widths,
    saved_memory,
    saved_multiply_adds,
    saved_parameters,
)
from rtmpose.pruning.channel_graph import ChannelGroup
from rtmpose.pruning.importance import Scores
from rtmpose.pruning.options import PruneOptions


class _Candidate(NamedTuple):
    """A chunk of channels that could go next; the smallest tuple goes first."""

    overshoots: bool  # what would miss the budget by far goes only where nothing else is left
    score: float
    group: int
    units: int
    multiply_adds: int
    parameters: int


def select_units(
    network: nn.Module,
    groups: Sequence[ChannelGroup],
    scores: Scores,
    options: PruneOptions,
    full_sizes: Sequence[int],
    *,
    excess_multiply_adds: int,
    excess_parameters: int = 0,
    max_overshoot: float = math.inf,
) -> list[list[int]]:
    """The units to remove: the least important ones, until the excess is gone.

    Args:
        network: That the groups are of.
        groups: Its groups.
        scores: Importance of every unit.
        options: The criterion.
        full_sizes: Units of every group before any pruning.
        excess_multiply_adds: Multiply-adds to save at least.
        excess_parameters: Parameters to save at least.
        max_overshoot: How many multiply-adds more than the excess may be saved.

    Returns:
        Unit indices per group.

    Raises:
        ModelError: every group is down to its minimum before the excess is gone.
    """
    # Units from the least to the most important; ``taken`` counts those chosen per group.
    order = [np.argsort(s, kind="stable") for s in scores]
    taken = [0] * len(groups)
    widths = layer_widths(network)
    minimums = [_minimum(size, options) for size in full_sizes]

    while excess_multiply_adds > 0 or excess_parameters > 0:
        # One candidate per group: its next chunk, as long as the group keeps its minimum.
        candidates = []
        for i, group in enumerate(groups):
            units = min(options.chunk, len(group) - taken[i] - minimums[i])
            if units <= 0:
                continue
            multiply_adds = saved_multiply_adds(network, group, units, widths)
            parameters = saved_parameters(network, group, units, widths)

            # Uniform: the group with the largest remaining share goes first.
            if options.uniform:
                score = -(len(group) - taken[i]) / full_sizes[i]
            else:
                # Importance of the chunk over what it saves.
                importance = float(scores[i][order[i][taken[i] : taken[i] + units]].sum())
                memory = saved_memory(network, group, units)
                costs = {"memory": memory, "multiply-adds": multiply_adds, "nothing": units}
                saved = parameters if excess_parameters > 0 else costs[options.normalize_by]
                score = importance / saved

            # While parameters are left to save, the multiply-adds may fall as they will.
            allowed = excess_multiply_adds + max_overshoot
            overshoots = excess_parameters <= 0 and multiply_adds > allowed
            candidates.append(_Candidate(overshoots, score, i, units, multiply_adds, parameters))

        if not candidates:
            raise _out_of_channels(excess_multiply_adds, excess_parameters, options)

        # The chunk that matters least goes.
        best = min(candidates)
        excess_multiply_adds -= best.multiply_adds
        excess_parameters -= best.parameters
        taken[best.group] += best.units
        # Neighbors get cheaper with every channel that goes, so savings are counted anew.
        for use in groups[best.group].uses:
            if (use.layer, use.side) in widths:
                widths[use.layer, use.side] -= best.units * use.positions.shape[1]
    # Unit indices, the least important first.
    return [order[i][:count].tolist() for i, count in enumerate(taken)]


def _minimum(size: int, options: PruneOptions) -> int:
    """Units that a group of this full size keeps: whole chunks, at least one of them."""
    # Widths stay multiples of the chunk.
    chunks = max(math.ceil(options.min_fraction * size / options.chunk), 1)
    return min(chunks * options.chunk, size)


def _out_of_channels(
    excess_multiply_adds: int, excess_parameters: int, options: PruneOptions
) -> ModelError:
    return ModelError(
        f"{max(excess_multiply_adds, 0) / 1e6:.0f} million multiply-adds and"
        f" {max(excess_parameters, 0) / 1e6:.2f} million parameters too many are left, and every"
        f" group of channels is down to {options.min_fraction:.0%}: raise the budget or lower the"
        " minimum fraction"
    )
