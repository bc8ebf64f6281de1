"""What the training loop trains, and what it reports.

:class:`Task` is what every task has. The ``Supports...`` protocols name what a task may have
besides; the loop asks for them with ``isinstance``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor, nn

from rtmpose.model_card import ModelCard

Batch: TypeAlias = dict[str, Tensor]
"""Tensors by name; ``images`` is BGR uint8 ``(N, H, W, 3)`` in all tasks of this package."""


class Task(Protocol):
    """What is trained, on what.

    Attributes:
        network: Trained in place.
        card: Describes it; goes into the checkpoints.
    """

    network: nn.Module
    card: ModelCard

    def steps(self, world: int = 1) -> int:
        """Batches per epoch and process, of ``world`` processes."""
        ...

    def batches(self, epoch: int, generator_seed: int, rank: int, world: int) -> Iterable[Batch]:
        """One process's share of an epoch, the same for the same arguments."""
        ...

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Weighted losses of a batch; their sum is minimized."""
        ...

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Validation metrics; the first chooses the best checkpoint, the higher the better."""
        ...


Output: TypeAlias = Tensor | tuple[Tensor, Tensor] | tuple[list[Tensor], list[Tensor]]
"""What networks put out: heat maps or logits; SimCC logits of x and y; a detector's maps."""


# --- what a task may have besides


@runtime_checkable
class SupportsForward(Protocol):
    """A task that can put a batch through the network without losses: needed to measure the batch
    norms of a network from an export (:func:`rtmpose.training.batch_norm.unfold`), and to prune.
    """

    def forward(self, network: nn.Module, batch: Batch) -> Output:
        """The network's output for a batch; ``images`` is all that is used of it."""
        ...


@runtime_checkable
class SupportsProgress(Protocol):
    """A task whose losses depend on how far the training is."""

    def begin_step(self, progress: float) -> None:
        """Called before each step with the share of the training that is done, 0..1."""
        ...


@runtime_checkable
class SupportsAuxiliary(Protocol):
    """A task with a module that is trained along but not kept.

    Attributes:
        auxiliary: The module; None for none. The loop puts its wrapped form in its place.
    """

    auxiliary: nn.Module | None


@runtime_checkable
class SupportsSkip(Protocol):
    """Batches that can start later, to resume within an epoch without making those before."""

    def skip(self, number: int) -> None:
        """Start behind the first ``number`` batches."""
        ...


# --- what the loop reports


@dataclass(frozen=True)
class TrainStatus:
    """The state of a training.

    Attributes:
        step: Steps done.
        steps: Of the whole training.
        epoch: The current one, from 0.
        losses: Means since the last status.
        lr: Learning rate.
        samples_per_s: On all devices, evaluations and saves left out.
        waiting: Share of the time spent waiting for data, 0..1.
        eta_s: Seconds to the end; NaN before the first report.
        metrics: The newest evaluation.
        best: The best value of the first metric; minus infinity before the first evaluation.
    """

    step: int
    steps: int
    epoch: int
    losses: dict[str, float]
    lr: float
    samples_per_s: float
    waiting: float
    eta_s: float
    metrics: dict[str, float] = field(default_factory=dict)
    best: float = -math.inf


@dataclass(frozen=True)
class TrainResult:
    """The end of a training: the last status, whether all steps were done, and the folder of its
    files.
    """

    status: TrainStatus
    finished: bool
    folder: Path
