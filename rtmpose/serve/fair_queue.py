"""A queue of many clients: who had little lately comes first, and small work before large, which
is passed for a bounded time only.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

REMEMBERED_S = 1.0
"""What a client had counts against it, by a factor of e less after each such time."""
PASSED_UNITS = 2.0
"""Work may be passed while so many units are begun for each of its own."""
PASSED_SHARE = 0.5
"""Large work also while this share is begun of what waits when it comes: under load it gives small
work a lead, and waits at most that much longer for it.
"""
SMALL = 4
"""Units that are never large. Above, large is what is larger than usual."""
NEWS = 0.05
"""Weight of the newest item in the usual size."""
FORGOTTEN = 0.01
"""Units below which nothing is remembered of a client."""
MANY_CLIENTS = 64


@dataclass(frozen=True)
class Place:
    """Where an item stands, in units of work that were begun.

    Attributes:
        since: When it came.
        due: From when on it is not passed any more.
    """

    since: float
    due: float


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[T]):
    """An item of the queue."""

    item: T
    client: str
    size: int
    place: Place


class FairQueue(Generic[T]):
    """Items of many clients. Its length is bounded by who puts items in.

    Of all items that one comes next whose size, and what its client had lately, are least together.
    The nearer its :class:`Place` is to being due, the smaller an item counts; of those that are due
    the first comes first. Time is counted in units of work that were begun, so the order is the
    same on slow and on fast machines.

    Args:
        clock: Gives the time in seconds, by which clients are forgiven what they had.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._items: list[_Waiting[T]] = []
        self._had: dict[str, tuple[float, float]] = {}  # units, and when
        self._begun = 0.0  # units, of all clients
        self._usual: float | None = None  # size of an item
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def place(self, size: int) -> Place:
        """Where a new item of so many units stands."""
        with self._changed:
            usual = float(size) if self._usual is None else self._usual
            self._usual = usual + NEWS * (size - usual)
            lead = PASSED_UNITS * max(1, size)
            if size > max(SMALL, usual):
                waiting = sum(other.size for other in self._items)
                lead += PASSED_SHARE * (waiting + size)
            return Place(self._begun, self._begun + lead)

    def put(self, client: str, item: T, size: int = 1, place: Place | None = None) -> None:
        """Add an item of a client.

        Args:
            client: Whose it is.
            item: The item.
            size: Units of work that it needs.
            place: That of an item of which a part was done; None for a new one.
        """
        place = place or self.place(size)
        with self._changed:
            self._items.append(_Waiting(item, client, size, place))
            self._changed.notify()

    def take(
        self,
        timeout_s: float | None = None,
        *,
        room: int | None = None,
        hopeless: Callable[[], bool] | None = None,
    ) -> T | None:
        """The next item.

        Args:
            timeout_s: Longest wait; None waits until there is one.
            room: Largest size that is wanted; a next item that is larger ends the wait.
            hopeless: Whether no item will come, looked at after every :meth:`wake`.

        Returns:
            The item; None after the wait, and once the queue is closed and empty.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not self._items:
                if self._closed or (hopeless is not None and hopeless()):
                    return None
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)

            now = self._clock()
            first = min(self._items, key=lambda one: (self._rank(one, now), one.place.due))
            if room is not None and first.size > room:
                return None
            self._items.remove(first)
            return first.item

    def charge(self, client: str, size: int) -> None:
        """Note that a client gets so many units of work."""
        with self._changed:
            now = self._clock()
            self._begun += size
            self._had[client] = (self._lately(client, now) + size, now)
            if len(self._had) > MANY_CLIENTS:
                kept = {name for name in self._had if self._lately(name, now) > FORGOTTEN}
                self._had = {name: had for name, had in self._had.items() if name in kept}

    def wake(self) -> None:
        """Let those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing new is added any more: whoever waits gets what is left, then None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _lately(self, client: str, now: float) -> float:
        units, when = self._had.get(client, (0.0, now))
        return units * math.exp((when - now) / REMEMBERED_S)

    def _rank(self, waiting: _Waiting[T], now: float) -> float:
        place = waiting.place
        left = max(0.0, (place.due - self._begun) / (place.due - place.since))
        return max(1, waiting.size) * left + self._lately(waiting.client, now)
