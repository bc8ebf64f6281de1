"""A whole batch: what is missing is found out, done, and told.

sources -> missing ones -> units -> (cut) -> workers here or on a cluster -> report
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from rtmpose.batch import runs
from rtmpose.batch.cluster import ClusterOptions
from rtmpose.batch.ledger import Entry, Ledger, SourceState, states_of
from rtmpose.batch.listing import Listing
from rtmpose.batch.remote_folder import RemoteFolder
from rtmpose.batch.report import REPORT_FILE, BatchReport, report_of
from rtmpose.batch.segments import cut
from rtmpose.batch.settings import (
    SETTINGS_FILE,
    BatchSettings,
    EngineOptions,
    agree_on_settings,
)
from rtmpose.batch.storage import fingerprint
from rtmpose.batch.units import PHOTOS, Unit, in_shard, make_units
from rtmpose.batch.worker import Worker, WorkerOptions
from rtmpose.errors import InputError
from rtmpose.files import move_file, write_text
from rtmpose.signals import JobInterrupted

log = logging.getLogger(__name__)

LOOKING = 16
"""Sources that are looked at together, to see whether they have changed."""
TELL_S = 0.2
"""Least time between two words on the progress."""


@dataclass(frozen=True)
class BatchProgress:
    """How far a run is.

    Attributes:
        done: Sources done in this run; a part counts as its share.
        failed: Sources that failed in it.
        total: Sources that were missing at its beginning.
        frames: Frames so far, over all workers.
        fps: Of this run so far, over all workers.
        source: The latest.
    """

    done: float
    failed: int
    total: int
    frames: int
    fps: float
    source: str


@dataclass(frozen=True)
class BatchOptions:
    """What is asked of one run.

    Attributes:
        shard: ``(I, N)``: this run's share of the sources; None for all.
        retry_failed: Do sources again that failed.
        redo_changed: Do sources again that have changed since.
        photos: Photos in one file of the data set.
        cluster: Where the workers are.
    """

    shard: tuple[int, int] | None = None
    retry_failed: bool = False
    redo_changed: bool = False
    photos: int = PHOTOS
    cluster: ClusterOptions = field(default_factory=ClusterOptions)


def run_batch(
    listing: Listing,
    out: Path,
    settings: BatchSettings,
    engine: EngineOptions | None = None,
    options: BatchOptions | None = None,
    on_progress: Callable[[BatchProgress], None] | None = None,
    remote: RemoteFolder | None = None,
) -> BatchReport:
    """Do what is missing of some sources.

    Args:
        listing: From :func:`rtmpose.batch.listing.list_sources`.
        out: Output folder, on this machine or on a disk that all workers have under this path.
        settings: What the results depend on.
        engine: What the networks run on.
        options: What is asked of this run.
        on_progress: Called now and then.
        remote: The folder in a store whose mirror ``out`` is.

    Returns:
        The state of the whole folder.

    Raises:
        InputError: the folder holds results of other settings.
        OutputError: another run is at work on the same sources, or the folder cannot be written.
        ModelError: a model is not available.
        MissingDependencyError: Ray or pyarrow is needed and not installed.
    """
    options = options or BatchOptions()
    out = Path(os.path.abspath(out))  # noqa: PTH100 (links stay: other machines see them)
    agree_on_settings(out, settings)
    ledger = Ledger(out, remote)
    # Before any work: a store that refuses is known at once.
    ledger.send(out / SETTINGS_FILE)
    with runs.begun(out, options.shard, len(listing.sources)) as run:
        ledger.send(run.path)
        began_s = time.perf_counter()
        notes = _reconcile(ledger, out, options.shard)
        missing, states, more = _missing(listing.sources, ledger, options)
        tries = {source: state.tries for source, state in states.items()}
        units = make_units(missing, settings, tries=tries, photos=options.photos)
        url = "" if remote is None else remote.url
        name, retry = run.summary.name, options.retry_failed
        worker = WorkerOptions(str(out), settings, engine or EngineOptions(), name, retry, url)
        progress = _Progress(run.summary.name, len(missing), on_progress)
        try:
            _do(units, worker, options.cluster, ledger, progress)
        finally:
            runs.ended(run, began_s, round(progress.done), progress.frames)
    report = report_of(out)
    report.shard = options.shard
    report.run_seconds = time.perf_counter() - began_s
    report.run_sources = round(progress.done)
    report.run_frames = progress.frames
    report.problems = list(listing.problems)
    report.notes += [*notes, *more, *_words(listing), *listing.left_out]
    report.write(out)
    ledger.send(run.path, out / REPORT_FILE)
    return report


def _do(
    units: Sequence[Unit],
    worker: WorkerOptions,
    cluster: ClusterOptions,
    ledger: Ledger,
    progress: _Progress,
) -> None:
    """Do all units.

    Raises:
        JobInterrupted: the run was interrupted.
    """
    try:
        with closing(_entries(units, worker, cluster, progress.frame)) as finished:
            for entry in finished:
                # Workers on other machines have mirrors of their own.
                if worker.remote and not ledger.path(entry.key).exists():
                    write_text(ledger.path(entry.key), entry.to_text())
                progress.add(entry)
    except KeyboardInterrupt as error:
        raise JobInterrupted(
            f"{progress.done:.0f} of {progress.total} sources are done and kept in {worker.out}; go"
            " on with the same command"
        ) from error


def status(out: Path) -> BatchReport:
    """The state of an output folder, whoever is at work in it.

    Raises:
        InputError: there is no batch in it.
    """
    if not (out / "ledger").is_dir():
        raise InputError(f"{out} holds no batch: there is no ledger in it")
    return report_of(out)


def _entries(
    units: Sequence[Unit],
    options: WorkerOptions,
    cluster: ClusterOptions,
    on_frame: Callable[[], None],
) -> Generator[Entry, None, None]:
    """Do all units; their entries as they are finished."""
    if not units:
        return
    if cluster.uses_ray:
        from rtmpose.batch.ray_engine import ray_entries

        yield from ray_entries(units, options, cluster)
        return
    worker = Worker(options, on_frame)
    try:
        for unit in units:
            for part in cut(unit, options.settings):
                yield worker.run(part)
    finally:
        worker.close()


def _reconcile(ledger: Ledger, out: Path, shard: tuple[int, int] | None) -> list[str]:
    """Bring ledger and files together, after workers were killed or files removed."""
    notes: list[str] = []
    entries = list(ledger.entries())
    # A file got its name and its worker was killed before the entry: it holds the entry.
    for name, entry in ledger.orphans({entry.key for entry in entries}):
        unfinished = out / "work" / f"{entry.key}.json"
        write_text(unfinished, entry.to_text())
        move_file(unfinished, ledger.path(entry.key))
        ledger.send(ledger.path(entry.key))
        log.info("%s is whole: its entry is added to the ledger", name)

    # A file that somebody removed is made again, by whoever its sources belong to.
    lost = []
    for entry in entries:
        mine = all(in_shard(source.source, shard) for source in entry.sources)
        if mine and not all((ledger.data / name).exists() for name in entry.files):
            lost.append(entry)
    for entry in lost:
        ledger.forget(entry)
    if lost:
        notes.append(f"{len(lost)} files were missing in {ledger.data}: their sources are redone")
    return notes


def _missing(
    sources: Sequence[str], ledger: Ledger, options: BatchOptions
) -> tuple[list[str], dict[str, SourceState], list[str]]:
    """Sources that are to be done in this run, all states, and what was noticed."""
    states = states_of(ledger.entries())
    mine = [source for source in sources if in_shard(source, options.shard)]
    done = [source for source in mine if source in states and states[source].done]
    changed = _changed(done, states)
    notes: list[str] = []
    if changed and not options.redo_changed:
        notes.append(
            f"{len(changed)} sources have changed since they were done, such as {changed[0]};"
            " --redo-changed does them again"
        )
    elif changed:
        # What shares a file with them is done again too.
        for key in {key for source in changed for key in states[source].keys}:
            entry = ledger.entry(key)
            if entry is not None:
                ledger.forget(entry)
        states = states_of(ledger.entries())

    missing = []
    for source in mine:
        state = states.get(source) or SourceState()
        tried = bool(state.failed) and not options.retry_failed
        if not (state.done or tried):
            missing.append(source)
    return missing, states, notes


def _changed(done: Sequence[str], states: dict[str, SourceState]) -> list[str]:
    """Finished sources that are other ones now. What cannot be reached has not changed."""

    def differs(source: str) -> bool:
        try:
            now = fingerprint(source)
        except InputError:
            return False
        return states[source].looks.differs_from(source, now)

    with ThreadPoolExecutor(LOOKING) as lookers:
        return [s for s, other in zip(done, lookers.map(differs, done), strict=True) if other]


def _words(listing: Listing) -> list[str]:
    if not listing.repeated:
        return []
    return [f"{listing.repeated} sources were named more than once, and are done once"]


class _Progress:
    """Counts what is finished, and tells it now and then."""

    def __init__(self, run: str, total: int, tell: Callable[[BatchProgress], None] | None) -> None:
        self.done = 0.0
        self.failed = 0
        self.frames = 0
        self._run = run
        self.total = total
        self._tell = tell
        self._running = 0
        self._source = ""
        self._began_s = time.perf_counter()
        self._told_s = 0.0

    def frame(self) -> None:
        """One frame of what is going on; the unit counts it again when it is finished."""
        self._running += 1
        self._say()

    def add(self, entry: Entry) -> None:
        """A unit is finished."""
        self._running = 0
        self._source = entry.sources[-1].source
        self.failed += len(entry.failed)
        self.done += (len(entry.sources) - len(entry.failed)) / entry.parts
        # What an earlier run did was only found.
        if entry.run == self._run:
            self.frames += entry.frames
        self._say(always=True)

    def _say(self, *, always: bool = False) -> None:
        now = time.perf_counter()
        if self._tell is None or (now - self._told_s < TELL_S and not always):
            return
        self._told_s = now
        frames = self.frames + self._running
        fps = frames / max(now - self._began_s, 1e-9)
        self._tell(BatchProgress(self.done, self.failed, self.total, frames, fps, self._source))
