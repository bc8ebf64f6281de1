"""What surrounds a training: signals to stop, errors put into words, OpenCV's threads."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from rtmpose.errors import RtmposeError
from rtmpose.training.recipes import Recipe

LOST = ("connection", "gloo", "nccl", "socket", "peer")
"""Words in errors of a process whose partner has died."""


def explained(
    error: RuntimeError, recipe: Recipe, folder: Path, processes: int
) -> RtmposeError | None:
    """An error that says what to do, for those of torch that a user can do something about."""
    text = str(error).lower()
    if "out of memory" in text or "allocate memory" in text:
        return RtmposeError(_memory_advice(recipe))
    if processes > 1 and any(word in text for word in LOST):
        return RtmposeError(
            f"another process of the training is gone ({str(error).strip().splitlines()[0][:120]});"
            f" the last state is in {folder}: go on with the same command and --resume"
        )
    return None


def _memory_advice(recipe: Recipe) -> str:
    half = max(recipe.batch // 2, 1)
    return (
        f"memory ran out with {recipe.batch} samples at a time. The same training in less memory:"
        f" --set batch={half} --set accumulate={recipe.accumulate * 2}"
        + ("" if recipe.precision == "bf16" else " or --set precision=bf16")
    )


@contextmanager
def one_cv2_thread() -> Iterator[None]:
    """Crops are made in threads of their own; more threads within each would only get in the way."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """An event set by Ctrl-C or SIGTERM; the second signal acts as usual."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: Any) -> None:
        event.set()
        signal.signal(number, before[signal.Signals(number)])

    for s in before:
        signal.signal(s, note)
    try:
        yield event
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
