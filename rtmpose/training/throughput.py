"""How fast a training is, and what its losses are between two reports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Averages:
    """Mean losses, samples per second on all devices, and the share of the time spent waiting for
    data.
    """

    losses: dict[str, float]
    samples_per_s: float
    waiting: float


class Throughput:
    """Means of losses and times between two reports."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps, self.waited, self.spent, self.since = 0, 0.0, 0.0, time.perf_counter()

    def start(self) -> None:
        """Time that passed since the last step does not count."""
        self.since = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What happens inside is waiting for data."""
        before = time.perf_counter()
        self.spent += before - self.since
        yield
        self.since = time.perf_counter()
        self.waited += self.since - before
        self.spent += self.since - before

    def add(self, losses: dict[str, Tensor], factor: float) -> None:
        """Add losses of a batch, times a factor, without waiting for them to be computed."""
        for key, value in losses.items():
            value = value.detach() * factor
            self.sums[key] = self.sums[key] + value if key in self.sums else value

    def read(self, samples: int) -> Averages:
        """The means since the last reading, of steps of so many samples."""
        now = time.perf_counter()
        self.spent += now - self.since
        losses = {k: float(v) / self.steps for k, v in self.sums.items()}
        means = Averages(losses, self.steps * samples / self.spent, self.waited / self.spent)
        self.sums, self.steps, self.waited, self.spent, self.since = {}, 0, 0.0, 0.0, now
        return means
