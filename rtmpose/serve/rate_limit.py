"""How many requests a client may make in a second."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_CLIENTS = 10_000
"""Remembered at the same time; those not seen for longest are forgotten."""
BURST_S = 2.0
"""Seconds whose requests may come at once."""


class RateLimit:
    """A bucket of requests for each client, filled again as time goes by. For one thread.

    Args:
        rate: Requests per second; 0 for any number.
        clock: Gives seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Take a request of a client; 0 where it may come, else the seconds to wait."""
        if not self._rate:
            return 0.0
        now = self._clock()
        most = max(1.0, self._rate * BURST_S)
        left, seen = self._buckets.pop(client, (most, now))
        left = min(most, left + (now - seen) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._buckets[client] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait
