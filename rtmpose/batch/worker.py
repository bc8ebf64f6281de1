"""One worker: takes units, writes their files and their entries in the ledger.

The order makes it exact: the file of a unit gets its name when it is whole, then the entry is
written. Whoever finds a file without an entry takes the entry out of it. A unit that is done is
never done again, whoever hands it out.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rtmpose.batch.ledger import (
    DONE,
    FAILED,
    Busy,
    Entry,
    Ledger,
    SourceEntry,
    as_begun,
    entry_in_file,
)
from rtmpose.batch.models import Found, Models
from rtmpose.batch.remote_folder import RemoteFolder
from rtmpose.batch.settings import FOLDERS, BatchSettings, EngineOptions
from rtmpose.batch.storage import Fingerprint, fetched, fingerprint, is_remote, sample_of
from rtmpose.batch.unit_files import UnitFiles
from rtmpose.batch.units import Unit
from rtmpose.errors import BackendError, InputError, RtmposeError
from rtmpose.files import AtomicFile, make_folder, move_file
from rtmpose.shown_names import utf8_name
from rtmpose.sources import SourceItem, expand_sources, probe
from rtmpose.sources.kinds import is_url, kind_of_file
from rtmpose.text_files import to_json
from rtmpose.writers.base import FrameRecord

log = logging.getLogger(__name__)

ENDED_WITH = 2
"""Workers that may end, killed or crashed, while they work on one source; then it failed."""
ENDED = f"{ENDED_WITH} workers ended, crashed or killed, while they worked on it"
BROKEN_ENGINE = 5
"""Sources in a row that the engine fails on before the worker gives up."""


@dataclass(frozen=True)
class WorkerOptions:
    """What a worker needs to know besides the settings; plain values, as it may run elsewhere.

    Attributes:
        out: The output folder, absolute.
        settings: What the results depend on.
        engine: What the networks run on.
        run: Name of the run.
        retry_failed: Do units again that failed.
        remote: Address of the folder in a store whose mirror ``out`` is; empty where it is none.
    """

    out: str
    settings: BatchSettings
    engine: EngineOptions
    run: str = ""
    retry_failed: bool = False
    remote: str = ""


class Worker:
    """Holds opened models; use it for many units.

    Args:
        options: What to do, and where.
        on_frame: Called after every frame.

    Raises:
        ModelError: a model is not available.
        BackendError: engine or device are not available.
    """

    def __init__(self, options: WorkerOptions, on_frame: Callable[[], None] | None = None) -> None:
        self.options = options
        remote = RemoteFolder(options.remote) if options.remote else None
        self.ledger = Ledger(Path(options.out), remote)
        # On another machine there is no mirror yet.
        for folder in FOLDERS if remote else ():
            make_folder(Path(options.out) / folder)
        self.models = Models(options.settings, options.engine)
        self._on_frame = on_frame
        self._engine_failures = 0
        # A folder of its own: names of other machines' unfinished files are no business of ours.
        self._folder = Path(options.out) / "work" / f"{socket.gethostname()}-{secrets.token_hex(4)}"

    def close(self) -> None:
        """Remove the worker's folder of unfinished files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, unit: Unit) -> Entry:
        """Do a unit, unless it is done.

        Returns:
            Its entry in the ledger.

        Raises:
            OutputError: a file cannot be written.
            BackendError: the engine fails on one source after the other.
        """
        before = self._finished(unit)
        if before is not None:
            return before
        make_folder(self._folder)
        busy = as_begun(unit, self.ledger.busy(unit.key))
        self._note(unit, busy)
        try:
            entry = self._work(unit, busy)
        except BaseException:
            # Interrupted, or the disk is full: no source is to blame.
            with suppress(OSError):
                self.ledger.busy_path(unit.key).unlink(missing_ok=True)
            raise
        self.ledger.send_results(entry)
        self._record(entry)
        self.ledger.send(self.ledger.path(entry.key))
        self.ledger.busy_path(unit.key).unlink(missing_ok=True)
        self._count_engine_failures(entry)
        return entry

    def _finished(self, unit: Unit) -> Entry | None:
        """What an earlier worker left of a unit, if nothing is left to do."""
        entry = self.ledger.entry(unit.key)
        # Killed between the two renames.
        whole = self.ledger.data / f"{unit.name}.parquet"
        if entry is None and self.options.settings.makes_dataset and whole.exists():
            entry = entry_in_file(whole)
            if entry is not None:
                self._record(entry)
        if entry is None or not all((self.ledger.data / name).exists() for name in entry.files):
            return None
        # This run's own failures are not tried again by it.
        retry = self.options.retry_failed and entry.run != self.options.run
        return None if entry.failed and retry else entry

    def _work(self, unit: Unit, busy: Busy) -> Entry:
        """Do all sources of a unit; its entry, when the files have their names."""
        began_s = time.perf_counter()
        looks = [Fingerprint()] * len(unit.sources)
        results = {
            place: self._failed(unit, place, ENDED, Fingerprint())
            for place, source in enumerate(unit.sources)
            if busy.ended_with.get(source, 0) >= ENDED_WITH
        }
        going = [place for place in range(len(unit.sources)) if place not in results]
        frame_rates: dict[str, float] = {}
        settings = self.options.settings
        files = UnitFiles(unit, settings, self.models, frame_rates, self._folder, self.ledger.data)

        # Where a worker ended before, one source after the other tells which of them did it.
        step = 1 if busy.begun > 1 else max(1, len(going))
        try:
            for begin_at in range(0, len(going), step):
                places = going[begin_at : begin_at + step]
                opens = [partial(self._opened, unit, p, looks, frame_rates, busy) for p in places]
                for found in self.models.find(opens):
                    place = places[found.place]
                    if found.frame is None:
                        results[place] = self._result(unit, place, found.error, looks[place], files)
                        continue
                    files.add(_record_of(found, unit.sources[place]))
                    if self._on_frame is not None:
                        self._on_frame()
        except BaseException:
            files.abandon()
            raise

        def make_entry(names: tuple[str, ...]) -> Entry:
            return Entry(
                unit.key,
                unit.part,
                unit.parts,
                names,
                tuple(results[place] for place in sorted(results)),
                socket.gethostname(),
                os.getpid(),
                self.options.run,
                round(time.perf_counter() - began_s, 3),
                self.models.versions(),
            )

        return files.commit(make_entry)

    def _result(
        self,
        unit: Unit,
        place: int,
        error: Exception | None,
        looks: Fingerprint,
        files: UnitFiles,
    ) -> SourceEntry:
        """What became of a source that came to its end."""
        source = unit.sources[place]
        error = error or _changed(source, looks)
        if error is None:
            frames, people = files.finish()
            return SourceEntry(source, DONE, "", unit.tries[place] + 1, frames, people, looks)
        files.discard()
        self._engine_failures += isinstance(error, BackendError)
        return self._failed(unit, place, _reason(error, source), looks)

    def _failed(self, unit: Unit, place: int, reason: str, looks: Fingerprint) -> SourceEntry:
        source = unit.sources[place]
        return SourceEntry(source, FAILED, reason, unit.tries[place] + 1, looks=looks)

    @contextmanager
    def _opened(
        self,
        unit: Unit,
        place: int,
        looks: list[Fingerprint],
        frame_rates: dict[str, float],
        busy: Busy,
    ) -> Iterator[SourceItem]:
        """A source, ready to be read; how it looks is noted. May run in another thread."""
        source = unit.sources[place]
        # Photos are noted one by one only after a worker ended with some of them.
        if busy.begun > 1 and len(unit.sources) > 1:
            self._note(unit, replace(busy, current=source))
        looks[place] = fingerprint(source)
        with _ready(source) as item:
            if "://" not in source:
                looks[place] = replace(looks[place], sample=sample_of(Path(source)))
            item = _with_range(item, self.options.settings, unit)
            fps = None if item.still else probe(item).fps
            if fps is not None:
                frame_rates[utf8_name(source)] = fps
            yield item

    def _note(self, unit: Unit, busy: Busy) -> None:
        self._write(self.ledger.busy_path(unit.key), to_json(vars(busy)), sync=False)

    def _record(self, entry: Entry) -> None:
        make_folder(self._folder)
        # A file of the data set holds its entry: after a power cut it is taken from there.
        sync = not (entry.files and self.options.settings.makes_dataset)
        self._write(self.ledger.path(entry.key), entry.to_text(), sync=sync)

    def _write(self, path: Path, text: str, *, sync: bool) -> None:
        """Write into our folder, then rename: disks of several machines hold no foreign locks."""
        file = AtomicFile(self._folder / path.name)
        try:
            file.write(text)
            file.commit(sync=sync)
        except BaseException:
            file.abandon()
            raise
        move_file(file.path, path)

    def _count_engine_failures(self, entry: Entry) -> None:
        if not entry.failed:
            self._engine_failures = 0
        if self._engine_failures >= BROKEN_ENGINE:
            reason = entry.failed[-1].reason if entry.failed else "no reason was given"
            raise BackendError(
                f"the engine failed on {self._engine_failures} sources in a row: {reason}; mend it"
                " and run the same command again with --retry-failed"
            )


