"""Commands run within the process: a hundred times cheaper than in one of their own."""

import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO, cast

import cv2

from fault_kinds.engine import PromiseError, tell_doing
from fault_kinds.media import picture
from rtmpose.cli import main

ENGINE = ("--backend", "onnxruntime", "--device", "cpu", "--threads", "1")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    arguments: tuple[str, ...]
    status: int
    out: str
    err: str


class _Stderr(logging.StreamHandler[IO[str]]):
    """Warnings go to what is standard error at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (of the base)
        raise


def run_command(arguments: Sequence[str]) -> Ended:
    """Run one command; exceptions that reach its end come through.

    Raises:
        PromiseError: its exit status or its words are none that a command may have.
    """
    before = sys.stdout, sys.stderr
    logging.root.handlers[:] = [_Stderr(logging.WARNING)]
    files = _text_file(), _text_file()
    sys.stdout, sys.stderr = files
    tell_doing(repr(arguments))
    try:
        status = main(list(arguments))
    finally:
        sys.stdout, sys.stderr = before
    texts = []
    for file in files:
        if not file.closed:
            file.seek(0)
            texts.append(file.read())
            file.close()
    ended = Ended(tuple(arguments), status, *texts)
    check(ended)
    return ended


def _text_file() -> TextIO:
    # Closed when it was read; a command may close it before.
    file = tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    return cast(TextIO, file)


def check(ended: Ended) -> None:
    """What holds for every command.

    Raises:
        PromiseError: it does not.
    """
    shown = " ".join(ended.arguments)
    if ended.status not in (0, 1, 2):
        raise PromiseError(f"exit status {ended.status}: {shown}")
    if "Traceback" in ended.err:
        raise PromiseError(f"a traceback on standard error: {shown}")
    if ended.status and not (ended.err.strip() or ended.out.strip()):
        raise PromiseError(f"exit status {ended.status} without a word: {shown}")


def label(ended: Ended) -> str:
    """What happened, in words."""
    if ended.status:
        # `data check` has found faults in what it read.
        reported = ended.arguments[:2] == ("data", "check") and ended.out.strip()
        return "reported" if reported else "refused"
    return "done with a warning" if ended.err.strip() else "done"


def tiny_models(folder: Path) -> tuple[str, str]:
    """A detector that always finds one person, and a pose network, of a few kilobytes."""
    from networks import fixed_detector, spot_pose

    detector = fixed_detector(folder / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    return str(detector), str(spot_pose(folder / "spot.onnx"))


def photo(path: Path, seed: int = 1) -> str:
    """A small image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture(seed))
    return str(path)
