"""Batches made in threads, ahead of the training."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class PrefetchLoader(Generic[T]):
    """Items made in threads before they are used, in order.

    Args:
        make: Makes item i.
        count: Number of items.
        workers: Threads; 0 makes each item when it is asked for.
        ahead: Items that may wait, besides one per thread.
    """

    def __init__(self, make: Callable[[int], T], count: int, workers: int, ahead: int = 4) -> None:
        self.make = make
        self.count = count
        self.workers = workers
        self.ahead = ahead
        self.start = 0

    def skip(self, number: int) -> None:
        """Start behind the first ``number`` items."""
        self.start = number

    def __iter__(self) -> Iterator[T]:
        numbers = iter(range(self.start, self.count))

        # Without threads each item is made when it is asked for.
        if not self.workers:
            yield from map(self.make, numbers)
            return

        # As many items in flight as there are threads, and a few more; taken in order.
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="batches")
        waiting: deque[Future[T]] = deque()
        try:
            for number in numbers:
                waiting.append(pool.submit(self.make, number))
                if len(waiting) >= self.ahead + self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Not waited for: an iterator that was left half-way may be collected in one of these
            # very threads.
            pool.shutdown(wait=False, cancel_futures=True)
