"""What pruning is asked for, and what it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rtmpose.ranges import (
    ANY_SIZE,
    CHUNK,
    COUNT,
    COUNT_OR_ZERO,
    LEARNING_RATE,
    SHARE_BELOW_1,
    Range,
    check_choice,
    check_fields,
    check_flags,
)

# Choices, and their order in help texts.
Criterion = Literal["fisher", "magnitude"]
CostMeasure = Literal["memory", "multiply-adds", "nothing"]
CRITERIA: tuple[Criterion, ...] = ("fisher", "magnitude")
COST_MEASURES: tuple[CostMeasure, ...] = ("memory", "multiply-adds", "nothing")

BUDGET = Range(1, 10**18, whole=True)


@dataclass(frozen=True)
class PruneOptions:
    """How channels are selected and how the network is trained in between.

    Attributes:
        max_multiply_adds: Budget: prune until one image costs no more.
        max_parameters: The same for the size of the network; None for no limit. Each round first
            removes what is least important per parameter, down to its share of this, then what is
            least important by ``normalize_by``.
        rounds: Number of removals; each takes an equal share of the multiply-adds.
        steps_per_round: Optimization steps, and batches that the importance is estimated on, before
            each removal.
        chunk: Channels of a group that are removed together. Widths that are multiples of 8 stay so
            with 8, and CPU engines, which work on 8 or 16 channels at once, gain all that the count
            promises.
        min_fraction: Share of its channels that every group keeps, in whole chunks.
        criterion: ``fisher``; ``magnitude``, the norm of the weights that write a channel; both
            remove the smallest first.
        normalize_by: What importance is divided by: the ``memory`` (activations) or the
            ``multiply-adds`` saved, or ``nothing``.
        uniform: Remove the same share of every group instead of ordering channels across the
            network.
        score_decay: Factor on the importance found in earlier rounds.
        learning_rate: Of Adam; constant after the warm-up.
        warmup_steps: Steps over which the rate rises from 0.
        grad_clip_norm: Largest norm of the gradient; 0 for no limit.
        compensate: Change the remaining weights so that they compensate for removed channels, see
            :mod:`rtmpose.pruning.compensate`.
        bf16: Run the network in bfloat16 where that is safe (autocast); weights, losses and
            importance stay float32.

    Raises:
        InputError: a value out of its range.
    """

    max_multiply_adds: int
    max_parameters: int | None = None
    rounds: int = 150
    steps_per_round: int = 4
    chunk: int = 8
    min_fraction: float = 0.25
    criterion: Criterion = "fisher"
    normalize_by: CostMeasure = "memory"
    uniform: bool = False
    score_decay: float = 0.8
    learning_rate: float = 1e-4
    warmup_steps: int = 50
    grad_clip_norm: float = 35.0
    compensate: bool = True
    bf16: bool = False

    def __post_init__(self) -> None:
        # Budgets are absolute numbers, everything else is a count or a share.
        check_fields(
            self,
            max_multiply_adds=BUDGET,
            max_parameters=BUDGET.optional(),
            rounds=COUNT,
            steps_per_round=COUNT,
            chunk=CHUNK,
            min_fraction=SHARE_BELOW_1,
            score_decay=SHARE_BELOW_1,
            learning_rate=LEARNING_RATE,
            warmup_steps=COUNT_OR_ZERO,
            grad_clip_norm=ANY_SIZE,
        )
        check_flags(self, "uniform", "compensate", "bf16")
        check_choice("criterion", self.criterion, CRITERIA)
        check_choice("normalize_by", self.normalize_by, COST_MEASURES)


@dataclass(frozen=True)
class PruneRound:
    """What is reported after each removal.

    Attributes:
        number: From 1.
        loss: Mean over the steps before the removal.
        removed: Channels removed.
        multiply_adds: What one image costs now.
        parameters: What the network has now.
    """

    number: int
    loss: float
    removed: int
    multiply_adds: int
    parameters: int


@dataclass(frozen=True)
class PruneResult:
    """What :func:`rtmpose.pruning.prune.prune` did.

    Attributes:
        rounds: In order.
        widths: Group name to channels before and after.
    """

    rounds: tuple[PruneRound, ...]
    widths: Mapping[str, tuple[int, int]] = field(default_factory=dict)
