"""Signals that end a run: SIGTERM and SIGHUP act like Ctrl-C; all wait while files are closed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class JobInterrupted(KeyboardInterrupt):
    """A job was interrupted; the text says what was kept."""


@contextmanager
def end_as_interrupt() -> Iterator[list[signal.Signals]]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, once; a second one kills.

    Gives the list of the signals that came. A signal that is ignored (nohup) stays so.
    """
    received: list[signal.Signals] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = {
        number: signal.getsignal(number)
        for number in ENDING_SIGNALS
        if in_main_thread() and signal.getsignal(number) is signal.SIG_DFL
    }
    try:
        for number in before:
            signal.signal(number, on_signal)
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
