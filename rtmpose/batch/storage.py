"""Files that lie elsewhere, reached through fsspec: ``s3://``, ``gs://``, ``memory://``, ...

A file is copied to this machine while it is worked on, and removed afterwards.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtmpose.errors import InputError, MissingDependencyError, OutputError, RtmposeError
from rtmpose.sources.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_url

SAMPLE = 65536
"""Bytes at both ends of a file by which it is known again."""
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}


@dataclass(frozen=True)
class Fingerprint:
    """What a source looked like when it was read.

    Attributes:
        size: Bytes; -1 where unknown.
        changed: When it was changed, or the store's word for its version; empty where unknown.
        sample: Digest of both ends; empty where it was not read.
    """

    size: int = -1
    changed: str = ""
    sample: str = ""

    def differs_from(self, name: str, now: Fingerprint) -> bool:
        """Whether the source is another one now. A copy with a new date is the same."""
        if self.size < 0 or now.size < 0:
            return False
        if self.size != now.size:
            return True
        if self.changed == now.changed or not self.sample:
            return False
        return is_remote(name) or sample_of(Path(name)) != self.sample


def is_remote(name: str) -> bool:
    """Whether a name is read through fsspec."""
    return "://" in name and not is_url(name) and not name.startswith("file://")


def listed(name: str, *, recursive: bool) -> list[str]:
    """The single files behind an address: itself, the media of a folder, or matches of a pattern.

    Raises:
        InputError: there is nothing, or the store cannot be reached.
        MissingDependencyError: fsspec or the store's package is not installed.
    """
    with store(name) as (system, path):
        if any(mark in path for mark in "*?["):
            found = [match for match in system.glob(path) if system.isfile(match)]
        elif system.isdir(path):
            inside = system.find(path, maxdepth=None if recursive else 1)
            found = [file for file in inside if _is_media(file)]
        else:
            # One spelling of one file, but for chains of file systems.
            return [name if "::" in name else system.unstrip_protocol(path)]
        if not found:
            raise InputError(f"{name} has no images or videos")
        return [system.unstrip_protocol(file) for file in sorted(found)]


@contextmanager
def fetched(name: str) -> Iterator[Path]:
    """A copy of a file on this machine, with the same suffix; gone at the end.

    Raises:
        InputError: it cannot be read.
    """
    suffix = Path(name.split("?")[0]).suffix
    with tempfile.TemporaryDirectory(prefix="rtmpose-batch-") as folder:
        copy = Path(folder) / f"source{suffix}"
        with store(name) as (system, path):
            if not system.isfile(path):
                raise InputError(f"{name} does not exist")
            system.get_file(path, str(copy))
        yield copy


def fingerprint(name: str) -> Fingerprint:
    """What a source looks like now, without reading it; nothing is known of streams."""
    if is_url(name):
        return Fingerprint()
    if not is_remote(name):
        try:
            status = os.stat(name)  # noqa: PTH116 (a name may be no path)
        except (OSError, ValueError):
            return Fingerprint()
        return Fingerprint(status.st_size, str(status.st_mtime_ns))
    with store(name) as (system, path):
        info = system.info(path)
    version = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("created")
    return Fingerprint(int(info.get("size") or 0), str(version or ""))


def sample_of(path: Path) -> str:
    """Digest of both ends of a file; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(SAMPLE)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - SAMPLE))
            tail = file.read(SAMPLE)
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(head + tail).hexdigest()[:16]


@contextmanager
def store(
    name: str, kind: type[InputError] | type[OutputError] = InputError
) -> Iterator[tuple[Any, str]]:
    """The file system of an address, and the path in it.

    Args:
        name: The address.
        kind: Of the errors, which name the address.

    Raises:
        InputError, OutputError: the store cannot be reached, or refuses.
        MissingDependencyError: fsspec or the store's package is not installed.
    """
    if importlib.util.find_spec("fsspec") is None:
        raise MissingDependencyError(f"{name} needs fsspec: pip install 'rtmpose[scale]'")
    import fsspec

    scheme = name.split("://", 1)[0]
    verb = "read" if kind is InputError else "written"
    try:
        yield fsspec.core.url_to_fs(name)
    except ImportError as error:
        package = PACKAGES.get(scheme)
        remedy = f"{scheme}:// needs {package}: pip install {package}" if package else str(error)
        raise MissingDependencyError(f"{name} cannot be {verb}: {remedy}") from error
    except FileNotFoundError as error:
        if kind is InputError:
            raise InputError(f"{name} does not exist") from error
        raise OutputError(f"{name} cannot be written: {_words(error, scheme)}") from error
    except RtmposeError:
        raise
    # Each store has errors of its own: names, rights, networks.
    except Exception as error:
        raise kind(f"{name} cannot be {verb}: {_words(error, scheme)}") from error


def _words(error: Exception, scheme: str) -> str:
    """What a store says, in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    if "redentials" in text and scheme == "s3":
        text += "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    elif isinstance(error, PermissionError):
        text += "; are the credentials right, and do they allow it?"
    return text


def _is_media(file: str) -> bool:
    path = Path(file)
    return not path.name.startswith(".") and path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES
