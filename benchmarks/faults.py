"""Everything that goes wrong around the package, tried many times: damaged files, values that make
no sense, kills, full disks, servers that lie. POSIX only.

    python benchmarks/faults.py [--quick] [--seed 1] [--minutes 9] [--only KIND]
    python benchmarks/faults.py --only KIND --seed 1 --repeat 37

Every try has random numbers of its own, from the seed, the kind and the number of the try: a try
that broke a promise can be repeated alone. Tries run in processes with limits of time and memory.
Networks are tiny, so that thousands of tries fit. Needs what the tests need.

Of a try that hangs, the stacks of all its processes are printed, and kept in a file that is named.

Prints the table of docs/reliability.md; the exit status is 1 if a promise was broken.
"""

import argparse
import contextlib
import importlib
import os
import pickle
import pkgutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import zip_longest
from pathlib import Path

# One thread each: what is tried is not speed, and forked processes must not miss threads.
os.environ.update(OMP_NUM_THREADS="1", RTMPOSE_OFFLINE="1")
# The tiny networks of the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))

from fault_kinds import all_kinds
from fault_kinds.engine import REPORTED, Kind, Tally, Tries

import rtmpose

NOT_LOADED = tuple(
    f"rtmpose.{name}"
    for name in ("__main__", "training", "networks", "pruning", "exporting", "compat", "backends.")
)
"""What needs torch, and the engines."""

QUICK_MINUTES = 0.9
SLICE_S, QUICK_SLICE_S = 6.0, 1.5
"""Seconds of one kind before the next has its turn; each turn has one try at least."""
SHOWN = 20


def _default_signals() -> None:
    """Signals do what they do in a terminal: nohup, and shells in the background, ignore some, and
    the processes of the tries would too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGHUP", "SIGQUIT"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


def main() -> int:
    arguments = _arguments()
    kinds = [kind for kind in all_kinds() if arguments.only in ("", kind.name)]
    if not kinds:
        names = ", ".join(kind.name for kind in all_kinds())
        raise SystemExit(f"--only takes one of: {names}")
    _default_signals()
    preload()
    begun = time.monotonic()
    minutes = QUICK_MINUTES if arguments.quick else arguments.minutes

    # In memory where there is such a folder: what is tried is not the disk's speed.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        tallies = run(kinds, arguments, Path(name), time.monotonic() + 60 * minutes)

    print("| fault | what was tried | tries | what happened | the promise |")
    print("|---|---|---:|---|---|")
    for tally in tallies:
        print(tally.row())
    tries = sum(tally.tries for tally in tallies)
    broken = sum(len(tally.broken) for tally in tallies)
    seconds = time.monotonic() - begun
    if arguments.times:
        for tally in tallies:
            print(f"{tally.kind.name}: {tally.seconds:.1f} s", file=sys.stderr)
    print(f"\n{tries} tries in {seconds / 60:.1f} minutes, seed {arguments.seed}: {broken} broken.")
    show_broken(tallies, arguments.seed, arguments.all)
    return int(broken > 0)


def preload() -> None:
    """Load once what every forked process would load again. None of it starts a thread."""
    for name in ("av", "onnxruntime", "scipy.optimize", "PIL.Image", "simplejpeg", "typer"):
        importlib.import_module(name)
    for module in pkgutil.walk_packages(rtmpose.__path__, "rtmpose."):
        if not module.name.startswith(NOT_LOADED):
            with contextlib.suppress(ImportError):  # an engine that is not installed
                importlib.import_module(module.name)


def run(kinds: list[Kind], arguments: argparse.Namespace, folder: Path, end: float) -> list[Tally]:
    """All tries, some at the same time, as many only wait. A run that is cut short has tried every
    kind.
    """
    lanes = 1 if arguments.repeat is not None else min(arguments.lanes, len(kinds))
    # Neighbors are of about the same cost: each lane gets a part of them.
    shares = [list(enumerate(kinds))[lane::lanes] for lane in range(lanes)]
    if lanes == 1:
        return run_lane(shares[0], arguments, folder, end)
    return in_processes([partial(run_lane, share, arguments, folder, end) for share in shares])


def in_processes(lanes: list[Callable[[], list[Tally]]]) -> list[Tally]:
    """What some functions give, each called in a forked process, in turns: one of each."""
    waiting = []
    for lane in lanes:
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if not process:
            status = 1
            try:
                os.close(reading)
                with os.fdopen(writing, "wb") as pipe:
                    pickle.dump([_plain(tally) for tally in lane()], pipe)
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        waiting.append((process, reading))
    found = []
    for process, reading in waiting:
        with os.fdopen(reading, "rb") as pipe:
            found.append(pickle.load(pipe))
        os.waitpid(process, 0)
    ordered = [plain for group in zip_longest(*found) for plain in group if plain is not None]
    kinds = {kind.name: kind for kind in all_kinds()}
    return [Tally(kinds[name], *rest) for name, *rest in ordered]


def _plain(tally: Tally) -> tuple[object, ...]:
    # Functions of a kind cannot be sent.
    return tally.kind.name, tally.tries, tally.seconds, tally.outcomes, tally.broken, tally.skipped


def run_lane(
    kinds: list[tuple[int, Kind]], arguments: argparse.Namespace, folder: Path, end: float
) -> list[Tally]:
    """All tries of some kinds, in turns by time."""
    runs = []
    for k, kind in kinds:
        count = kind.quick if arguments.quick else kind.tries
        numbers = range(count) if arguments.repeat is None else [arguments.repeat]
        runs.append(Tries(kind, numbers, arguments.seed, folder / str(k)))
    slice_s = QUICK_SLICE_S if arguments.quick else SLICE_S
    try:
        while time.monotonic() < end and not all(one.done for one in runs):
            for one in runs:
                if not one.done:
                    share_s = slice_s * one.tally.kind.share
                    one.run_batch(min(end, time.monotonic() + share_s))
    finally:
        for one in runs:
            one.close()
    return [one.tally for one in runs]


def show_broken(tallies: list[Tally], seed: int, show_all: bool) -> None:
    """Every broken promise, with the command that repeats it."""
    for tally in tallies:
        shown = tally.broken if show_all else tally.broken[:SHOWN]
        for number, text in shown:
            again = f'--only "{tally.kind.name}" --seed {seed} --repeat {number}'
            print(f"- {again}\n  {text}", file=sys.stderr)
            if REPORTED in text:
                print(Path(text.split(REPORTED)[1]).read_text(), file=sys.stderr)
        if len(tally.broken) > len(shown):
            more = len(tally.broken) - len(shown)
            print(f"- {tally.kind.name}: {more} more; --all shows them", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="under a minute, for CI")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=9.0, help="stop after this time")
    parser.add_argument("--lanes", type=int, default=3, help="tries at the same time")
    parser.add_argument("--only", default="", metavar="KIND", help="one kind of fault")
    parser.add_argument("--repeat", type=int, metavar="N", help="only the try with this number")
    parser.add_argument("--all", action="store_true", help="show every broken promise")
    parser.add_argument("--times", action="store_true", help="print the seconds of each kind")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
