"""Who did what: one small file per finished unit, written under another name and renamed.

There is no data base: SQLite must not lie on a network disk, and a log that many machines append to
loses lines there. A rename is whole on every disk. The Parquet files hold their entry too, so that
a worker that is killed between the two renames loses nothing.

    ledger/KEY.json       sources of a unit: done or failed, why, tries; its file
    ledger/KEY.busy.json  a unit that somebody began, and what may have killed them
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rtmpose.batch.remote_folder import RemoteFolder, emptied
from rtmpose.batch.storage import Fingerprint
from rtmpose.batch.units import Unit
from rtmpose.errors import InputError
from rtmpose.text_files import parse_json, read_json, to_json

log = logging.getLogger(__name__)

DONE, FAILED = "done", "failed"
BUSY = ".busy.json"
FOOTER = "rtmpose_batch"
"""Key of the entry in the metadata of a Parquet file."""
KEY_IN_NAME = re.compile(r"-([0-9a-f]{16})(?:-part\d+)?\.\w+$")
READERS = 16
"""Entries that are read at once: a network disk answers late, but many at a time."""


@dataclass(frozen=True)
class SourceEntry:
    """What became of a source, or of a part of it.

    Attributes:
        source: Absolute path or address.
        state: ``done`` or ``failed``.
        reason: Why it failed.
        tries: How often it was tried, this time included.
        frames: Frames that got poses.
        people: Rows, or different people where they are tracked.
        looks: What the source looked like.
    """

    source: str
    state: str
    reason: str = ""
    tries: int = 1
    frames: int = 0
    people: int = 0
    looks: Fingerprint = field(default_factory=Fingerprint)


@dataclass(frozen=True)
class Entry:
    """One unit in the ledger.

    Attributes:
        key: Of the unit.
        part: Which part of the source.
        parts: Of how many.
        files: Names in the folder ``data``; empty where all of its sources failed.
        sources: What became of each.
        host: Machine that did it.
        pid: Process there.
        run: Which run it was part of.
        seconds: How long it took.
        versions: Of the package and the engine.
    """

    key: str
    part: int
    parts: int
    files: tuple[str, ...]
    sources: tuple[SourceEntry, ...]
    host: str = ""
    pid: int = 0
    run: str = ""
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Frames of all its sources."""
        return sum(source.frames for source in self.sources)

    @property
    def failed(self) -> list[SourceEntry]:
        """Sources that failed."""
        return [source for source in self.sources if source.state == FAILED]

    def to_text(self) -> str:
        """As JSON."""
        return to_json(asdict(self))

    @classmethod
    def from_table(cls, table: object) -> Entry:
        """From JSON.

        Raises:
            InputError: it is something else.
        """
        try:
            values = dict(table)  # type: ignore[call-overload]
            values["files"] = tuple(values["files"])
            values["sources"] = tuple(
                SourceEntry(**{**source, "looks": Fingerprint(**source["looks"])})
                for source in values["sources"]
            )
            return cls(**values)
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(f"this is no entry of a ledger: {error!r}") from error


@dataclass
class Busy:
    """A unit that was begun and not finished.

    Attributes:
        begun: How often.
        current: The source that was worked on, where that was noted.
        ended_with: Source to how many workers ended while they worked on it.
    """

    begun: int = 0
    current: str = ""
    ended_with: dict[str, int] = field(default_factory=dict)


