"""Trials that were made on this machine, kept in the cache folder.

A record holds for one model file, one processor, one number of threads and the installed versions
of the engines. Any other combination has a file of its own, so that machines can share a folder.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rtmpose import backend_table as table
from rtmpose.backends.cpu import this_cpu
from rtmpose.backends.prepared_files import digest_of
from rtmpose.backends.trial import Timing
from rtmpose.errors import ModelError, RtmposeError
from rtmpose.files import write_text
from rtmpose.paths import cache_folder
from rtmpose.text_files import Json, read_json, to_json
from rtmpose.usable_cores import usable_cpus

log = logging.getLogger(__name__)

METHOD_VERSION = 2
"""Trials of another version are made again."""


@dataclass(frozen=True)
class TrialKey:
    """What a trial holds for.

    Attributes:
        sha256: Of the model file, with its weights.
        cpu: Name of the processor.
        flags: Digest of what the processor can do.
        threads: That the network may use.
        engines: Installed versions of the engines that ``auto`` chooses from.
        method: Version of the procedure.
    """

    sha256: str
    cpu: str
    flags: str
    threads: int
    engines: Mapping[str, str]
    method: int


@dataclass(frozen=True)
class TrialRecord:
    """A trial: what it holds for, what was timed, and which way was the default.

    Attributes:
        key: What it holds for.
        model: Name of the model file.
        timings: By name of the way.
        default: Name of the way that is used unless another one is clearly faster.
        opening: By name of the way: milliseconds to open the network and to run it once.
        crops: Images of one call in the trial: the people of a frame, or 1 for a detector.
    """

    key: TrialKey
    model: str
    timings: Mapping[str, Timing]
    default: str
    opening: Mapping[str, float]
    crops: int


def trial_key(path: Path, threads: int = 0) -> TrialKey:
    """What a trial of that model file, made now, holds for.

    Args:
        path: The model file.
        threads: As in :class:`rtmpose.backends.BackendOptions`.
    """
    cpu = this_cpu()
    engines: dict[str, str] = {}
    for row in table.BACKENDS:
        if row.automatic:
            engines.update(row.versions())
    return TrialKey(
        digest_of(path),
        cpu.name,
        _digest(" ".join(sorted(cpu.flags))),
        threads or usable_cpus(),
        engines,
        METHOD_VERSION,
    )


# ---- reading and writing


_read: dict[Path, TrialRecord | None] = {}
"""What this process has read. A trial that is made meanwhile counts from the next start on, so that
all networks of a run are opened alike."""


def find_trial(path: Path, threads: int = 0) -> TrialRecord | None:
    """The trial of a model file on this machine; None where none was made."""
    # Most machines have none: then nothing is computed.
    folder = _folder()
    try:
        if not any(folder.glob("trial-*.json")):
            return None
        key = trial_key(path, threads)
    except (OSError, ModelError):
        return None

    file = _file(folder, key)
    if file not in _read:
        _read[file] = _load(file, key)
    return _read[file]


def keep_trial(record: TrialRecord) -> bool:
    """Keep a trial; False where the cache folder cannot be written."""
    file = _file(_folder(), record.key)
    _read[file] = record
    try:
        write_text(file, to_json(asdict(record), indent=2))
    except RtmposeError as error:
        log.warning("the trial of %s could not be kept: %s", record.model, error)
        return False
    return True


def _folder() -> Path:
    return cache_folder() / "prepared"


def _file(folder: Path, key: TrialKey) -> Path:
    return folder / f"trial-{_digest(to_json(asdict(key)))}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _load(file: Path, key: TrialKey) -> TrialRecord | None:
    if not file.is_file():
        return None
    try:
        return _record_from(read_json(file), key)
    # A damaged file is as good as none.
    except (RtmposeError, TypeError, KeyError, ValueError, AttributeError) as error:
        log.warning("%s is damaged and not used: %r", file, error)
        return None


def _record_from(content: Json, key: TrialKey) -> TrialRecord:
    """The record in the content of a file that :func:`keep_trial` wrote."""
    if content["key"] != asdict(key):
        raise ValueError("it is of another model or machine")
    timings = {
        str(name): Timing(float(t["median"]), float(t["quick"]))
        for name, t in content["timings"].items()
    }
    default = str(content["default"])
    if default not in timings or not all(t.median > 0 and t.quick > 0 for t in timings.values()):
        raise ValueError("its times are none")
    opening = {str(name): float(time) for name, time in content["opening"].items()}
    crops = int(content["crops"])
    if opening.keys() != timings.keys() or not all(t >= 0 for t in opening.values()) or crops < 1:
        raise ValueError("its times of opening are none")
    return TrialRecord(key, str(content["model"]), timings, default, opening, crops)
