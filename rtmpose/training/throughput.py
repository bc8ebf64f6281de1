"""Mean losses, speed and time spent waiting for data, between two reports of a training."""

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
    """Means of losses and times between two reports.

    Attributes:
        steps: Since the last report; counted by the caller.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._sums: dict[str, Tensor] = {}
        self._waited_s = 0.0
        self._spent_s = 0.0
        self._since = time.perf_counter()

    def start(self) -> None:
        """Time that passed since the last step does not count."""
        self._since = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What happens inside is waiting for data."""
        # The time until here was work; the time inside is both spent and waited.
        before = time.perf_counter()
        self._spent_s += before - self._since
        yield
        self._since = time.perf_counter()
        self._waited_s += self._since - before
        self._spent_s += self._since - before

    def add(self, losses: dict[str, Tensor], factor: float) -> None:
        """Add losses of a batch, times a factor, without waiting for them to be computed."""
        for key, value in losses.items():
            value = value.detach() * factor  # on the device: no synchronization here
            self._sums[key] = self._sums[key] + value if key in self._sums else value

    def read(self, samples: int) -> Averages:
        """The means since the last reading.

        Args:
            samples: Per step, on all devices.
        """
        # One synchronization with the device per report, in float().
        now = time.perf_counter()
        self._spent_s += now - self._since
        losses = {key: float(value) / self.steps for key, value in self._sums.items()}
        speed = self.steps * samples / self._spent_s
        averages = Averages(losses, speed, self._waited_s / self._spent_s)

        # A new interval begins.
        self._sums = {}
        self.steps = 0
        self._waited_s = 0.0
        self._spent_s = 0.0
        self._since = now
        return averages
