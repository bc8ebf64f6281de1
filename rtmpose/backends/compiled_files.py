"""Networks as an engine compiled them, kept in the cache folder: loading one takes a third of the
time of compiling it.

What a network was made from is part of the name of its file, so that an outdated one is never
found. Files that cannot be kept or read only cost the time of compiling.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
from collections.abc import Mapping
from pathlib import Path

from rtmpose.backends.cpu import ISA_LIMITS, this_cpu
from rtmpose.backends.heap import reclaimable_memory
from rtmpose.errors import RtmposeError
from rtmpose.files import write_bytes
from rtmpose.paths import cache_folder
from rtmpose.text_files import Json, to_json

log = logging.getLogger(__name__)

METHOD_VERSION = 3
"""Part of the names: raise it when a network is changed in another way before it is compiled."""

MOST_BYTES = 400_000_000
"""Of all files together; the oldest ones go first."""

_DIGEST_BYTES = 32


class CompiledFiles:
    """The compiled forms of one network, of one version of the engine, on one kind of processor.

    Args:
        made_from: What the network was made from, apart from the form it is compiled in; None for a
            network of which nothing is kept.
    """

    def __init__(self, made_from: Mapping[str, Json] | None) -> None:
        self._digest = ""
        if made_from is None:
            return
        cpu = this_cpu()
        limits = {name: os.environ.get(name, "") for name in ISA_LIMITS}
        machine = [cpu.name, sorted(cpu.flags), limits]
        self._digest = _short(to_json([dict(made_from), machine, METHOD_VERSION]))

    @property
    def used(self) -> bool:
        """Whether anything is kept."""
        return bool(self._digest)

    def find(self, form: str) -> bytearray | mmap.mmap | None:
        """What was kept for a form of the network, such as its batch and size; None if nothing.

        Large ones are in :func:`rtmpose.backends.heap.reclaimable_memory`.
        """
        if not self.used:
            return None
        file = self._file(form)
        try:
            with file.open("rb") as opened:
                digest = opened.read(_DIGEST_BYTES)
                size = max(0, os.fstat(opened.fileno()).st_size - _DIGEST_BYTES)
                compiled = reclaimable_memory(size)
                opened.readinto(compiled)
        except OSError:
            return None
        # The engine must never see what is damaged: it trusts these files.
        if hashlib.sha256(compiled).digest() != digest:
            log.warning("%s is damaged, so the network is compiled again", file)
            return None
        return compiled

    def keep(self, form: str, compiled: bytes) -> None:
        """Keep a compiled form; where that is not possible, nothing happens."""
        if not self.used or len(compiled) > MOST_BYTES // 4:
            return
        try:
            write_bytes(self._file(form), hashlib.sha256(compiled).digest() + compiled)
            _remove_oldest(_folder())
        except (OSError, RtmposeError) as error:
            log.debug("a compiled network could not be kept in %s: %s", _folder(), error)

    def _file(self, form: str) -> Path:
        return _folder() / f"{self._digest}-{_short(form)}.bin"


def compiled_size() -> tuple[int, int]:
    """Number of compiled networks that are kept, and their bytes."""
    sizes = [size for _, size, _ in _kept(_folder())]
    return len(sizes), sum(sizes)


def _folder() -> Path:
    return cache_folder() / "compiled"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kept(folder: Path) -> list[tuple[float, int, Path]]:
    """When each file was made, its bytes, and its path."""
    found = []
    for path in folder.glob("*.bin"):
        try:
            state = path.stat()
        except OSError:  # another process has removed it
            continue
        found.append((state.st_mtime, state.st_size, path))
    return found


def _remove_oldest(folder: Path) -> None:
    kept = sorted(_kept(folder))
    total = sum(size for _, size, _ in kept)
    for _, size, path in kept:
        if total <= MOST_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= size
