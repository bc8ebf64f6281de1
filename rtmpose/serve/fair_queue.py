"""A queue of many clients: who had little lately comes first, and small work before large."""

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
PATIENCE_S = 0.03
"""Work of one unit counts half after this time, of ten units after ten times of it. So large work
is not passed by small work for ever.
"""
FORGOTTEN = 0.01
"""Units below which nothing is remembered of a client."""
MANY_CLIENTS = 64


@dataclass(eq=False)
class _Waiting(Generic[T]):
    """An item of the queue."""

    item: T
    client: str
    size: int
    since: float


class FairQueue(Generic[T]):
    """Items of many clients. Its length is bounded by who puts items in.

    Of all items that one comes next whose size, and what its client had lately, are least together.
    With age an item counts as smaller.

    Args:
        clock: Gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._items: list[_Waiting[T]] = []
        self._had: dict[str, tuple[float, float]] = {}  # units, and when
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, client: str, item: T, size: int = 1, since: float | None = None) -> None:
        """Add an item of a client.

        Args:
            client: Whose it is.
            item: The item.
            size: Units of work that it needs.
            since: When it was first put in, for one of which a part was done; None for now.
        """
        with self._changed:
            began = self._clock() if since is None else since
            self._items.append(_Waiting(item, client, size, began))
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

            # The first of equal ones is the oldest.
            now = self._clock()
            first = min(self._items, key=lambda waiting: (self._rank(waiting, now), waiting.since))
            if room is not None and first.size > room:
                return None
            self._items.remove(first)
            return first.item

    def charge(self, client: str, size: int) -> None:
        """Note that a client gets so many units of work."""
        with self._changed:
            now = self._clock()
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
        size = max(1, waiting.size)
        age = max(0.0, now - waiting.since)
        return size / (1 + age / (PATIENCE_S * size)) + self._lately(waiting.client, now)
