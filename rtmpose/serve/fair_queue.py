"""A queue that takes turns between clients: one item of each, however many they have waiting."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items of many clients, in turn. Its length is bounded by who puts items in."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, client: str, item: T) -> None:
        """Add an item of a client."""
        with self._changed:
            self._waiting.setdefault(client, deque()).append(item)
            self._length += 1
            self._changed.notify()

    def take(
        self,
        timeout_s: float | None = None,
        *,
        fits: Callable[[T], bool] | None = None,
        hopeless: Callable[[], bool] | None = None,
    ) -> T | None:
        """The next item.

        Args:
            timeout_s: Longest wait; None waits until there is one.
            fits: Whether an item is wanted; the next one that is not ends the wait.
            hopeless: Whether no item will come, looked at after every :meth:`wake`.

        Returns:
            The item; None after the wait, and once the queue is closed and empty.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not self._waiting:
                if self._closed or (hopeless is not None and hopeless()):
                    return None
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)
            client, items = next(iter(self._waiting.items()))
            if fits is not None and not fits(items[0]):
                return None

            # This client's next item comes after one of each of the others.
            item = items.popleft()
            self._length -= 1
            if items:
                self._waiting.move_to_end(client)
            else:
                del self._waiting[client]
            return item

    def wake(self) -> None:
        """Let those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing is added any more: whoever waits gets what is left, then None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
