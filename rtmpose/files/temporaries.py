"""Temporary files and folders of outputs: made next to their targets, locked while they are in use,
and removed by a later run where the run that made them died.

A temporary file is open and locked until its run ends, however it ends. What nobody holds a lock
on is left over from a run that was killed. On systems without such locks (Windows) the age decides.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rtmpose.files.locks import HAS_LOCKS, try_lock

log = logging.getLogger(__name__)

FOLDER_RECORD = ".rtmpose-files"
"""Lists, in a folder written by this package, the files that belong to it."""

MAX_NAME = 40
"""Characters of the target's name that a temporary name repeats, as names have a length limit."""

OLD_AGE_S = 3600.0
"""Where files cannot be locked, a temporary file of this age counts as left over."""

TEMPORARY = re.compile(r"\..+\.rtmpose-[0-9a-f]{8}\.tmp(\.\w+)?", re.DOTALL)
REPLACED = re.compile(r"\.(?P<name>.+)\.rtmpose-[0-9a-f]{8}\.old", re.DOTALL)


def create_temporary_file(target: Path, suffix: str) -> tuple[Path, int | None]:
    """Make an empty file next to a target, with the permissions that the umask asks for.

    Returns:
        Its path, and the descriptor that holds its lock; None on systems without locks.

    Raises:
        OSError: the folder cannot be written.
    """
    while True:
        path = _temporary_name(target, suffix)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if not HAS_LOCKS:
            os.close(descriptor)
            return path, None
        if _hold(path, descriptor):
            return path, descriptor


def create_temporary_folder(target: Path) -> tuple[Path, int | None]:
    """Make an empty folder next to a target; see :func:`create_temporary_file`.

    Raises:
        OSError: the folder above it cannot be written.
    """
    while True:
        path = _temporary_name(target, "")
        path.mkdir()
        if not HAS_LOCKS:
            return path, None
        descriptor = os.open(path, os.O_RDONLY)
        if _hold(path, descriptor):
            return path, descriptor


def release(descriptor: int | None) -> None:
    """End the lock on a temporary file or folder."""
    if descriptor is not None:
        with suppress(OSError):
            os.close(descriptor)


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """The name under which a folder lies while a new one takes its place, locked meanwhile.

    Raises:
        OSError: the folder cannot be read.
    """
    descriptor = os.open(target, os.O_RDONLY) if HAS_LOCKS else None
    try:
        if descriptor is not None:
            _lock_if_possible(descriptor)
        yield target.with_name(f".{target.name}.rtmpose-{secrets.token_hex(4)}.old")
    finally:
        release(descriptor)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what killed runs left under temporary names in a folder.

    A folder that a killed run had moved away, to put a new one in its place, is put back.

    Returns:
        What was removed or put back. What cannot be removed stays without an error.
    """
    found: list[Path] = []
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.startswith(".")]
    except OSError:
        return found
    for name in names:
        path = folder / name
        replaced = REPLACED.fullmatch(name)
        if not (replaced or TEMPORARY.fullmatch(name)) or path.is_symlink():
            continue
        with suppress(OSError):
            if _handle_leftover(path, replaced and folder / replaced["name"]):
                found.append(path)
    if found:
        log.info("removed %d temporary files of killed runs from %s", len(found), folder)
    return found


def settle_replaced(replaced: Path, target: Path) -> None:
    """Remove the earlier version of a folder. Files in it that this package did not write move into
    the new one; where their name is taken there, they get a number.

    Raises:
        OSError: something cannot be moved; nothing is lost, the earlier version stays then.
    """
    ours = recorded_files(replaced)
    for name in files_below(replaced):
        if name in ours:
            continue
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (replaced / name).rename(free_name(place) if os.path.lexists(place) else place)

    # Only what was written by this package is left.
    shutil.rmtree(replaced)


def files_below(folder: Path) -> list[str]:
    """Relative names of all files in a folder, without the record of them."""
    paths = [p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()]
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [name for name in names if name != FOLDER_RECORD]


def recorded_files(folder: Path) -> set[str]:
    """The files of a folder that this package wrote."""
    record = folder / FOLDER_RECORD
    return set(record.read_text(encoding="utf-8").splitlines()) if record.is_file() else set()


def sync_file(path: Path) -> None:
    """Wait until a file is on the disk."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def free_name(path: Path) -> Path:
    """The path with the first number behind it that is not in use."""
    number = 1
    while os.path.lexists(path.with_name(f"{path.name}.{number}")):
        number += 1
    return path.with_name(f"{path.name}.{number}")


def _temporary_name(target: Path, suffix: str) -> Path:
    name = target.name.encode(errors="surrogateescape")[:MAX_NAME].decode(errors="ignore")
    return target.with_name(f".{name}.rtmpose-{secrets.token_hex(4)}.tmp{suffix}")


def _hold(path: Path, descriptor: int) -> bool:
    """Lock what was just made; False if another process took it for left over meanwhile."""
    held = _lock_if_possible(descriptor)
    with suppress(OSError):
        if held and os.path.samestat(os.fstat(descriptor), path.stat()):
            return True
    os.close(descriptor)
    return False


def _lock_if_possible(descriptor: int) -> bool:
    try:
        return try_lock(descriptor)
    except OSError:  # a file system without locks: its temporary files are never removed
        return True


def _handle_leftover(path: Path, target: Path | None) -> bool:
    """Remove a temporary file or folder, or put a replaced folder back, if its run is dead."""
    if not HAS_LOCKS:
        if time.time() - path.stat().st_mtime < OLD_AGE_S:
            return False
        _dispose(path, target)
        return True
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if not try_lock(descriptor):
            return False
        _dispose(path, target)
        return True
    finally:
        os.close(descriptor)


def _dispose(path: Path, target: Path | None) -> None:
    if target is not None:
        if target.exists():
            settle_replaced(path, target)
        else:
            path.rename(target)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


_cleaned: set[Path] = set()
"""Folders whose left over temporary files were removed by this process."""


def clean_once(folder: Path) -> None:
    """Remove what killed runs left in a folder, the first time that this process writes into it."""
    if folder not in _cleaned:
        _cleaned.add(folder)
        remove_leftovers(folder)
