"""Tries in forked processes: a crash or a hang ends one try, is counted, and the next one starts.

A process works through a batch of tries, as starting one for each would cost more than the tries.
It says on a pipe which try it begins and how it ended.
"""

import json
import logging
import os
import random
import resource
import select
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtmpose.errors import RtmposeError

PREPARE_S = 90.0
SHOWN = 400
"""Characters of an error that are shown."""


class PromiseError(Exception):
    """A promise that was broken; the text says which."""


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    Attributes:
        name: Of the fault; ``--only`` takes it.
        tried: What was tried, in words.
        promise: What must hold.
        prepare: Called once in every process with an empty folder; its result goes to ``attempt``.
        attempt: One try: what :attr:`prepare` gave, and random numbers of its own. It returns what
            happened in one or two words. An :class:`RtmposeError` is a refusal; every other
            exception is a broken promise, :class:`PromiseError` with its own words.
        tries: Of a whole run.
        quick: Of a short run.
        limit_s: Seconds after which one try counts as a hang.
        per_process: Tries in one process.
        memory_mb: Memory that a process may take beyond what it has at its start; 0 for any.
        quiet: Whether a line of a library on standard error breaks the promise.
        missing: Says why the kind cannot be tried here; empty if it can.
    """

    name: str
    tried: str
    promise: str
    prepare: Callable[[Path], Any]
    attempt: Callable[[Any, random.Random], str]
    tries: int
    quick: int
    limit_s: float = 20.0
    per_process: int = 50
    memory_mb: int = 0
    quiet: bool = False
    missing: Callable[[], str] = lambda: ""


@dataclass
class Tally:
    """What happened to one kind."""

    kind: Kind
    tries: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)
    skipped: str = ""

    def row(self) -> str:
        """The row of the table, in Markdown."""
        kind = self.kind
        if self.skipped:
            return (
                f"| {kind.name} | {kind.tried} | 0 | not tried: {self.skipped} | {kind.promise} |"
            )
        parts = [f"{count} {label}" for label, count in self.outcomes.most_common()]
        bad = len({number for number, _ in self.broken})
        parts.append(f"**{bad} broken**" if bad else "0 broken")
        happened = ", ".join(parts)
        return f"| {kind.name} | {kind.tried} | {self.tries} | {happened} | {kind.promise} |"


_told: list[int] = []  # the pipe, in a child


def tell_doing(text: str) -> None:
    """Say what is about to be done: shown where the process dies or hangs."""
    for pipe in _told:
        _say(pipe, {"doing": text[:SHOWN]})


def random_for(seed: int, kind: Kind, number: int) -> random.Random:
    """The random numbers of one try, the same whatever was tried before."""
    return random.Random(f"{seed}/{kind.name}/{number}")


class Tries:
    """The tries of one kind, a few at a time, so that kinds can take turns.

    Args:
        kind: What is tried.
        numbers: Of the tries.
        seed: Of the random numbers.
        folder: An empty folder for the files of the tries.
    """

    def __init__(self, kind: Kind, numbers: Sequence[int], seed: int, folder: Path) -> None:
        self.tally = Tally(kind, skipped=kind.missing())
        self._waiting = [] if self.tally.skipped else list(numbers)
        self._seed = seed
        self._folder = folder

    @property
    def done(self) -> bool:
        """Whether nothing is left to try."""
        return not self._waiting

    def run_batch(self, end: float) -> None:
        """Run tries in one process, until ``end`` (``time.monotonic``)."""
        kind, tally = self.tally.kind, self.tally
        batch = self._waiting[: kind.per_process]
        started = time.monotonic()
        # Files of a process that died must not be in the way of the next.
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        process, pipe = _fork(kind, batch, self._seed, self._folder)
        current: int | None = None
        doing = ""
        try:
            for event in _events(pipe, kind):
                if event is None:
                    raise TimeoutError
                if "begin" in event:
                    current, doing = event["begin"], ""
                    continue
                if "doing" in event:
                    doing = f"; {event['doing']}"
                    continue
                # The end of a try.
                self._waiting.pop(0)
                current = None
                tally.tries += 1
                tally.outcomes[event["label"]] += 1
                tally.broken += [(event["end"], text) for text in event["broken"]]
                if time.monotonic() > end:
                    break
            else:
                # The pipe was closed: all were tried, or the process died.
                status = _wait(process)
                if status or current is not None:
                    self._died(current, f"crash: {_ending(status)}{doing}")
        except TimeoutError:
            self._died(current, f"hang: longer than {kind.limit_s:.0f} s{doing}")
        finally:
            _kill(process)
            pipe.close()
            tally.seconds += time.monotonic() - started

    def _died(self, number: int | None, text: str) -> None:
        self.tally.tries += 1
        self.tally.outcomes[text.split(":")[0]] += 1
        if number is None:
            self.tally.broken.append((self._waiting[0] if self._waiting else -1, f"start: {text}"))
            self._waiting.clear()  # it would end the same
            return
        self.tally.broken.append((number, text))
        self._waiting.pop(0)


def _fork(kind: Kind, batch: Sequence[int], seed: int, folder: Path) -> tuple[int, Any]:
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, os.fdopen(reading, "rb")
    status = 3
    try:
        os.close(reading)
        # A group of its own, so that what a try starts ends with it.
        os.setpgid(0, 0)
        _work(kind, batch, seed, folder, writing)
        status = 0
    except BaseException:  # noqa: BLE001 (said on the pipe)
        _say(writing, {"begin": batch[0]})
        text = traceback.format_exc()[-SHOWN:]
        _say(writing, {"end": batch[0], "label": "not prepared", "broken": [text]})
    os._exit(status)


def _work(kind: Kind, batch: Sequence[int], seed: int, folder: Path, pipe: int) -> None:
    """The child: all tries of a batch."""
    noise = folder / "standard-error.txt"
    _redirect(noise)
    _told[:] = [pipe]
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    state = kind.prepare(folder)
    if kind.memory_mb:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = size + (kind.memory_mb << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in batch:
        _say(pipe, {"begin": number})
        label, broken = attempt_once(kind, state, random_for(seed, kind, number))
        said = noise.read_bytes()
        if said and kind.quiet:
            broken.append(f"on standard error: {said[:SHOWN].decode('utf-8', 'replace')}")
        if said:
            os.truncate(noise, 0)
        _say(pipe, {"end": number, "label": label, "broken": broken})


def attempt_once(kind: Kind, state: Any, rng: random.Random) -> tuple[str, list[str]]:
    """What happened in one try, and the promises that it broke."""
    try:
        return kind.attempt(state, rng), []
    except RtmposeError as error:
        if not str(error).strip():
            return "refused", ["an error without a text"]
        return "refused", []
    except PromiseError as error:
        return "broken", [str(error)[:SHOWN]]
    except MemoryError:
        return "memory", [f"took more than {kind.memory_mb} MB: {place_of_error()}"]
    except BaseException as error:  # noqa: BLE001 (it is what is counted)
        text = f"traceback: {type(error).__name__}: {str(error)[:200]}"
        return "traceback", [f"{text} {place_of_error()}"]


def place_of_error() -> str:
    """File and line of this package that the error being handled went through last."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [f for f in frames if "/rtmpose/" in f.filename] or frames
    last = ours[-1]
    return f"(at {last.filename.split('/rtmpose/')[-1]}:{last.lineno})"


def _redirect(noise: Path) -> None:
    # Nothing of a try goes to the terminal, and nothing is read from it.
    out = os.open(noise, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.dup2(out, 2)
    os.close(null)
    os.close(out)


def _say(pipe: int, event: dict[str, Any]) -> None:
    os.write(pipe, json.dumps(event).encode() + b"\n")


def _events(pipe: Any, kind: Kind) -> Iterator[dict[str, Any] | None]:
    """What the child says, line by line; None when it has said nothing for too long."""
    limit_s = PREPARE_S
    buffer = b""
    while True:
        if not select.select([pipe], [], [], limit_s)[0]:
            yield None
            return
        data = os.read(pipe.fileno(), 1 << 16)
        if not data:
            return
        buffer += data
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            yield json.loads(line)
        limit_s = kind.limit_s


def _wait(process: int, seconds: float = 10.0) -> int:
    """The exit status of a process, or the negative number of the signal that ended it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    raise TimeoutError


def _kill(process: int) -> None:
    # What is left of the process and of what it has started.
    for target in (-process, process):
        try:
            os.kill(target, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    with suppress(ChildProcessError):
        os.waitpid(process, 0)


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    return signal.Signals(-status).name
