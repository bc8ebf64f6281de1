"""Kills, signals, limits of the size of files, and two runs at a time: resumed, and compared with
an undisturbed run byte for byte.
"""

import functools
import os
import random
import signal
import time

from fault_kinds.engine import Kind, PromiseError
from fault_kinds.jobs import (
    DONE,
    FAILED,
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
LONGEST_S = 0.3
"""Of a job with that pause, about."""


def _killed(jobs: Jobs, rng: random.Random) -> str:
    command = rng.choice(("predict", "track"))
    out = empty_out(jobs)
    for k in range(rng.randint(1, 3)):
        process = jobs.start(command, out, resume=k > 0, pause_s=PAUSE_S)
        time.sleep(rng.uniform(0, LONGEST_S))
        os.kill(process, signal.SIGKILL)
        if wait(process) not in (DONE, -signal.SIGKILL):
            raise PromiseError(f"crash of {command}")
        check_no_half_file(out, jobs.wholes[command])
    jobs.finish(command, out)
    return "resumed"


def _signaled(jobs: Jobs, rng: random.Random, *, number: signal.Signals) -> str:
    command = rng.choice(("predict", "track"))
    out = empty_out(jobs)
    process = jobs.start(command, out, resume=False, pause_s=PAUSE_S)
    time.sleep(rng.uniform(0.05, LONGEST_S))
    os.kill(process, number)
    status = wait(process)
    # In its first moments the process has no handler yet.
    if status not in (DONE, INTERRUPTED, -number):
        raise PromiseError(f"{command} ended with {status} after {number.name}: {last_words(jobs)}")
    if temporaries(out):
        raise PromiseError(f"temporary files after {number.name}: {temporaries(out)[:3]}")
    check_no_half_file(out, jobs.wholes[command])
    jobs.finish(command, out)
    return "ended in time" if status == DONE else "resumed"


def _limited(jobs: Jobs, rng: random.Random) -> str:
    command = rng.choice(("predict", "track"))
    out = empty_out(jobs)
    for k in range(rng.randint(1, 2)):
        limit = int(10 ** rng.uniform(2.3, 4.3))
        status = wait(jobs.start(command, out, resume=k > 0, limit=limit))
        if status not in (DONE, FAILED):
            raise PromiseError(f"crash or traceback of {command} (status {status})")
        if temporaries(out):
            raise PromiseError("temporary files after a failed write")
        check_no_half_file(out, jobs.wholes[command])
    jobs.finish(command, out)
    return "resumed"


def _rivals(jobs: Jobs, rng: random.Random) -> str:
    command = rng.choice(("predict", "track"))
    other = rng.choice(("predict", "track"))
    out = empty_out(jobs)
    # The first one is at work until the second has been refused.
    hold = jobs.folder / "hold"
    hold.touch()
    first = jobs.start(command, out, resume=False, pause_s=0.005, hold=hold)
    deadline = time.monotonic() + HANG_S
    while not (out / ".rtmpose.lock").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.15))
    second = wait(jobs.start(other, out, resume=rng.random() < 0.5))
    hold.unlink()
    if second != FAILED:
        raise PromiseError("the second run was not refused")
    if wait(first) != DONE:
        raise PromiseError("the first run failed")
    jobs.finish(command, out)
    return "second refused"


_TERMINATED = functools.partial(_signaled, number=signal.SIGTERM)
_INTERRUPTED = functools.partial(_signaled, number=signal.SIGINT)
_SAME = "resumed, the results are those of an undisturbed run, byte for byte"
_KEPT = f"files are completed, nothing temporary stays; {_SAME}"
_JOB = "`predict` and `track` with all formats and annotated videos"

KINDS = (
    Kind("SIGKILL", f"{_JOB}, killed 1 to 3 times", _SAME, prepare_jobs, _killed, 120, 6, share=3),
    Kind("SIGTERM", _JOB, _KEPT, prepare_jobs, _TERMINATED, 120, 5, share=3),
    Kind("SIGINT", _JOB, _KEPT, prepare_jobs, _INTERRUPTED, 120, 5, share=3),
    Kind(
        "limit of the file size",
        f"{_JOB}, with room for 200 to 20,000 bytes a file",
        f"one line of error, no half file under a final name; {_SAME}",
        prepare_jobs,
        _limited,
        100,
        6,
    ),
    Kind(
        "two runs",
        "a second job on the folder of one that is at work",
        "the second is refused, and changes nothing",
        prepare_jobs,
        _rivals,
        50,
        3,
    ),
)
