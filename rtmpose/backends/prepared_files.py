"""What was measured of a model once, kept in the package or in the cache folder.

A file holds a record and arrays. Its name begins with the digest of the model file: the content
identifies a model, its name says nothing about the weights.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import ModelError
from rtmpose.files import atomic_binary
from rtmpose.paths import bundled_folder, cache_folder
from rtmpose.text_files import Json, parse_json, to_json

log = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[np.generic]]
Found = TypeVar("Found")


def digest_of(path: Path) -> str:
    """The sha256 of a model file, in hex; with its weights where these are in a second file.

    Raises:
        ModelError: it cannot be read, for example because it is gone.
    """
    return _read_once(path)[0]


def content_digest(path: Path) -> str | None:
    """As :func:`digest_of`; None where the weights may be in files that it does not know.

    Raises:
        ModelError: it cannot be read.
    """
    digest, complete = _read_once(path)
    return digest if complete else None


def _read_once(path: Path) -> tuple[str, bool]:
    try:
        return _digest(_states_of(path))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error


def _states_of(path: Path) -> tuple[tuple[Path, int, int, int], ...]:
    """The files of a model, with what tells whether they have changed."""
    files = [path]
    weights = path.with_suffix(".bin")
    if path.suffix.lower() == ".xml" and weights.is_file():
        files.append(weights)
    states = [file.stat() for file in files]
    return tuple(
        (f, s.st_mtime_ns, s.st_size, s.st_ino) for f, s in zip(files, states, strict=True)
    )


@lru_cache(maxsize=8)
def _digest(states: tuple[tuple[Path, int, int, int], ...]) -> tuple[str, bool]:
    """Of all files in these states, and whether no weights are in other files. It is needed several
    times while a model is opened.
    """
    digest = hashlib.sha256()
    complete = True
    for path, *_ in states:
        content = path.read_bytes()
        digest.update(content)
        # ONNX names such files by an entry "location" of each tensor.
        if path is states[0][0] and path.suffix.lower() != ".xml":
            complete = b"location" not in content
    return digest.hexdigest(), complete


def prepared_digest(path: Path) -> str:
    """A digest of all that was prepared for a model file, which changes when it is made again."""
    start = digest_of(path)[:16]
    digest = hashlib.sha256()
    for folder in (bundled_folder(), cache_folder() / "prepared"):
        for file in sorted(folder.glob(f"{start}-*.npz")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def cache_is_writable() -> bool:
    """Whether files can be kept in the cache folder, which may not exist yet."""
    folder = cache_folder()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def prepared_file(digest: str, ending: str) -> Path:
    """Where something about the model file with that sha256 is kept in the cache folder.

    Args:
        digest: In hex.
        ending: Says what it is, and the version of its procedure.
    """
    return cache_folder() / "prepared" / f"{digest[:16]}-{ending}.npz"


def find_prepared(digest: str, ending: str, check: Callable[[Json, Arrays], Found]) -> Found | None:
    """What is kept of the model file with that sha256; None where there is nothing of use.

    Args:
        digest: In hex.
        ending: As in :func:`prepared_file`.
        check: Makes something of the record and the arrays; raises what it likes where they are
            damaged.
    """
    # The package's own first: it needs no write access and no measurement.
    cached = prepared_file(digest, ending)
    for path in (bundled_folder() / cached.name, cached):
        if not path.is_file():
            continue
        try:
            state = path.stat()
            arrays = dict(_arrays(path, state.st_mtime_ns, state.st_size, state.st_ino))
            record = parse_json(str(arrays.pop("record")), path.name)
            if record["sha256"] != digest:
                raise ValueError("it is of another model")
            return check(record, arrays)
        # A damaged archive raises whatever its damage leads to; it is made again then.
        except Exception as error:  # noqa: BLE001
            log.warning("%s is damaged, so the model is calibrated again: %r", path, error)
    return None


@lru_cache(maxsize=4)
def _arrays(path: Path, mtime_ns: int, size: int, inode: int) -> Arrays:
    """The content of a file in that state. It is needed several times while a model is opened."""
    # Opened here, as numpy leaves the file of a damaged archive open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def keep_prepared(path: Path, record: Mapping[str, Json], arrays: Arrays) -> None:
    """Keep a record and arrays; a folder that cannot be written only costs the measurement next
    time.
    """
    # Strings become 0-d arrays, which load without pickle.
    content: Arrays = {"record": np.array(to_json(record)), **arrays}
    try:
        with atomic_binary(path) as file:
            np.savez(file, **content)  # type: ignore[arg-type, unused-ignore]
    except OSError as error:
        log.warning(
            "the calibration of %s could not be kept in %s: %s",
            record["model"],
            path.parent,
            error,
        )
