"""How many people a call of the pose network has: so few that nobody waits long for its end, and
so many that it costs little for each.
"""

from __future__ import annotations

import statistics
import threading
from collections import deque
from collections.abc import Mapping

SEEN = 9
"""Calls whose times are remembered: the median of them is not moved by a few slow ones."""
MORE_WITH_MANY = 0.04
MORE_WITH_FEW = 0.15
"""How much more than at best a person may cost, while many images wait and while few do. Fewer
people in a call are done sooner.
"""


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
        self._costs: dict[int, float] = {}  # of a person, by people of a call

    @property
    def people(self) -> int:
        """People of the next call at most."""
        with self._lock:
            each = statistics.median(self._seconds_each)
        if each * self._most <= self._longest_s:
            return self._most
        return max(1, int(self._longest_s / each))

    def people_for(self, *, many: bool) -> int:
        """People of the next call, by what was :meth:`measured`; else as many as it may have.

        Args:
            many: Whether many images wait.
        """
        most = self.people
        with self._lock:
            costs = {people: cost for people, cost in self._costs.items() if people <= most}
        if not costs:
            return most
        limit = min(costs.values()) * (1 + (MORE_WITH_MANY if many else MORE_WITH_FEW))
        return min(people for people, cost in costs.items() if cost <= limit)

    def measured(self, seconds: Mapping[int, float]) -> None:
        """Note what calls of so many people take, each under the same conditions."""
        with self._lock:
            self._costs = {people: took / people for people, took in seconds.items()}

    def took(self, people: int, seconds: float) -> None:
        """Note how long a call took."""
        with self._lock:
            self._seconds_each.append(seconds / max(1, people))
