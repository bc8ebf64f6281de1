"""What others do to the files of a run while it is at work: stop it, delete its folder, cut its
sources, replace its networks, turn the clock.
"""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from fault_kinds.commands import tiny_models
from fault_kinds.engine import Kind, PromiseError
from fault_kinds.jobs import (
    DONE,
    FAILED,
    HANG_S,
    Jobs,
    contents,
    empty_out,
    last_words,
    make_clip,
    prepare_jobs,
    temporaries,
    wait,
)

PAUSE_S = 0.012
LONGEST_S = 0.3
"""Of a job with that pause, about."""
COMMANDS = ("predict", "track")


# ---- a run that is stopped


def _stopped(jobs: Jobs, rng: random.Random) -> str:
    command = rng.choice(COMMANDS)
    out = empty_out(jobs)
    first = jobs.start(command, out, resume=False, pause_s=PAUSE_S)
    deadline = time.monotonic() + HANG_S
    while not (out / ".rtmpose.lock").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(rng.uniform(0.01, LONGEST_S / 2))
    os.kill(first, signal.SIGSTOP)
    ended_before = not (out / ".rtmpose.lock").exists()
    try:
        begun = time.monotonic()
        second = wait(jobs.start(rng.choice(COMMANDS), out, resume=rng.random() < 0.5))
        if not ended_before and second != FAILED:
            raise PromiseError(f"the second run was not refused: {second}")
        if time.monotonic() - begun > 5:
            raise PromiseError("the second run waited")
        if not ended_before and f"process {first}" not in jobs.said():
            raise PromiseError(f"the second run does not say who is at work: {jobs.said()}")
    finally:
        os.kill(first, signal.SIGCONT)
    if wait(first) != DONE:
        raise PromiseError(f"the first run failed: {last_words(jobs)}")
    if not ended_before:
        jobs.finish(command, out)
    return "second refused"


# ---- files that change


def _deleted(jobs: Jobs, rng: random.Random) -> str:
    command = rng.choice(COMMANDS)
    out = empty_out(jobs)
    process = jobs.start(command, out, resume=False, pause_s=PAUSE_S)
    time.sleep(rng.uniform(0, LONGEST_S))
    # The folder, or all that is in it; moved away, or removed.
    if rng.random() < 0.5:
        shutil.rmtree(out, ignore_errors=True)
    else:
        for path in list(out.iterdir()):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
    status = wait(process)
    if status not in (DONE, FAILED):
        raise PromiseError(f"{command} ended with {status}: {last_words(jobs)}")
    jobs.finish(command, empty_out(jobs))
    return "done" if status == DONE else "refused"


def _cut_source(jobs: Jobs, rng: random.Random) -> str:
    command = rng.choice(COMMANDS)
    out = empty_out(jobs)
    folder = jobs.folder / "in"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    # Long enough that they are not read at once.
    copies = [make_clip(folder / f"{name}.avi", rng.randrange(99), 40) for name in "ab"]
    process = jobs.start(command, out, resume=False, pause_s=PAUSE_S, sources=copies)
    time.sleep(rng.uniform(0, 4 * LONGEST_S))
    victim = Path(rng.choice(copies))
    change = rng.choice(("cut", "removed", "overwritten"))
    if change == "cut":
        os.truncate(victim, rng.randrange(victim.stat().st_size))
    elif change == "removed":
        victim.unlink()
    else:
        victim.write_bytes(rng.randbytes(victim.stat().st_size))
    status = wait(process)
    if status not in (DONE, FAILED):
        raise PromiseError(f"{command} ended with {status} ({change}): {last_words(jobs)}")
    if temporaries(out):
        raise PromiseError(f"temporary files stay: {temporaries(out)[:3]}")
    _check_readable(out)
    return f"{'done' if status == DONE else 'refused'} ({change})"


