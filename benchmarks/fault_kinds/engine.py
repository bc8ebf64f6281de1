"""Tries in forked processes: a crash or a hang ends one try, is counted, and the next one starts.

A process makes many tries, as preparing one for each would cost more than the tries. It is told the
number of each on a pipe, says on another how it ended, and waits while other kinds have their turn.
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

from fault_kinds.hang_report import answer_questions, processes_of, write_report
from rtmpose.errors import RtmposeError

PREPARE_S = 240.0
SHOWN = 400
"""Characters of an error that are shown."""
REPORTED = "; what it was doing: "
"""Before the path of the file with the stacks of a try that hung."""


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
        share: Of the time, compared with other kinds, where it is short.
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
    share: float = 1.0
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
        self._worker: _Worker | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is left to try."""
        return not self._waiting

    def run_batch(self, end: float) -> None:
        """Try until ``end`` (``time.monotonic``). The process waits for the next turn: preparing
        one costs more than the tries.
        """
        started = time.monotonic()
        try:
            while True:
                self._run_next()
                if self.done or time.monotonic() > end:
                    break
        finally:
            if self.done:
                self.close()
            self.tally.seconds += time.monotonic() - started

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _run_next(self) -> None:
        kind, tally = self.tally.kind, self.tally
        number = self._waiting[0]
        if self._worker is None:
            # Files of a process that died must not be in the way of the next.
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            self._worker = _Worker(kind, self._seed, self._folder)
        self._worker.begin(number)
        doing = ""
        try:
            for event in self._worker.events():
                if "doing" in event:
                    doing = f"; {event['doing']}"
                elif "not prepared" in event:
                    raise RuntimeError(event["not prepared"])
                elif "end" in event:
                    break
            else:
                status = self._worker.wait()
                raise RuntimeError(f"crash: {_ending(status)}{doing}")
        except TimeoutError:
            self._died(number, f"hang: longer than {kind.limit_s:.0f} s{doing}{self._ask(number)}")
            return
        except RuntimeError as error:
            self._died(number, str(error))
            return
        self._waiting.pop(0)
        tally.tries += 1
        tally.outcomes[event["label"]] += 1
        tally.broken += [(number, text) for text in event["broken"]]
        if self._worker.count >= kind.per_process:
            self.close()

    def _ask(self, number: int) -> str:
        """What the processes of the try are doing: the words that name the file with it."""
        if self._worker is None:
            return ""
        title = f"{self.tally.kind.name} seed {self._seed} try {number}"
        return f"{REPORTED}{self._worker.report(self._folder, title)}"

    def _died(self, number: int, text: str) -> None:
        prepared = self._worker is not None and self._worker.prepared
        self.close()
        self.tally.tries += 1
        self.tally.outcomes[text.split(":")[0] if prepared else "not prepared"] += 1
        self.tally.broken.append((number, text))
        self._waiting.pop(0)
        if not prepared:
            self._waiting.clear()  # it would end the same


class _Worker:
    """A process that tries what it is told to, one number after the other.

    Attributes:
        count: Tries begun.
        prepared: Whether it is ready for tries.
    """

    def __init__(self, kind: Kind, seed: int, folder: Path) -> None:
        self.count = 0
        self.prepared = False
        self._kind = kind
        self._process, self._orders, self._answers = _fork(kind, seed, folder)

    def begin(self, number: int) -> None:
        """Try that number."""
        self.count += 1
        with suppress(BrokenPipeError):  # it died; that is found at once
            os.write(self._orders, f"{number}\n".encode())

    def events(self) -> Iterator[dict[str, Any]]:
        """What it says, line by line.

        Raises:
            TimeoutError: it has said nothing for too long.
        """
        buffer = b""
        while True:
            limit_s = self._kind.limit_s if self.prepared else PREPARE_S
            if not select.select([self._answers], [], [], limit_s)[0]:
                raise TimeoutError
            data = os.read(self._answers, 1 << 16)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                event = json.loads(line)
                self.prepared |= "prepared" in event
                yield event

    def wait(self) -> int:
        """Its exit status."""
        return _wait(self._process)

    def report(self, folder: Path, title: str) -> Path:
        """A file with what it, and what it has started, are doing."""
        return write_report(self._process, folder, title)

    def end(self) -> None:
        """Kill it and what it has started."""
        _kill(self._process)
        os.close(self._orders)
        os.close(self._answers)


def _fork(kind: Kind, seed: int, folder: Path) -> tuple[int, int, int]:
    """A process, and the ends of the pipes for orders and answers."""
    sys.stdout.flush()
    sys.stderr.flush()
    orders_in, orders = os.pipe()
    answers, answers_out = os.pipe()
    process = os.fork()
    if process:
        os.close(orders_in)
        os.close(answers_out)
        return process, orders, answers
    status = 3
    try:
        # Those of the other processes too, which would not be closed when this program ends.
        os.closerange(3, orders_in)
        os.closerange(orders_in + 1, answers_out)
        # A group of its own, so that what a try starts ends with it.
        os.setpgid(0, 0)
        _work(kind, seed, folder, orders_in, answers_out)
        status = 0
    except BaseException:  # noqa: BLE001 (said on the pipe)
        _say(answers_out, {"not prepared": traceback.format_exc()[-SHOWN:]})
    os._exit(status)


def _work(kind: Kind, seed: int, folder: Path, orders: int, pipe: int) -> None:
    """The child: all tries that it is told to make."""
    noise = folder / "standard-error.txt"
    _redirect(noise)
    answer_questions(folder)
    _told[:] = [pipe]
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    state = kind.prepare(folder)
    _say(pipe, {"prepared": True})
    if kind.memory_mb:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = size + (kind.memory_mb << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in os.fdopen(orders):
        label, broken = attempt_once(kind, state, random_for(seed, kind, int(line)))
        said = noise.read_bytes()
        if said and kind.quiet:
            broken.append(f"on standard error: {said[:SHOWN].decode('utf-8', 'replace')}")
        if said:
            os.truncate(noise, 0)
        _say(pipe, {"end": int(line), "label": label, "broken": broken})


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
    for target in (*processes_of(process), -process, process):
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
