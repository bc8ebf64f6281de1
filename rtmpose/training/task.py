"""What the training loop trains, and what it tells of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from rtmpose.model_card import ModelCard


class Task(Protocol):
    """What is trained, on what.

    Optional members: ``auxiliary`` (a module trained along but not kept), ``begin_step(share)``
    (told before each step which share of the training is done), ``forward(network, batch)`` (the
    network's output for a batch), and ``skip(n)`` on what ``batches`` returns (to resume within an
    epoch without making the batches before).

    Attributes:
        network: TrainResult in place.
        card: Describes it; goes into the checkpoints.
    """

    network: nn.Module
    card: ModelCard

    def batches(self, epoch: int, generator_seed: int, rank: int, world: int) -> Iterable[Any]:
        """A rank's share of an epoch, the same for the same arguments."""
        ...

    def steps(self) -> int:
        """Batches per epoch and rank."""
        ...

    def losses(self, network: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Weighted losses of a batch; their sum is minimized."""
        ...

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Held-out metrics; the first chooses the best checkpoint, the higher the better."""
        ...


@dataclass(frozen=True)
class TrainStatus:
    """How a training stands.

    Attributes:
        step: Steps done.
        steps: Of the whole training.
        epoch: The current one, from 0.
        losses: Means since the last status.
        lr: Learning rate.
        samples_per_s: On all devices, evaluations and saves left out.
        waiting: Share of the time spent waiting for data.
        eta_s: Seconds to the end.
        metrics: The newest evaluation.
        best: The best value of the first metric.
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
    """What a training came to: the last status, whether it reached its end, and where its files
    are.
    """

    status: TrainStatus
    finished: bool
    folder: Path
