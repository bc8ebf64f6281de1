"""The folder of downloaded weights, and what is known of each file there.

Next to ``model.onnx`` lies ``model.onnx.json``, its record: digest, size and modification time when
it was last checked. A file whose size and time still agree with its record is not hashed again at
every start.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rtmpose.errors import ModelError
from rtmpose.files import write_text
from rtmpose.model_card import ModelFile
from rtmpose.paths import bundled_folder, cache_folder
from rtmpose.text_files import read_json, to_json

log = logging.getLogger(__name__)

CachedState = Literal["absent", "good", "bad"]


@dataclass(frozen=True)
class DownloadRecord:
    """What was found when a cached file was last checked.

    Attributes:
        sha256: Its digest.
        size: Bytes.
        mtime_ns: Modification time.
        source: Where it came from; empty for a file that the user copied there.
    """

    sha256: str
    size: int
    mtime_ns: int
    source: str = ""


def weights_folder() -> Path:
    """Where downloaded weights are kept, inside :func:`cache_folder`; may not exist."""
    return cache_folder() / "weights"


# ---- settings and digests


def is_offline() -> bool:
    """Whether ``RTMPOSE_OFFLINE`` forbids the network."""
    value = os.environ.get("RTMPOSE_OFFLINE", "").strip().lower()
    return value not in ("", "0", "false", "no", "off")


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file.

    Raises:
        ModelError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()


def verify(path: str | Path, sha256: str) -> None:
    """Check a file against a hex sha256 digest.

    Raises:
        ModelError: it differs, or the file cannot be read.
    """
    got = sha256_of(Path(path))
    if got != sha256.lower():
        raise ModelError(
            f"{path} is damaged or another file: its sha256 is {got}, expected {sha256.lower()}; "
            "delete it and it is fetched again"
        )


# ---- the state of a file


def is_bundled(file: ModelFile) -> bool:
    """Whether the file is part of the package: there is nothing to fetch."""
    return any(source.kind == "package" for source in file.sources)


def cached_path(file: ModelFile) -> Path:
    """Where that file is, or would be: in the cache, or in the package."""
    return (bundled_folder() if is_bundled(file) else weights_folder()) / file.name


def cached_state(file: ModelFile) -> CachedState:
    """Whether the file is in the cache and intact.

    A file without a published digest is compared with the digest recorded when it was first seen.
    One that is part of the package is taken as it is (``rtmpose models verify`` reads it).
    """
    path = cached_path(file)
    if is_bundled(file):
        return "good" if path.is_file() else "absent"
    try:
        stat = path.stat()
    except OSError:
        return "absent"  # nothing cached

    # The file need not be read where nothing has changed since the last check.
    record = read_record(path)
    expected = file.sha256 or (record.sha256 if record else "")
    if record is not None and record.sha256 == expected:
        same_size = record.size == stat.st_size
        same_time = record.mtime_ns == stat.st_mtime_ns
        if same_size and same_time:
            return "good"

    # Otherwise it is read once, and the record renewed.
    got = sha256_of(path)
    if stat.st_size == 0 or (expected and got != expected) or not accepts_digest(file, got):
        return "bad"
    write_record(path, got, record.source if record else "")
    return "good"


def digest_prefix(file: ModelFile) -> str:
    """The start of the sha256, which the publisher writes into the names of its ``.pth`` files; or
    empty.

    Files in ``rtmposev1/`` named before 20 April 2023 were published again, smaller, under their
    old names (mmpose pull request 2262): those names say nothing about the digest.
    """
    # Names such as NAME-1a2b3c4d_20230505.pth.
    match = re.search(r"-([0-9a-f]{7,8})(?:_(\d{8}))?\.pth$", file.name)
    if file.format != "pth" or match is None:
        return ""
    republished = (
        any("/rtmposev1/" in s.url for s in file.sources) and (match[2] or "") < "20230420"
    )
    return "" if republished else match[1]


def accepts_digest(file: ModelFile, sha256: str) -> bool:
    """Whether a file of that digest can be this one, as far as is published."""
    return (not file.sha256 or sha256 == file.sha256) and sha256.startswith(digest_prefix(file))


# ---- records


def read_record(path: Path) -> DownloadRecord | None:
    """The record next to a cached file, or None where there is none that can be read."""
    try:
        return DownloadRecord(**read_json(_record_path(path)))
    except (OSError, ValueError, TypeError):
        return None


def write_record(path: Path, sha256: str, source: str) -> None:
    """Record what a cached file is. In a read-only cache nothing is written, and the file is hashed
    each time.
    """
    # Size and time are those of the finished file.
    stat = path.stat()
    record = DownloadRecord(sha256, stat.st_size, stat.st_mtime_ns, source)
    try:
        write_text(_record_path(path), to_json(asdict(record), indent=1))
    except OSError as error:
        log.debug("no record written next to %s: %s", path, error)


def forget(path: Path) -> None:
    """Delete the record of a file that is about to be replaced."""
    _record_path(path).unlink(missing_ok=True)


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")