def _check_readable(out: Path) -> None:
    """No file is empty, and all text can be read."""
    for name, content in contents(out).items():
        if not content or (name.endswith(".mp4") and content == b"0"):
            raise PromiseError(f"half file {name}")
        try:
            if name.endswith(".json"):
                json.loads(content)
            elif name.endswith(".jsonl"):
                [json.loads(line) for line in content.splitlines()]
        except ValueError as error:
            raise PromiseError(f"half file {name}") from error


def _replaced_model(jobs: Jobs, rng: random.Random) -> str:
    command = rng.choice(COMMANDS)
    out = empty_out(jobs)
    models = tiny_models(jobs.folder)
    process = jobs.start(command, out, resume=False, pause_s=PAUSE_S)
    time.sleep(rng.uniform(0, LONGEST_S))
    victim = Path(rng.choice(models))
    change = rng.choice(("cut", "removed", "overwritten", "renamed over"))
    other = victim.with_name("other.tmp")
    other.write_bytes(rng.randbytes(900))
    if change == "cut":
        os.truncate(victim, rng.randrange(victim.stat().st_size))
    elif change == "removed":
        victim.unlink()
    elif change == "overwritten":
        victim.write_bytes(rng.randbytes(victim.stat().st_size))
    else:
        other.replace(victim)
    status = wait(process)
    tiny_models(jobs.folder)
    if status == DONE:
        jobs.compare(command, out)
    elif status != FAILED:
        raise PromiseError(f"{command} ended with {status} ({change}): {last_words(jobs)}")
    return f"{'the same results' if status == DONE else 'refused'}"


# ---- the clock


def _turned_clock(jobs: Jobs, rng: random.Random) -> str:
    command = rng.choice(COMMANDS)
    out = empty_out(jobs)
    real = time.time
    jumps = [0.0] + [rng.choice((-1, 1)) * 10 ** rng.uniform(0, 9) for _ in range(4)]

    def turn() -> None:
        time.time = lambda: real() + rng.choice(jumps)

    # Interrupted by a kill, so that what dead runs left is met under a clock that is wrong.
    process = jobs.start(command, out, resume=False, pause_s=PAUSE_S, first=turn)
    time.sleep(rng.uniform(0, LONGEST_S))
    os.kill(process, signal.SIGKILL)
    wait(process)
    resume = rng.random() < 0.7
    if wait(jobs.start(command, out, resume=resume, first=turn)) != DONE:
        raise PromiseError(f"failed with a clock that jumps: {last_words(jobs)}")
    if not resume:
        # As promised, a run that starts anew keeps the record of the killed one.
        for path in out.glob("*.part.1"):
            path.unlink()
    jobs.finish(command, out)
    return "the same results"


_JOB = "`predict` and `track` at work"
_Attempt = Callable[[Jobs, random.Random], str]


def _kind(name: str, tried: str, promise: str, attempt: _Attempt) -> Kind:
    return Kind(
        name, f"{_JOB}; {tried}", promise, prepare_jobs, attempt, tries=40, quick=2, share=0.5
    )


KINDS = (
    _kind(
        "stopped run",
        "the process is stopped (SIGSTOP), a second one starts, the first goes on",
        "the second is refused at once and told who is at work; the first ends as if alone",
        _stopped,
    ),
    _kind(
        "deleted outputs",
        "its folder, or all in it, is deleted meanwhile",
        "one line of error or new files; the next run is whole",
        _deleted,
    ),
    _kind(
        "sources that change",
        "a video is cut, removed or overwritten while it is read",
        "frames that could be read and one line; no crash, no half file",
        _cut_source,
    ),
    _kind(
        "networks that change",
        "a model file is cut, removed, overwritten or replaced",
        "the same results, or one line if it was not open yet",
        _replaced_model,
    ),
    _kind(
        "clock",
        "the time of day jumps by up to 30 years, back and forth; killed and resumed",
        "the results are those of an undisturbed run",
        _turned_clock,
    ),
)
