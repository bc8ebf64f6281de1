"""Sources that can be read only once: standard input, pipes, process substitution.

Their content is copied to a temporary file, which is removed at the end of the process.
"""

from __future__ import annotations

import functools
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from rtmpose.errors import InputError

STANDARD_INPUT = "-"
STDIN_NAMES = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def is_pipe(path: Path) -> bool:
    """Whether what lies at a path can be read only once."""
    if str(path) in (STANDARD_INPUT, *STDIN_NAMES):
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@functools.cache
def spooled(path: Path) -> Path:
    """A file with the content of a pipe, read to its end once per process.

    Raises:
        InputError: nothing comes from it, or it cannot be read.
    """
    is_stdin = str(path) in (STANDARD_INPUT, *STDIN_NAMES)
    shown = "standard input" if is_stdin else str(path)
    if is_stdin and (sys.stdin is None or not _is_open(0)):
        raise InputError("standard input is closed: nothing can be read from it")
    if is_stdin and os.isatty(0):
        raise InputError(
            "standard input is a terminal: pipe an image or video into it, as in"
            " `cat photo.jpg | rtmpose predict -`"
        )
    target = Path(_folder().name) / str(len(os.listdir(_folder().name)))  # noqa: PTH208
    try:
        # Descriptor 0 itself: Python's own object may have read ahead.
        source = os.fdopen(0, "rb", closefd=False) if is_stdin else path.open("rb")
        with source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 2**20)
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror}") from error
    if target.stat().st_size == 0:
        raise InputError(f"{shown} is empty (0 bytes)")
    return target


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="rtmpose-")
