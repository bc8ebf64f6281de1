"""Standard output and error that are closed, full, or read by nobody."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

STANDARD_DESCRIPTORS = 3


def occupy_closed_streams() -> None:
    """Give closed standard descriptors to the null device.

    Otherwise the next file that is opened gets the number, and what a library prints lands in it.
    """
    with suppress(OSError):
        descriptor = os.open(os.devnull, os.O_RDWR)
        while descriptor < STANDARD_DESCRIPTORS:
            descriptor = os.dup(descriptor)
        os.close(descriptor)


def show_any_character() -> None:
    """Let streams of a small character set (``LC_ALL=C``) show other characters as codes."""
    for stream in (sys.stdout, sys.stderr):
        # Streams that others put in their place may have no such settings.
        if isinstance(stream, io.TextIOWrapper) and stream.errors != "backslashreplace":
            if stream.encoding.lower().replace("-", "") == "utf8":
                continue
            stream.reconfigure(errors="backslashreplace")


def flush_stdout() -> OSError | None:
    """Write what is waiting for standard output; the error, after which the rest is discarded."""
    try:
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()
    except OSError as error:
        discard_stdout()
        return error
    return None


def discard_stdout() -> None:
    """Let all further output of this process vanish, so that its end is quiet."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def tell(text: str) -> None:
    """A line on standard error, if it is there."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
