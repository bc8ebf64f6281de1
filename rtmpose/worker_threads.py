"""Stages that overlap: a thread that reads ahead, and a thread that writes behind. Bounded, in
order, never stuck.

Every wait has a time limit, after which the state is looked at again: an error in any stage reaches
the consumer, and leaving a loop early stops the threads. What still runs when the interpreter ends
is stopped before: a thread that is within OpenCV or FFmpeg then would end the process with a crash.
"""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
WAIT_S = 0.1
CLOSE_S = 30.0
EXIT_S = 3.0
"""Longest wait for all threads when the interpreter ends; one may wait for a server."""

_at_work: weakref.WeakSet[Prefetch[Any] | BackgroundWriter[Any]] = weakref.WeakSet()


class Prefetch(Generic[T]):
    """Runs an iterator in a separate thread, some items ahead. An iterator and a context manager.

    Args:
        items: What is iterated; closed at the end where it has ``close``.
        ahead: Maximum number of items waiting; the thread pauses beyond (back-pressure).
        drop_oldest: For live sources: rather than pause, throw the oldest waiting item away, so
            that what is taken is never older than ``ahead`` items.

    Attributes:
        dropped: Items thrown away.
    """

    def __init__(self, items: Iterable[T], ahead: int = 4, *, drop_oldest: bool = False) -> None:
        self.dropped = 0
        self._items = items
        self._drop = drop_oldest
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=max(1, ahead))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtmpose-ahead", daemon=True)
        _at_work.add(self)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while True:
            try:
                kind, value = self._queue.get(timeout=WAIT_S)
            except queue.Empty:
                if not self._thread.is_alive() and self._queue.empty():
                    raise StopIteration from None
                continue
            if kind == "item":
                return value
            # The end, or an error in the thread: it is raised here, where somebody can handle it.
            self._thread.join(CLOSE_S)
            if kind == "error":
                raise value
            raise StopIteration

    def __enter__(self) -> Prefetch[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ready(self) -> bool:
        """Whether the next item, the end or an error is there already."""
        return not self._queue.empty() or not self._thread.is_alive()

    def close(self) -> None:
        """Stop the thread; what it read ahead is lost."""
        self.stop()
        self.join(CLOSE_S)

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()

    def join(self, seconds: float) -> None:
        """Wait for the thread's end, no longer than that."""
        self._thread.join(seconds)

    def _run(self) -> None:
        end: tuple[str, Any] = ("end", None)
        try:
            for item in self._items:
                if not self._put(("item", item), drop=self._drop):
                    break
        except BaseException as error:  # noqa: BLE001 (handed to the consumer)
            end = ("error", error)
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    close()
        self._put(end, drop=False)

    def _put(self, entry: tuple[str, Any], *, drop: bool) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=0 if drop else WAIT_S)
                return True
            except queue.Full:
                # A live source makes room by throwing the oldest item away.
                if drop:
                    with contextlib.suppress(queue.Empty):
                        self._queue.get_nowait()
                        self.dropped += 1
        return False


class OrderedMap(Generic[T]):
    """Works on several items at once, ahead of the one that is taken; results come in the order of
    the items.

    Args:
        work: Called with each item, in threads.
        items: Iterated in a separate thread.
        workers: Those threads; the caller ends them, after :meth:`close`.
        ahead: Maximum number of items worked on or waiting.
    """

    def __init__(
        self, work: Callable[[Any], T], items: Iterable[Any], workers: Executor, ahead: int
    ) -> None:
        self._futures = Prefetch((workers.submit(work, item) for item in items), ahead)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return next(self._futures).result()

    def close(self) -> None:
        """Take no more items."""
        self._futures.close()


class BackgroundWriter(Generic[T]):
    """Calls a function with items, in order, in a separate thread. A context manager.

    Args:
        work: Called with each item.
        max_waiting: Maximum number of items waiting; :meth:`put` pauses beyond.

    An error in ``work`` is raised by the next :meth:`put` or by :meth:`close`.
    """

    def __init__(self, work: Callable[[T], None], max_waiting: int = 4) -> None:
        self._work = work
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=max(1, max_waiting))
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtmpose-behind", daemon=True)
        _at_work.add(self)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand an item over."""
        while True:
            self._check()
            try:
                self._queue.put(("item", item), timeout=WAIT_S)
                return
            except queue.Full:
                continue

    def close(self) -> None:
        """Wait until all is done."""
        while self._thread.is_alive():
            try:
                self._queue.put(("end", None), timeout=WAIT_S)
                break
            except queue.Full:
                continue
        while self._thread.is_alive():
            self._thread.join(WAIT_S)
        self._check()

    def stop(self) -> None:
        """Ask the thread to end after the item that it works on."""
        self._stop.set()
        with contextlib.suppress(queue.Full):  # a full queue wakes it too
            self._queue.put_nowait(("end", None))

    def join(self, seconds: float) -> None:
        """Wait for the thread's end, no longer than that."""
        self._thread.join(seconds)

    def __enter__(self) -> BackgroundWriter[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            # The first error is the one to show; a second Ctrl-C ends the wait.
            with contextlib.suppress(Exception):
                self.close()

    @property
    def is_alive(self) -> bool:
        """Whether the thread may still be at work."""
        return self._thread.is_alive()

    def _check(self) -> None:
        if self._error is not None:
            error = self._error
            self._error = None
            raise error

    def _run(self) -> None:
        # Held by the thread alone: the one who owns this object often is within it, and both would
        # wait for the garbage collector.
        work = self._work
        del self._work
        while True:
            kind, item = self._queue.get()
            if kind == "end" or self._stop.is_set():
                return
            try:
                work(item)
            except BaseException as error:  # noqa: BLE001 (handed to the producer)
                self._error = error
                return


@atexit.register
def _end_all() -> None:
    """Stop all threads before the interpreter ends."""
    deadline = time.monotonic() + EXIT_S
    running = list(_at_work)
    for one in running:
        one.stop()
    for one in running:
        one.join(max(0.0, deadline - time.monotonic()))
