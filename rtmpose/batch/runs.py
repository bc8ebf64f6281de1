"""Who is at work in an output folder, and what each run was asked to do."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rtmpose.errors import InputError, OutputError
from rtmpose.files import output_errors, write_text
from rtmpose.files.locks import OutputLock, ProcessLock, try_lock
from rtmpose.text_files import read_json, to_json

LOCK = ".lock"
START_LOCK = ".start.lock"
SUMMARY = ".json"


@dataclass(frozen=True)
class RunSummary:
    """One run, as ``--status`` knows it.

    Attributes:
        name: Of the run.
        host: Machine that gave out the work.
        pid: Process there.
        shard: ``I/N``; empty for all.
        planned: Sources in the whole list, those of other shards included.
        began: Date and time, by that machine's clock; for people to read only.
        seconds: How long it took; 0 while it goes on.
        done: Sources that it did.
        frames: Frames that it did.
    """

    name: str
    host: str
    pid: int
    shard: str = ""
    planned: int = 0
    began: str = ""
    seconds: float = 0.0
    done: int = 0
    frames: int = 0


class Run:
    """A run that is under way.

    Args:
        folder: ``runs`` in the output folder.
        summary: What it is.
        lock: Held until its end.
    """

    def __init__(self, folder: Path, summary: RunSummary, lock: OutputLock) -> None:
        self.summary = summary
        self._folder = folder
        self._lock = lock

    @property
    def path(self) -> Path:
        """Where its summary lies."""
        return self._folder / f"{self.summary.name}{SUMMARY}"

    def note(self, summary: RunSummary) -> None:
        """Write what is known of it."""
        self.summary = summary
        write_text(self.path, to_json(asdict(summary)))

    def end(self) -> None:
        """Others may begin."""
        self._lock.release()


@contextmanager
def begun(out: Path, shard: tuple[int, int] | None, planned: int) -> Iterator[Run]:
    """Begin a run. Two runs at once must be different shards of the same number.

    Where no other is at work, what killed workers left is removed.

    Raises:
        OutputError: another run is at work on the same sources, or the folder cannot be written.
    """
    folder = out / "runs"
    name = f"{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(4)}"
    text = "" if shard is None else f"{shard[0]}/{shard[1]}"
    # One run begins at a time, so that none overlooks another.
    start_lock = ProcessLock(out / START_LOCK)
    with output_errors(out):
        start_lock.wait(f"the start of a run in {out}")
    try:
        others = at_work(out)
        for other_name, other in others.items():
            if _overlap(text, other):
                raise OutputError(
                    f"{out} is being filled by another run ({other_name}"
                    f"{', shard ' + other if other else ''}); wait for its end, choose another"
                    " --out, or share the work with --shard I/N in all of them"
                )
        if not others:
            _remove_unfinished(out)
        lock = OutputLock(folder / f"{name}{LOCK}", out)
        run = Run(
            folder,
            RunSummary(
                name,
                socket.gethostname(),
                os.getpid(),
                text,
                planned,
                time.strftime("%Y-%m-%d %H:%M:%S"),
            ),
            lock,
        )
        try:
            run.note(run.summary)
        except BaseException:
            lock.release()
            raise
    finally:
        start_lock.release()
    try:
        yield run
    finally:
        run.end()
        if not at_work(out):
            _remove_unfinished(out)


def _remove_unfinished(out: Path) -> None:
    """Remove what workers had not finished; nobody may be at work."""
    for left in (out / "work").iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def at_work(out: Path) -> dict[str, str]:
    """Runs that go on now: their names to their shards. The locks of dead ones are removed."""
    found: dict[str, str] = {}
    for path in sorted((out / "runs").glob(f"*{LOCK}")):
        if _is_held(path):
            name = path.name.removesuffix(LOCK)
            found[name] = _shard_of(path.with_name(f"{name}{SUMMARY}"))
        else:
            with suppress(OSError):
                path.unlink()
    return found


def summaries(out: Path) -> list[RunSummary]:
    """All runs so far."""
    found = []
    for path in sorted((out / "runs").glob(f"*{SUMMARY}")):
        with suppress(InputError, TypeError):
            found.append(RunSummary(**read_json(path)))
    return found


def ended(run: Run, began_s: float, done: int, frames: int) -> None:
    """Note the end of a run."""
    seconds = time.perf_counter() - began_s
    run.note(replace(run.summary, seconds=round(seconds, 3), done=done, frames=frames))


def _shard_of(path: Path) -> str:
    try:
        return str(read_json(path).get("shard", ""))
    except (InputError, AttributeError):
        return ""


def _overlap(mine: str, other: str) -> bool:
    """Whether two shards may hold the same source."""
    if not mine or not other:
        return True
    same_count = mine.partition("/")[2] == other.partition("/")[2]
    return not same_count or mine == other


def _is_held(path: Path) -> bool:
    """Whether somebody holds a lock; where the file system has none, the process decides."""
    descriptor = None
    # The lock of another user may be readable only.
    for how in (os.O_RDWR, os.O_RDONLY):
        try:
            descriptor = os.open(path, how)
            break
        except FileNotFoundError:
            return False
        except OSError:
            continue
    if descriptor is None:
        return True
    try:
        return not try_lock(descriptor)
    except OSError:
        return _process_lives(path)
    finally:
        os.close(descriptor)


def _process_lives(path: Path) -> bool:
    """By what the run said of itself; of another machine it is not known, so it counts as alive."""
    try:
        run = read_json(path.with_name(path.name.removesuffix(LOCK) + SUMMARY))
        if run["host"] != socket.gethostname() or sys.platform == "win32":
            return True
        os.kill(int(run["pid"]), 0)
    except (ProcessLookupError, InputError, KeyError, TypeError, ValueError):
        return False
    except OSError:
        return True
    return True