class Ledger:
    """The entries of an output folder.

    Args:
        out: The output folder.
        remote: Where it is in a store, of which it is the mirror.
    """

    def __init__(self, out: Path, remote: RemoteFolder | None = None) -> None:
        self.folder = out / "ledger"
        self.data = out / "data"
        self._out = out
        self._remote = remote

    def send(self, *paths: Path) -> None:
        """Copy files of the folder to the store that it mirrors, where it does.

        Raises:
            OutputError: they cannot be written there.
        """
        if self._remote is not None:
            for path in paths:
                self._remote.send(self._out, path.relative_to(self._out).as_posix())

    def send_results(self, entry: Entry) -> None:
        """Copy the files of a unit likewise; their names stay here.

        Raises:
            OutputError: they cannot be written there.
        """
        if self._remote is not None:
            for name in entry.files:
                self.send(self.data / name)
                emptied(self.data / name)

    def path(self, key: str) -> Path:
        """Where the entry of a unit lies."""
        return self.folder / f"{key}.json"

    def busy_path(self, key: str) -> Path:
        """Where it lies while it is worked on."""
        return self.folder / f"{key}{BUSY}"

    def entry(self, key: str) -> Entry | None:
        """The entry of a unit; None where there is none, or it is damaged."""
        try:
            return Entry.from_table(read_json(self.path(key)))
        except InputError as error:
            if self.path(key).exists():
                log.warning("%s is damaged, its sources are done again: %s", self.path(key), error)
            return None

    def busy(self, key: str) -> Busy:
        """What is known of earlier, unfinished work on a unit."""
        try:
            return Busy(**read_json(self.busy_path(key)))
        except (InputError, TypeError):
            return Busy()

    def keys(self) -> list[str]:
        """Of all finished units."""
        names = (path.name for path in self.folder.glob("*.json"))
        return sorted(n.removesuffix(".json") for n in names if not n.endswith(BUSY))

    def entries(self) -> Iterator[Entry]:
        """All of them."""
        with ThreadPoolExecutor(READERS) as readers:
            for entry in readers.map(self.entry, self.keys()):
                if entry is not None:
                    yield entry

    def orphans(self, known: Collection[str]) -> Iterator[tuple[str, Entry]]:
        """Whole Parquet files without an entry, and the entries that they hold.

        Args:
            known: Keys of the entries that can be read.
        """
        for path in self.data.glob("*.parquet"):
            if key_in_name(path.name) not in known:
                entry = entry_in_file(path)
                if entry is not None:
                    yield path.name, entry

    def forget(self, entry: Entry) -> None:
        """Remove a unit and its files, to do it again."""
        import shutil

        # The files first: an entry whose file is gone is noticed, a file without entry comes back.
        for name in entry.files:
            path = self.data / name
            with suppress(FileNotFoundError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.path(entry.key).unlink(missing_ok=True)
        if self._remote is not None:
            for name in entry.files:
                self._remote.remove(f"data/{name}")
            self._remote.remove(f"ledger/{entry.key}.json")


def key_in_name(name: str) -> str:
    """The unit's key in a file's name; empty where there is none."""
    found = KEY_IN_NAME.search(name)
    return found[1] if found else ""


def entry_in_file(path: Path) -> Entry | None:
    """The entry that a Parquet file of a batch holds; None where it holds none."""
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_metadata(path).metadata or {}
        return Entry.from_table(parse_json(table[FOOTER.encode()], str(path)))
    except (OSError, ValueError, KeyError) as error:
        log.warning("%s was not written by a batch: %r", path, error)
        return None


# ---- what the entries say of sources


@dataclass
class SourceState:
    """What all entries say of one source.

    Attributes:
        done: Whether all of it is done.
        failed: Why it failed; empty where it did not.
        tries: How often it was tried.
        frames: Frames that got poses.
        people: As :attr:`SourceEntry.people`, over all parts.
        keys: Of the units it is in.
        looks: What it looked like.
        twice: Whether it is done more than once, which must not be.
    """

    done: bool = False
    failed: str = ""
    tries: int = 0
    frames: int = 0
    people: int = 0
    keys: list[str] = field(default_factory=list)
    looks: Fingerprint = field(default_factory=Fingerprint)
    twice: bool = False


def states_of(entries: Iterable[Entry]) -> dict[str, SourceState]:
    """Source to its state. What is done counts more than what failed before."""
    seen: dict[str, list[tuple[Entry, SourceEntry]]] = {}
    for entry in entries:
        for source in entry.sources:
            seen.setdefault(source.source, []).append((entry, source))
    return {source: _state(found) for source, found in seen.items()}


def _state(found: list[tuple[Entry, SourceEntry]]) -> SourceState:
    state = SourceState(keys=[entry.key for entry, _ in found])
    state.tries = max(source.tries for _, source in found)
    done: dict[int, list[int]] = {}
    for entry, source in found:
        state.looks = source.looks
        if source.state == DONE:
            done.setdefault(entry.parts, []).append(entry.part)
            state.frames += source.frames
            state.people += source.people

    # Cut into as many parts as one of them says, and all of those there.
    whole = [parts for parts, places in done.items() if len(set(places)) == parts]
    state.done = bool(whole)
    state.twice = len(whole) > 1 or any(len(set(p)) < len(p) for p in done.values())
    if not state.done:
        reasons = [source.reason for _, source in found if source.state == FAILED]
        state.failed = reasons[-1] if reasons else ""
    return state


def as_begun(unit: Unit, before: Busy) -> Busy:
    """What is noted when a unit is begun: who died with it last time is remembered."""
    ended_with = dict(before.ended_with)
    if before.current:
        ended_with[before.current] = ended_with.get(before.current, 0) + 1
    # Of a single source it is plain what the worker was at.
    current = unit.sources[0] if len(unit.sources) == 1 else ""
    return Busy(before.begun + 1, current, ended_with)
