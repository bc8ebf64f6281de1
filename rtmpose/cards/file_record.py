"""Sizes and checksums of model files, kept in the card next to them.

Some engines end the whole process when a file is damaged. Files that ``rtmpose export`` writes for
them have a record, and are compared with it before the engine sees them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rtmpose.errors import ModelError
from rtmpose.text_files import read_json

RECORD_KEY = "weights"
"""Name of the record among the fields of a card next to a model."""


@dataclass(frozen=True)
class FileRecord:
    """What a file was when it was written.

    Attributes:
        size: Bytes.
        sha256: Hex digest.
    """

    size: int
    sha256: str


def record_of(path: Path) -> FileRecord:
    """The record of a file as it is now.

    Raises:
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    return FileRecord(len(content), hashlib.sha256(content).hexdigest())


def records_to_table(paths: Iterable[Path]) -> dict[str, dict[str, object]]:
    """Records as a table for JSON, by the files' suffixes: files may be renamed together."""
    return {path.suffix: asdict(record_of(path)) for path in paths}


def read_records(card_path: Path) -> Mapping[str, FileRecord] | None:
    """The records in a card next to a model, by suffix; None where there are none.

    Raises:
        ModelError: the card is no JSON, or its record is damaged.
    """
    if not card_path.is_file():
        return None
    try:
        table = read_json(card_path)
        records = table.get(RECORD_KEY)
        if records is None:
            return None
        return {
            suffix: FileRecord(int(entry["size"]), str(entry["sha256"]).lower())
            for suffix, entry in records.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ModelError(
            f"{card_path} is damaged ({error!r}), so the model cannot be checked; export it again"
        ) from error


def check_file(path: Path, records: Mapping[str, FileRecord]) -> None:
    """Compare a file with its record.

    Raises:
        ModelError: it has none, or is another file than the one that was written.
    """
    expected = records.get(path.suffix)
    if expected is None:
        raise ModelError(f"the card of {path} has no record of it; export the model again")
    try:
        found = record_of(path)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    if found.size != expected.size:
        raise ModelError(
            f"{path} has {found.size:,} bytes, but {expected.size:,} were written at the export: it"
            " is incomplete or another file; copy it again, or export the model again"
        )
    if found != expected:
        raise ModelError(
            f"{path} is not what was written at the export (its sha256 differs): it is damaged or"
            " was changed; copy it again, or export the model again"
        )