def _record_of(found: Found, source: str) -> FrameRecord:
    assert found.frame is not None
    assert found.poses is not None
    assert found.item is not None
    height, width = found.frame.image.shape[:2]
    return FrameRecord(
        utf8_name(source),
        found.frame.index,
        found.frame.time_s,
        found.poses,
        found.filled,
        found.item.still,
        size_wh=(width, height),
    )


@contextmanager
def _ready(source: str) -> Iterator[SourceItem]:
    """A source that can be opened: what lies in a store is copied to this machine."""
    if is_remote(source):
        with fetched(source) as copy:
            yield SourceItem(source, kind_of_file(copy), content=copy)
        return
    if not is_url(source):
        try:
            found, is_file = os.path.lexists(source), Path(source).is_file()
        except (OSError, ValueError) as error:
            raise InputError(f"it cannot be read: {error}") from error
        if not is_file:
            gone = "it does not exist"
            # All of a drive fail in this way when it goes away.
            if not Path(source).parent.exists():
                gone = "its folder does not exist: is the drive there?"
            raise InputError("it is no file" if found else gone)
    item = expand_sources([source])[0]
    if item.live:
        raise InputError("it is live and has no end; `rtmpose track` follows it")
    yield item


def _changed(source: str, looks: Fingerprint) -> InputError | None:
    """Whether a file was written to while it was read."""
    if looks.size < 0 or "://" in source:
        return None
    now = fingerprint(source)
    if (now.size, now.changed) == (looks.size, looks.changed):
        return None
    return InputError("it was changed, or went away, while it was read")


def _with_range(item: SourceItem, settings: BatchSettings, unit: Unit) -> SourceItem:
    """The source with the frames that are wanted of it."""
    return replace(
        item,
        start_s=settings.start_s if unit.start_s is None else unit.start_s,
        end_s=settings.end_s if unit.end_s is None else unit.end_s,
        limit=settings.limit,
        flip=settings.flip,
        strict=settings.strict,
    )


def _reason(error: Exception, source: str) -> str:
    """Why a source failed, in a line without its name."""
    text = str(error) if isinstance(error, RtmposeError) else f"{type(error).__name__}: {error}"
    if not isinstance(error, RtmposeError):
        log.debug("%s", source, exc_info=error)
    for name in (source, utf8_name(source)):
        text = text.removeprefix(name).removeprefix(":")
    return " ".join(text.split())[:1000]
