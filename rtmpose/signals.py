"""Signals that end a run: SIGTERM, SIGHUP and those of job schedulers act like Ctrl-C; all wait
while files are closed.
"""

from __future__ import annotations

import inspect
import signal
import sys
import threading
import time
from _thread import start_new_thread
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

ENDING_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGUSR1")
    if hasattr(signal, name)
)
"""The last two: the limit of processor time, and what SLURM is often asked to send before the end.
"""

IMPORT_SYSTEM = "<frozen importlib._bootstrap>"
SAME_S = 1.0
"""Signals within this time after the first are the same request: ``timeout`` sends each one twice,
to the process and to its group, and programs around a command pass a Ctrl-C on that came anyway.
"""
LATER_S = 0.02
LOCK_ATTEMPTS = 50
"""A signal waits for locks no longer than so many times :data:`LATER_S`."""

LOCKING_MODULES = (
    "threading",
    "queue",
    "concurrent.futures._base",
    "concurrent.futures.thread",
    "logging",
    "weakref",
    "_weakrefset",
)
"""Of the standard library: they take locks in Python code, and an exception between the taking and
the code that releases them leaves them taken for good."""

INTERRUPTIBLE: tuple[CodeType, ...] = tuple(
    getattr(threading.Thread, name).__code__
    for name in ("join", "_wait_for_tstate_lock")
    if hasattr(threading.Thread, name)
)
"""Waits of those modules that can be interrupted."""


class JobInterrupted(KeyboardInterrupt):
    """A job was interrupted; the text says what was kept."""


@contextmanager
def end_as_interrupt() -> Iterator[list[signal.Signals]]:
    """The ending signals raise KeyboardInterrupt in the main thread, once; one that comes more than
    a second later does what it did before.

    A signal waits a moment where an exception would do harm: during an import, as half a module
    would stay in memory, and where Python code takes or releases a lock, which would stay taken.
    One that comes in a destructor or callback, where Python drops exceptions, is raised again.

    Gives the list of the signals that came. A signal that is ignored (nohup) stays so.
    """
    replaced = (signal.SIG_DFL, signal.default_int_handler)
    before = {
        number: signal.getsignal(number)
        for number in ENDING_SIGNALS
        if in_main_thread() and signal.getsignal(number) in replaced
    }
    if not before:
        yield []
        return
    ending = _Ending(before, inspect.currentframe())
    ending.listen()
    try:
        yield ending.received
    finally:
        ending.restore()


class _Ending:
    """What is done about the signals of one block.

    Attributes:
        received: The signals that came.
    """

    def __init__(self, before: dict[signal.Signals, Any], frame: FrameType | None) -> None:
        self.received: list[signal.Signals] = []
        self._before = before
        self._manager = frame
        self._imports = _running_imports(frame)
        self._unraisable = sys.unraisablehook
        self._locks_waited_for = 0
        self._raised_at: float | None = None
        self._waiting: set[signal.Signals] = set()
        self._begun = False
        self._over = False

    def listen(self) -> None:
        """Take the signals over."""
        sys.unraisablehook = self._on_dropped
        for number in self._before:
            signal.signal(number, self._on_signal)
        self._begun = True

    def restore(self) -> None:
        """Leave them to whoever had them."""
        self._over = True
        for number, handler in self._before.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._unraisable
        # Came at the very end: the block is done, and its caller may want to know.
        self.received += self._waiting.difference(self.received)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number)
        if self._raised_at is not None:
            act_on_another(name, self._before[name], self._raised_at)
            return
        if self._has_to_wait(frame):
            self._waiting.add(name)
            self._send_later(name)
            return
        self._raised_at = time.monotonic()
        self.received.append(name)
        raise KeyboardInterrupt

    def _has_to_wait(self, frame: FrameType | None) -> bool:
        # Nobody would catch what is raised before or after the block.
        if not self._begun or self._over or _runs_within(frame, self._manager):
            return True
        if _running_imports(frame) > self._imports:
            return True
        # A lock that is waited for too long is part of what the signal is to end.
        if not _handles_a_lock(frame) or self._locks_waited_for >= LOCK_ATTEMPTS:
            return False
        self._locks_waited_for += 1
        return True

    def _on_dropped(self, dropped: sys.UnraisableHookArgs) -> None:
        """Called by Python with an exception that it drops."""
        ours = dropped.exc_type is KeyboardInterrupt and in_main_thread()
        if not ours or not self.received or self._over:
            self._unraisable(dropped)
            return
        self._raised_at = None
        self._send_later(self.received.pop())

    def _send_later(self, name: signal.Signals) -> None:
        """Send a signal to the main thread in a moment; it also wakes a thread that waits."""

        def send() -> None:
            time.sleep(LATER_S)
            if self._over:
                return
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(threading.main_thread().ident or 0, name)
            else:
                signal.raise_signal(name)

        # A thread of the module threading would take locks, which the main thread may hold.
        start_new_thread(send, ())


def act_on_another(name: signal.Signals, handler: Any, first_at: float) -> None:
    """Do what a signal did before, unless it is the same request as the first."""
    if time.monotonic() - first_at >= SAME_S:
        signal.signal(name, handler)
        signal.raise_signal(name)


def _runs_within(frame: FrameType | None, outer: FrameType | None) -> bool:
    """Whether a frame is another or was called by it."""
    while frame is not None and frame is not outer:
        frame = frame.f_back
    return frame is not None


def _running_imports(frame: FrameType | None) -> int:
    """How many imports a frame runs within."""
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename == IMPORT_SYSTEM
        frame = frame.f_back
    return count


def _handles_a_lock(frame: FrameType | None) -> bool:
    """Whether a frame runs within Python code that takes or releases a lock."""
    if frame is not None and frame.f_globals.get("__name__") == "contextlib":
        return True  # between a block and what takes care of it
    while frame is not None and frame.f_globals.get("__name__") not in LOCKING_MODULES:
        frame = frame.f_back
    if frame is None or frame.f_code in INTERRUPTIBLE:
        return False
    # Has let go of its lock, waits, and takes it again whatever comes.
    waits = frame.f_code is threading.Condition.wait.__code__ and "saved_state" in frame.f_locals
    return not waits


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Ending signals wait until the block is done; one that comes more than a second after another
    does not.
    """
    before = {
        number: signal.getsignal(number)
        for number in ENDING_SIGNALS
        if in_main_thread() and signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    waiting: list[int] = []
    first_at = 0.0

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal first_at
        if waiting:
            name = signal.Signals(number)
            act_on_another(name, before[name], first_at)
            return
        first_at = time.monotonic()
        waiting.append(number)

    try:
        for number in before:
            signal.signal(number, on_signal)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])


def in_main_thread() -> bool:
    """Whether signal handlers may be set here."""
    return threading.current_thread() is threading.main_thread()
