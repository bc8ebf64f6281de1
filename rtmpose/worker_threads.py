"""Stages that overlap: a thread that reads ahead, and a thread that writes behind. Bounded, in
order, never stuck.

Every wait has a time limit, after which the state is looked at again: an error in any stage reaches
the consumer, and leaving a loop early stops the threads. What still runs when the interpreter ends
is stopped before: a thread that is within OpenCV or FFmpeg then would end the process with a crash.

Queues are of the kind that Ctrl-C cannot break. ``queue.Queue`` and ``threading.Event`` take their
locks in Python code: an interruption there leaves a lock taken for good, and all threads wait.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor
from types import TracebackType
from typing import Any, Generic, TypeVar

from rtmpose.signals import in_main_thread, signals_deferred

T = TypeVar("T")
WAIT_S = 0.1
CLOSE_S = 2.0
"""Longest wait for a thread that is left early; one may wait for a server."""
EXIT_S = 3.0
"""Longest wait for all threads when the interpreter ends."""

LESS_URGENT = 5
"""Steps of niceness: about a third of the share of others, where all cores are busy."""

_at_work: weakref.WeakSet[Prefetch[Any] | BackgroundWriter[Any]] = weakref.WeakSet()


class _BoundedQueue:
    """A queue between one thread that puts and any that take, with a limit that the former keeps.

    The standard library's simple queues have no limit, but an interruption never breaks them.

    Args:
        size: Entries that fit, 1 at least.
    """

    def __init__(self, size: int) -> None:
        self._size = max(1, size)
        self._entries: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Wakes who waits for room. Only a hint: after a time limit the number is looked at anyway.
        self._taken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, entry: Any) -> None:
        """Put an entry in, whether there is room or not."""
        self._entries.put(entry)

    def get(self, seconds: float | None = 0.0) -> Any:
        """Take the oldest entry, waiting no longer than that; None waits for it.

        Raises:
            queue.Empty: there was none.
        """
        entry = self._entries.get(block=seconds != 0, timeout=seconds or None)
        if self._taken.empty():
            self._taken.put(None)
        return entry

    def has_room(self, seconds: float) -> bool:
        """Whether there is room, within that time."""
        if self._entries.qsize() < self._size:
            return True
        with contextlib.suppress(queue.Empty):
            self._taken.get(block=seconds != 0, timeout=seconds or None)
        return self._entries.qsize() < self._size

    def empty(self) -> bool:
        """Whether there is no entry."""
        return self._entries.empty()


class _Worker:
    """A thread that says itself when it has ended.

    ``threading`` cannot be asked where signals come: up to Python 3.12 an interruption within
    ``Thread.is_alive`` or ``join`` makes it take a thread that is at work for one that has ended.

    Args:
        run: What the thread does.
        name: Of the thread.
    """

    def __init__(self, run: Callable[[], None], name: str) -> None:
        self._run = run
        self._process = os.getpid()
        self._ended = False
        self._end: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self, owner: Prefetch[Any] | BackgroundWriter[Any]) -> None:
        """Start the thread. One that is interrupted while it starts could never be joined."""
        _at_work.add(owner)
        try:
            with signals_deferred():
                self._thread.start()
        except BaseException:
            owner.stop()  # nobody else knows of it
            if self._thread.ident is None:  # there was no room for another thread
                _at_work.discard(owner)
            raise

    @property
    def is_alive(self) -> bool:
        """Whether it may still be at work. A process that was forked has no threads."""
        started = self._thread.ident is not None
        return started and not self._ended and self._process == os.getpid()

    def join(self, seconds: float) -> None:
        """Wait for its end, no longer than that."""
        deadline = time.monotonic() + seconds
        while self.is_alive:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            with contextlib.suppress(queue.Empty):
                self._end.get(timeout=min(left, WAIT_S))
        if self._ended:  # only its last steps are left
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        try:
            self._run()
        finally:
            # The thread would hold its owner otherwise.
            del self._run
            self._ended = True
            self._end.put(None)


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
        self._queue = _BoundedQueue(ahead)
        self._stopped = False
        self._thread = _Worker(self._run, "rtmpose-ahead")
        self._thread.start(self)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while True:
            try:
                kind, value = self._queue.get(WAIT_S)
            except queue.Empty:
                over = self._stopped or not self._thread.is_alive
                if over and self._queue.empty():
                    raise StopIteration from None
                continue
            if kind == "item":
                return value
            # The end, or an error in the thread: it is raised here, where somebody can handle it.
            self._thread.join(CLOSE_S)
            if kind == "error":
                try:
                    raise value
                finally:
                    # Otherwise the error would hold its own frames, with open files and sockets.
                    del value
            raise StopIteration

    def __enter__(self) -> Prefetch[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ready(self) -> bool:
        """Whether the next item, the end or an error is there already."""
        return not self._queue.empty() or not self._thread.is_alive

    def close(self) -> None:
        """Stop the thread; what it read ahead is lost."""
        self.stop()
        self.join(CLOSE_S)

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopped = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get()

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
        del end  # the error in it would hold this frame, and this frame the error

    def _put(self, entry: tuple[str, Any], *, drop: bool) -> bool:
        while not self._stopped:
            if self._queue.has_room(0 if drop else WAIT_S):
                self._queue.put(entry)
                return True
            # A live source makes room by throwing the oldest item away.
            if drop:
                with contextlib.suppress(queue.Empty):
                    self._queue.get()
                    self.dropped += 1
        return False


def read_interruptibly(items: Iterable[T]) -> Generator[T, None, None]:
    """The items, read in a thread where the caller is the main thread: a library that waits for a
    server does not return for Ctrl-C, and signals are handled by the main thread alone.
    """
    if not in_main_thread():
        yield from items
        return
    with Prefetch(items, 1) as ahead:
        yield from ahead


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
        self._promised = Prefetch((_promise(work, item, workers) for item in items), ahead)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        kind, value = next(self._promised).get()
        if kind == "item":
            return value
        try:
            raise value
        finally:
            del value  # see Prefetch

    def close(self) -> None:
        """Take no more items."""
        self._promised.close()


def _promise(work: Callable[[Any], T], item: Any, workers: Executor) -> queue.SimpleQueue[Any]:
    """A queue that gets the result or the error; a future breaks where its wait is interrupted."""
    promise: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run() -> None:
        try:
            promise.put(("item", work(item)))
        except BaseException as error:  # noqa: BLE001 (handed to the consumer)
            promise.put(("error", error))

    workers.submit(run)
    return promise


class BackgroundWriter(Generic[T]):
    """Calls a function with items, in order, in a separate thread. A context manager.

    Args:
        work: Called with each item.
        max_waiting: Maximum number of items waiting; :meth:`put` pauses beyond.
        in_gaps: Let the threads that others wait for have the cores first. Whoever puts items has
            to wait in the end, so that this thread gets its share.

    An error in ``work`` is raised by the next :meth:`put` or by :meth:`close`.
    """

    def __init__(
        self, work: Callable[[T], None], max_waiting: int = 4, *, in_gaps: bool = False
    ) -> None:
        self._work = work
        self._in_gaps = in_gaps
        self._queue = _BoundedQueue(max_waiting)
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = _Worker(self._run, "rtmpose-behind")
        self._thread.start(self)

    def put(self, item: T) -> None:
        """Hand an item over."""
        self._check()
        while not self._queue.has_room(WAIT_S):
            self._check()
            if not self._thread.is_alive:
                raise RuntimeError("the thread that writes has ended")
        self._queue.put(("item", item))

    def close(self) -> None:
        """Wait until all is done."""
        self._queue.put(("end", None))
        while self._thread.is_alive:
            self._thread.join(WAIT_S)
        self._check()

    def stop(self) -> None:
        """Ask the thread to end after the item that it works on."""
        self._stopped = True
        self._queue.put(("end", None))

    def join(self, seconds: float) -> None:
        """Wait for the thread's end, no longer than that."""
        self._thread.join(seconds)

    def __enter__(self) -> BackgroundWriter[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self.close()
            except BaseException:
                self._finish()
                raise
        else:
            self._finish()

    def _finish(self) -> None:
        """Wait for what is being written. The first error is the one to show; a second Ctrl-C ends
        the wait.
        """
        with contextlib.suppress(Exception):
            self.close()

    @property
    def is_alive(self) -> bool:
        """Whether the thread may still be at work."""
        return self._thread.is_alive

    def _check(self) -> None:
        if self._error is not None:
            error = self._error
            self._error = None
            try:
                raise error
            finally:
                del error

    def _run(self) -> None:
        if self._in_gaps:
            lower_priority()
        # Held by the thread alone: the one who owns this object often is within it, and both would
        # wait for the garbage collector.
        work = self._work
        del self._work
        while True:
            kind, item = self._queue.get(None)
            if kind == "end" or self._stopped:
                return
            try:
                work(item)
            except BaseException as error:  # noqa: BLE001 (handed to the producer)
                self._error = error
                return


def lower_priority() -> None:
    """Let other threads of this process go before the calling one, and those that it starts; only
    Linux has a priority for each thread.
    """
    if sys.platform != "linux":
        return
    number = threading.get_native_id()
    with contextlib.suppress(OSError):  # a system may forbid it
        lower = os.getpriority(os.PRIO_PROCESS, number) + LESS_URGENT
        os.setpriority(os.PRIO_PROCESS, number, lower)


@atexit.register
def _end_all() -> None:
    """Stop all threads before the interpreter ends."""
    deadline = time.monotonic() + EXIT_S
    running = list(_at_work)
    for one in running:
        one.stop()
    for one in running:
        one.join(max(0.0, deadline - time.monotonic()))
