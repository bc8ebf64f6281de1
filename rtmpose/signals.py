"""Signals that end a run: SIGTERM and SIGHUP act like Ctrl-C; all wait while files are closed."""

from __future__ import annotations

import inspect
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
IMPORT_SYSTEM = "<frozen importlib._bootstrap>"
LATER_S = 0.02


class JobInterrupted(KeyboardInterrupt):
    """A job was interrupted; the text says what was kept."""


@contextmanager
def end_as_interrupt() -> Iterator[list[signal.Signals]]:
    """SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, once; a second signal
    of the same kind does what it did before.

    A signal during an import comes when the module is there: half a module, which would stay in
    memory, gives errors that hide the interruption.

    Gives the list of the signals that came. A signal that is ignored (nohup) stays so.
    """
    received: list[signal.Signals] = []
    imports = _running_imports(inspect.currentframe())

    def on_signal(number: int, frame: FrameType | None) -> None:
        if _running_imports(frame) > imports:
            _send_later(number)
            return
        received.append(signal.Signals(number))
        signal.signal(number, before[signal.Signals(number)])
        raise KeyboardInterrupt

    replaced = (signal.SIG_DFL, signal.default_int_handler)
    before = {
        number: signal.getsignal(number)
        for number in ENDING_SIGNALS
        if in_main_thread() and signal.getsignal(number) in replaced
    }
    try:
        for number in before:
            signal.signal(number, on_signal)
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _running_imports(frame: FrameType | None) -> int:
    """How many imports a frame runs within."""
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename == IMPORT_SYSTEM
        frame = frame.f_back
    return count


def _send_later(number: int) -> None:
    """Send a signal to the main thread in a moment; it also wakes a thread that waits."""
    if hasattr(signal, "pthread_kill"):
        timer = threading.Timer(
            LATER_S, signal.pthread_kill, (threading.main_thread().ident, number)
        )
    else:
        timer = threading.Timer(LATER_S, signal.raise_signal, (number,))
    timer.daemon = True
    timer.start()


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Ending signals wait until the block is done; a second one of the same kind does not."""
    before = {
        number: signal.getsignal(number)
        for number in ENDING_SIGNALS
        if in_main_thread() and signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    waiting: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        waiting.append(number)
        signal.signal(number, before[signal.Signals(number)])

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
