"""How many people a call of the pose network may have, so that nobody waits long for its end."""

from __future__ import annotations

import statistics
import threading
from collections import deque

SEEN = 9
"""Calls whose times are remembered: the median of them is not moved by a few slow ones."""


class CallSize:
    """Learns how long a person takes. Before the first calls it sets no limit. For any thread.

    Args:
        most: People of a call, however fast they are.
        longest_s: How long a call should take.
    """

    def __init__(self, most: int, longest_s: float) -> None:
        self._most = most
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._seconds_each = deque([0.0] * SEEN, maxlen=SEEN)

    @property
    def people(self) -> int:
        """People of the next call."""
        with self._lock:
            each = statistics.median(self._seconds_each)
        if each * self._most <= self._longest_s:
            return self._most
        return max(1, int(self._longest_s / each))

    def took(self, people: int, seconds: float) -> None:
        """Note how long a call took."""
        with self._lock:
            self._seconds_each.append(seconds / max(1, people))
