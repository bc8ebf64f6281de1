"""Signals at the worst moments: sent twice, to be obeyed at once, while locks are taken, to the
first process of a container, and those of terminals and job schedulers.
"""

import ctypes
import os
import random
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import rtmpose.signals
from fault_kinds.disks import libc
from fault_kinds.engine import Kind, PromiseError
from fault_kinds.jobs import (
    DONE,
    HANG_S,
    INTERRUPTED,
    Jobs,
    check_no_half_file,
    empty_out,
    last_words,
    prepare_jobs,
    temporaries,
    wait,
)

PAUSE_S = 0.012
LONGEST_S = 0.25
"""Of the work of a job with that pause, about."""
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
LOCKING = ("threading.py", "queue.py", "worker_threads.py", "signals.py")
FUTURES = "concurrent/futures/"
MOST_STEPS = 1500
USUAL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OTHERS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU)


def _begin(jobs: Jobs, rng: random.Random, first: Callable[[], None]) -> tuple[str, Path, int]:
    """A job that is at work, so that it has its handlers: command, folder, process."""
    command = rng.choice(("predict", "track"))
    out = empty_out(jobs)
    process = jobs.start(command, out, resume=False, pause_s=PAUSE_S, first=first)
    _wait_for_work(out)
    time.sleep(rng.uniform(0, LONGEST_S))
    return command, out, process


def _wait_for_work(out: Path) -> None:
    deadline = time.monotonic() + HANG_S
    while not (out / ".rtmpose.lock").exists() and time.monotonic() < deadline:
        time.sleep(0.002)


def _end(jobs: Jobs, command: str, out: Path, status: int) -> str:
    """What every job keeps that was asked to end."""
    if status not in (DONE, INTERRUPTED):
        raise PromiseError(f"{command} ended with {status}: {last_words(jobs)}")
    if temporaries(out):
        raise PromiseError(f"temporary files stay: {temporaries(out)[:3]}")
    check_no_half_file(out, jobs.wholes[command])
    jobs.finish(command, out)
    return "ended in time" if status == DONE else "resumed"


def _nothing() -> None:
    pass


# ---- signals that are sent


def _sent(jobs: Jobs, rng: random.Random) -> str:
    command, out, process = _begin(jobs, rng, _nothing)
    os.kill(process, rng.choice(OTHERS))
    return _end(jobs, command, out, wait(process))


def _sent_twice(jobs: Jobs, rng: random.Random) -> str:
    """As `timeout`, `npm` and `docker stop` with a helper do."""
    command, out, process = _begin(jobs, rng, _nothing)
    first = rng.choice(USUAL)
    os.kill(process, first)
    time.sleep(rng.choice((0, 0, 0.001, 0.01, 0.1)))
    os.kill(process, first if rng.random() < 0.7 else rng.choice(USUAL))
    return _end(jobs, command, out, wait(process))


def _impatient(jobs: Jobs, rng: random.Random) -> str:
    """The second signal comes later than one that is the same request; it ends the run at once."""

    def hurry() -> None:
        rtmpose.signals.SAME_S = 0.0

    command, out, process = _begin(jobs, rng, hurry)
    number = rng.choice(USUAL)
    for _ in range(2):
        os.kill(process, number)
        time.sleep(rng.uniform(0, 0.05))
    status = wait(process)
    if status not in (DONE, INTERRUPTED, -number):
        raise PromiseError(f"{command} ended with {status}: {last_words(jobs)}")
    jobs.finish(command, out)
    return "resumed"


# ---- while locks are taken


def _at_a_step(jobs: Jobs, rng: random.Random) -> str:
    """The signal comes at one step of the code that waits for the other threads."""
    step = int(MOST_STEPS ** rng.random())
    command = rng.choice(("predict", "track"))
    out = empty_out(jobs)
    process = jobs.start(command, out, resume=False, first=lambda: _signal_at(step))
    return _end(jobs, command, out, wait(process))


def _signal_at(step: int) -> None:
    """SIGTERM comes at that step within the modules that take locks, in this thread."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal count
        name = frame.f_code.co_filename
        if not name.endswith(LOCKING) and FUTURES not in name:
            return None
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            count += 1
        if count == step:
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGTERM)
        return trace

    # Not in the threads that the job starts.
    sys.settrace(trace)


# ---- the first process of a container


def may_not_be_first() -> str:
    """Why a process cannot be the first one of a container here; empty if it can."""
    if not sys.platform.startswith("linux"):
        return "containers are of Linux"
    process = os.fork()
    if not process:
        os._exit(_contain())
    return "no container may be made here" if os.waitpid(process, 0)[1] else ""


def _contain() -> int:
    """The next process that is forked is the first one of a container; 0 if that is allowed."""
    flags = CLONE_NEWPID if os.geteuid() == 0 else CLONE_NEWPID | CLONE_NEWUSER
    return int(libc().unshare(ctypes.c_int(flags)) != 0)


def _first_process(jobs: Jobs, rng: random.Random) -> str:
    """The system keeps all signals from it for which it has no handler, as in `docker stop`."""
    command = rng.choice(("predict", "track"))
    out = empty_out(jobs)
    reading, writing = os.pipe()
    helper = os.fork()
    if not helper:
        status = 3
        try:
            _contain()
            process = jobs.start(command, out, resume=False, pause_s=PAUSE_S)
            os.write(writing, struct.pack("i", process))
            status = wait(process)
        finally:
            os._exit(status & 255)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        (process,) = struct.unpack("i", pipe.read(4))
    _wait_for_work(out)
    time.sleep(rng.uniform(0, LONGEST_S))
    os.kill(process, rng.choice(USUAL))
    return _end(jobs, command, out, wait(helper))


_SAME = "resumed, the results are those of an undisturbed run, byte for byte"
_KEPT = f"files are completed, nothing temporary stays; {_SAME}"
_JOB = "`predict` and `track` with all formats and annotated videos"
_Attempt = Callable[[Jobs, random.Random], str]


def _kind(
    name: str,
    tried: str,
    attempt: _Attempt,
    promise: str = _KEPT,
    *,
    tries: int = 40,
    missing: Callable[[], str] = lambda: "",
) -> Kind:
    return Kind(
        name,
        f"{_JOB}; {tried}",
        promise,
        prepare_jobs,
        attempt,
        tries=tries,
        quick=2,
        share=0.5,
        missing=missing,
    )


KINDS = (
    _kind("other signals", "SIGHUP, SIGUSR1 or SIGXCPU", _sent),
    _kind(
        "signals sent twice",
        "SIGINT, SIGTERM, SIGHUP, and the same or another within 0.1 s, as `timeout` does",
        _sent_twice,
    ),
    _kind("a second signal", "which is obeyed at once", _impatient, _SAME),
    _kind(
        "signals while locks are taken",
        "SIGTERM before any step of the code by which threads wait for each other",
        _at_a_step,
        tries=120,
    ),
    _kind(
        "first process",
        "as the first process of a container, to which the system sends few signals",
        _first_process,
        tries=24,
        missing=may_not_be_first,
    ),
)
