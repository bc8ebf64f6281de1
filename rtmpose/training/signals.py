"""The surroundings of a training: stop signals, error messages, OpenCV's threads."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import cv2

from rtmpose.errors import RtmposeError
from rtmpose.signals import ENDING_SIGNALS, act_on_another, in_main_thread
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


class StopRequest:
    """Whether a training is to save and end. Signal handlers set it, so it has no lock."""

    def __init__(self) -> None:
        self._asked = False

    def set(self) -> None:
        """Ask it to end."""
        self._asked = True

    def is_set(self) -> bool:
        """Whether it was asked to end."""
        return self._asked


@contextmanager
def stop_signal() -> Iterator[StopRequest]:
    """A request made by Ctrl-C, SIGTERM and the other signals that end a run; a signal that comes
    more than a second later acts as usual.
    """
    # Only the main thread may set signal handlers.
    request = StopRequest()
    if not in_main_thread():
        yield request
        return

    # A signal that is ignored (nohup) stays so.
    before = {
        number: signal.getsignal(number)
        for number in ENDING_SIGNALS
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    asked_at: list[float] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        request.set()
        if asked_at:
            name = signal.Signals(number)
            act_on_another(name, before[name], asked_at[0])
        asked_at.append(time.monotonic())

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield request
    finally:
        # The handlers from before, also where the training fails.
        for number, handler in before.items():
            signal.signal(number, handler)
