"""Faults while results are written: kills, signals, full disks, two runs at once. POSIX only.

    python benchmarks/faults.py [--quick] [--seed 1] [--minutes 8] [--tries 2000]

Every try is a job over three small videos, with all formats, annotated videos, and tables for all
sources, in a forked process. It meets one fault at a random moment, and is resumed until it is done
(with further faults on the way). Then all files are compared byte for byte with those of an
undisturbed job. The networks are replaced by numbers made from the frame's index, as what is tried
is the writing. Prints a table in Markdown; the exit status is 1 if a promise was broken.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from rtmpose import get_skeleton
from rtmpose.errors import OutputError
from rtmpose.signals import end_as_interrupt
from rtmpose.sources import expand_sources, iterate
from rtmpose.types import Poses
from rtmpose.writers.job import predict_to_files
from rtmpose.writers.outputs import Outputs

FRAMES = 12
FORMATS = ("json", "jsonl", "mot", "openpose", "npz")
DONE, FAILED, INTERRUPTED, CRASHED = 0, 1, 2, 3
MAX_RESUMES = 30
HANG_S = 60.0

PROMISES = {
    "SIGKILL": "resumed, the results are those of an undisturbed run, byte for byte",
    "SIGTERM": "files are completed, nothing temporary stays, and a resume ends the same",
    "file size limit": "no half file under a final name, one line of error; a resume ends the same",
    "two runs": "the second is refused while the first is at work, and changes nothing",
}


class Networks:
    """Poses that depend on the index of the frame only, in place of a pipeline."""

    skeleton = get_skeleton("coco17")
    pose = SimpleNamespace(card=SimpleNamespace(id="made up"))
    detector = None
    box_thr = 0.3
    max_people = None

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    def run(self, items, *, boxes=None):
        for _, frame in iterate(items):
            time.sleep(self._pause_s)
            yield SimpleNamespace(frame=frame, poses=self._poses(frame.index))

    def _poses(self, index: int) -> Poses:
        rng = np.random.default_rng(index)
        points = rng.uniform(0, 60, (2, 17, 2)).astype(np.float32)
        boxes = np.array([[1, 2, 31, 42], [30, 10, 70, 50]], np.float32)
        scores = np.full((2, 17), 0.8, np.float32)
        ids = np.array([1, 2], np.int64)
        return Poses(boxes, np.full(2, 0.5, np.float32), points, scores, self.skeleton, ids)


def make_sources(folder: Path) -> list[str]:
    """Three small videos."""
    paths = []
    for name in ("a", "b", "c"):
        path = folder / f"{name}.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (80, 60))
        for k in range(FRAMES):
            writer.write(np.full((60, 80, 3), 10 * k, np.uint8))
        writer.release()
        paths.append(str(path))
    return paths


def run_job(sources: list[str], out: Path, pause_s: float, *, resume: bool) -> int:
    """One job in this process; how it ended."""
    formats = dict.fromkeys(FORMATS, out) | {"csv": out / "all.csv"}
    with end_as_interrupt():
        try:
            items = expand_sources(sources)
            predict_to_files(Networks(pause_s), items, Outputs(formats, out), resume=resume)
        except OutputError:
            return FAILED
        except KeyboardInterrupt:
            return INTERRUPTED
    return DONE


def start(sources: list[str], out: Path, pause_s: float, *, resume: bool, limit: int = 0) -> int:
    """A job in a forked process; its id."""
    process = os.fork()
    if process:
        return process
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stderr.fileno())
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        os._exit(run_job(sources, out, pause_s, resume=resume))
    except BaseException:  # noqa: BLE001 (it is what is counted)
        os._exit(CRASHED)


def wait(process: int) -> int:
    """How a forked job ended: its status, or the negative number of the signal.

    Raises:
        TimeoutError: it hangs, and was killed.
    """
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise TimeoutError


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder; of videos the number of frames, as their headers hold the time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".tmp" not in path.name:
            found[path.relative_to(folder).as_posix()] = (
                str(count_frames(path)).encode() if path.suffix == ".mp4" else path.read_bytes()
            )
    found.pop(".rtmpose.done", None)
    return found


def count_frames(path: Path) -> int:
    """Frames that can be decoded."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def temporaries(folder: Path) -> list[str]:
    """Names of temporary files and locks."""
    ends = (".lock", ".old")
    return [p.name for p in folder.rglob("*") if ".tmp" in p.name or p.name.endswith(ends)]


def half_files(folder: Path, whole: dict[str, bytes]) -> list[str]:
    """Finished files that are empty, or no prefix of what they would become."""
    bad = []
    for name, content in contents(folder).items():
        if ".part" in name or name.startswith("."):
            continue
        reference = whole.get(name, b"")
        text = name.endswith((".csv", ".jsonl", ".txt"))
        is_prefix = reference.startswith(content) and content.endswith(b"\n")
        # Interrupted lists are closed, and arrays shorter: those only have to be there.
        if not content or (text and not is_prefix) or (name.endswith(".mp4") and content == b"0"):
            bad.append(name)
    return bad


