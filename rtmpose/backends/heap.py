"""The heap of the C library: less memory for the same."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache


def trim_heap() -> None:
    """Give back free memory of the heap. Opening a network takes several times its size for a
    moment, which glibc keeps otherwise; elsewhere nothing is done.
    """
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


CORES_PER_HEAP = 4
_M_ARENA_MAX = -8


def keep_few_heaps() -> None:
    """Let all threads of this process share a few heaps: glibc makes one for each thread, up to
    eight for each core, and what is free in one is not used for another. For programs of our own,
    before they start threads; what a user has set stays. Elsewhere nothing is done.
    """
    if "MALLOC_ARENA_MAX" in os.environ or "GLIBC_TUNABLES" in os.environ:
        return
    set_option = _glibc("mallopt")
    if set_option is not None:
        set_option(_M_ARENA_MAX, max(1, (os.cpu_count() or 1) // CORES_PER_HEAP))


FEWEST_FILE_BYTES = 1 << 20
"""Of a block that is worth a file of its own."""


def reclaimable_memory(size: int) -> mmap.mmap | bytearray:
    """Memory for what is seldom read again: on Linux the pages of a file without a name, which
    :func:`let_go` takes out of the process, and the system reads again where they are needed.
    Nobody else can shorten the file. Elsewhere, and where there is no room, memory like any other.
    """
    if size < FEWEST_FILE_BYTES or not sys.platform.startswith("linux"):
        return bytearray(size)
    try:
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return mmap.mmap(file.fileno(), size)
    except OSError:
        return bytearray(size)


def let_go(memory: mmap.mmap | bytearray) -> None:
    """Take the pages of :func:`reclaimable_memory` out of the process; their content stays."""
    if sys.platform.startswith("linux") and isinstance(memory, mmap.mmap):
        memory.madvise(mmap.MADV_DONTNEED)


@cache
def _glibc(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        # Other C libraries have no such function.
        library = ctypes.CDLL(None)
        library.malloc_trim  # noqa: B018
        found: Callable[..., int] = getattr(library, name)
    except (OSError, AttributeError):
        return None
    return found
