"""The surroundings of a training: stop signals, error messages, OpenCV's threads."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import cv2

from rtmpose.errors import RtmposeError
from rtmpose.training.recipes import Recipe

LOST_PEER_WORDS = ("connection", "gloo", "nccl", "socket", "peer")
"""Words in the errors of a process when another one has died."""


def explain_error(
    error: RuntimeError, recipe: Recipe, folder: Path, processes: int
) -> RtmposeError | None:
    """An error that says what to do, for those of torch that a user can act on; None for others."""
    # torch raises plain RuntimeErrors: they are told apart by their words.
    text = str(error).lower()
    if "out of memory" in text or "allocate memory" in text:
        return RtmposeError(_memory_advice(recipe))

    # A process that lost another one reports a broken connection, in one of several libraries.
    if processes > 1 and any(word in text for word in LOST_PEER_WORDS):
        return RtmposeError(
            f"another process of the training is gone ({str(error).strip().splitlines()[0][:120]});"
            f" the last state is in {folder}: go on with the same command and --resume"
        )
    return None


def _memory_advice(recipe: Recipe) -> str:
    schedule = recipe.schedule

    # Half the batch and twice the accumulated batches: the same step of the optimizer.
    half = max(schedule.batch_size // 2, 1)
    return (
        f"memory ran out with {schedule.batch_size} samples at a time. The same training in less"
        f" memory: --set batch_size={half} --set accumulate={schedule.accumulate * 2}"
        + ("" if recipe.precision == "bf16" else " or --set precision=bf16")
    )


@contextmanager
def one_cv2_thread() -> Iterator[None]:
    """One OpenCV thread: crops are made in several threads already, more would slow them down."""
    before = cv2.getNumThreads()  # the user's setting, put back at the end
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """An event set by Ctrl-C or SIGTERM; the second signal acts as usual."""
    # Only the main thread may set signal handlers.
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    # The first signal asks to stop, and puts the handler from before back for the second.
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, _frame: FrameType | None) -> None:
        event.set()
        signal.signal(number, before[signal.Signals(number)])

    for s in before:
        signal.signal(s, on_signal)
    try:
        yield event
    finally:
        # The handlers from before, also where the training fails.
        for s, handler in before.items():
            signal.signal(s, handler)
