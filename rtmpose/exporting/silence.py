"""Keeping converters quiet: what they print, log and warn about is for their own developers."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def no_logging() -> Iterator[None]:
    """Drop log lines up to warnings, and Python warnings."""
    # The level set before comes back, also after errors.
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def no_output() -> Iterator[None]:
    """Drop what is printed, also from C++."""
    # C++ writes to the file descriptors: sys.stdout alone would not catch it.
    _flush()
    saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]  # stdout and stderr
    with open(os.devnull, "wb") as null:  # noqa: PTH123
        for descriptor, _ in saved:
            os.dup2(null.fileno(), descriptor)
        try:
            yield
        finally:
            # Python's buffers belong to the block: they are dropped too.
            _flush()
            for descriptor, copy in saved:
                os.dup2(copy, descriptor)
                os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # Closed ones are None.
        if stream is not None:
            stream.flush()