class Trial:
    """One try of one fault."""

    def __init__(self, sources: list[str], whole: dict[str, bytes], rng: random.Random) -> None:
        self.sources = sources
        self.whole = whole
        self.rng = rng
        self.faults: list[str] = []

    def run(self, kind: str, out: Path) -> list[str]:
        """The promises that were broken."""
        try:
            {
                "SIGKILL": self._killed,
                "SIGTERM": self._terminated,
                "file size limit": self._limited,
                "two runs": self._rivals,
            }[kind](out)
            if wait(start(self.sources, out, 0, resume=True)) != DONE:
                self.faults.append("the last resume failed")
        except TimeoutError:
            self.faults.append("hang")
        if temporaries(out):
            self.faults.append(f"temporary files stay: {temporaries(out)[:3]}")
        if contents(out) != self.whole:
            self.faults.append("other results than those of an undisturbed run")
        return self.faults

    def _killed(self, out: Path) -> None:
        for k in range(self.rng.randint(1, 3)):
            process = start(self.sources, out, 0.002, resume=k > 0)
            time.sleep(self.rng.uniform(0, 0.6))
            os.kill(process, signal.SIGKILL)
            if wait(process) not in (DONE, -signal.SIGKILL):
                self.faults.append("crash")
            self.faults += [f"half file {name}" for name in half_files(out, self.whole)]

    def _terminated(self, out: Path) -> None:
        process = start(self.sources, out, 0.002, resume=False)
        time.sleep(self.rng.uniform(0.1, 0.6))
        os.kill(process, signal.SIGTERM)
        # In its first moments the process has no handler yet.
        if wait(process) not in (DONE, INTERRUPTED, -signal.SIGTERM):
            self.faults.append("crash")
        if temporaries(out):
            self.faults.append("temporary files after SIGTERM")
        self.faults += [f"half file {name}" for name in half_files(out, self.whole)]

    def _limited(self, out: Path) -> None:
        for k in range(self.rng.randint(1, 2)):
            limit = int(10 ** self.rng.uniform(2.3, 4.3))
            if wait(start(self.sources, out, 0, resume=k > 0, limit=limit)) not in (DONE, FAILED):
                self.faults.append("crash or traceback")
            if temporaries(out):
                self.faults.append("temporary files after a failed write")
            self.faults += [f"half file {name}" for name in half_files(out, self.whole)]

    def _rivals(self, out: Path) -> None:
        first = start(self.sources, out, 0.02, resume=False)
        deadline = time.monotonic() + HANG_S
        while not (out / ".rtmpose.lock").exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(self.rng.uniform(0, 0.3))
        if wait(start(self.sources, out, 0, resume=self.rng.random() < 0.5)) != FAILED:
            self.faults.append("the second run was not refused")
        if wait(first) != DONE:
            self.faults.append("the first run failed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=8.0, help="stop after this time")
    parser.add_argument("--tries", type=int, default=2000)
    args = parser.parse_args()
    tries, minutes = (60, 0.6) if args.quick else (args.tries, args.minutes)

    cv2.setNumThreads(1)
    rng = random.Random(args.seed)
    counts: Counter[str] = Counter()
    broken: dict[str, list[str]] = {kind: [] for kind in PROMISES}
    # In memory where there is such a folder: what is tried is not the disk's speed.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder = Path(name)
        sources = make_sources(folder)
        (folder / "whole").mkdir()
        if wait(start(sources, folder / "whole", 0, resume=False)) != DONE:
            raise SystemExit("the undisturbed job failed")
        whole = contents(folder / "whole")

        # Kinds take turns, so that a run that is cut short has tried all.
        end = time.monotonic() + 60 * minutes
        for k in range(tries):
            if time.monotonic() > end:
                break
            kind = list(PROMISES)[k % len(PROMISES)]
            out = folder / "out"
            out.mkdir()
            counts[kind] += 1
            faults = Trial(sources, whole, rng).run(kind, out)
            broken[kind] += [f"{fault} (try {k})" for fault in faults]
            shutil.rmtree(out)

    print("| fault | tries | broken promises | what holds |")
    print("|---|---:|---:|---|")
    for kind, promise in PROMISES.items():
        print(f"| {kind} | {counts[kind]} | {len(broken[kind])} | {promise} |")
    for faults in broken.values():
        for fault in faults[:10]:
            print(f"- {fault}", file=sys.stderr)
    return int(any(broken.values()))


if __name__ == "__main__":
    sys.exit(main())
