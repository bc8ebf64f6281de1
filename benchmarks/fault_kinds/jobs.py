"""Whole jobs of both commands in forked processes, and what they leave on disk."""

import importlib
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from fault_kinds.commands import tiny_models
from fault_kinds.engine import PromiseError
from fault_kinds.media import picture
from rtmpose import BackendOptions, Detector, Pipeline, PoseEstimator
from rtmpose.errors import RtmposeError
from rtmpose.signals import end_as_interrupt
from rtmpose.sources import expand_sources
from rtmpose.tracking import PoseTracker, TrackerParams
from rtmpose.tracking.video import VideoTracker
from rtmpose.writers.job import predict_to_files, track_to_files
from rtmpose.writers.outputs import Outputs
from rtmpose.writers.report import JobProgress

FRAMES = 8
FORMATS = ("json", "jsonl", "mot", "openpose", "npz")
DONE, FAILED, INTERRUPTED, CRASHED = 0, 1, 2, 3
HANG_S = 30.0
SAID = "said.txt"
TRACEBACK = 350
"""Characters of a traceback that are shown."""


@dataclass
class Jobs:
    """Sources and networks of small jobs, and what an undisturbed one writes.

    Attributes:
        folder: An empty folder for the outputs of a try.
        wholes: Command to the contents of its files.
    """

    folder: Path
    sources: list[str]
    detector: str
    pose: str
    wholes: dict[str, dict[str, bytes]]

    def run(
        self,
        command: str,
        out: Path,
        *,
        resume: bool,
        pause_s: float = 0.0,
        sources: list[str] | None = None,
        hold: Path | None = None,
    ) -> int:
        """One job in this process; how it ended."""
        formats = dict.fromkeys(FORMATS, out) | {"csv": out / "all.csv"}
        outputs = Outputs(formats, out)
        options = BackendOptions("onnxruntime", "cpu", threads=1)

        def slow_down(_: JobProgress) -> None:
            time.sleep(pause_s)
            while hold is not None and hold.exists():
                time.sleep(0.002)

        with end_as_interrupt():
            try:
                items = expand_sources(sources or self.sources)
                detector = Detector(self.detector, options=options)
                pose = PoseEstimator(self.pose, options=options)
                if command == "predict":
                    pipeline = Pipeline(detector, pose)
                    report = predict_to_files(
                        pipeline, items, outputs, resume=resume, on_progress=slow_down
                    )
                else:
                    tracker = VideoTracker(PoseTracker(detector, pose, TrackerParams()))
                    report = track_to_files(
                        tracker, items, outputs, resume=resume, on_progress=slow_down
                    )
            except RtmposeError as error:
                (self.folder / SAID).write_text(str(error), errors="replace")
                return FAILED
            except KeyboardInterrupt:
                return INTERRUPTED
        return FAILED if report.failures else DONE

    def start(
        self,
        command: str,
        out: Path,
        *,
        resume: bool,
        pause_s: float = 0.0,
        limit: int = 0,
        sources: list[str] | None = None,
        first: Callable[[], None] = lambda: None,
        hold: Path | None = None,
    ) -> int:
        """A job in a forked process, which calls ``first``, and waits at each frame while there is
        a file ``hold``; its id.
        """
        process = os.fork()
        if process:
            return process
        status = CRASHED
        try:
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            first()
            status = self.run(
                command, out, resume=resume, pause_s=pause_s, sources=sources, hold=hold
            )
        except BaseException:  # noqa: BLE001 (it is what is counted)
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(status)

    def finish(self, command: str, out: Path) -> None:
        """Resume until all is done, and compare with the undisturbed run.

        Raises:
            PromiseError: something is lost, or left over.
        """
        if wait(self.start(command, out, resume=True)) != DONE:
            raise PromiseError("the last resume failed")
        self.compare(command, out)

    def compare(self, command: str, out: Path) -> None:
        """Whether the outputs are those of the undisturbed run.

        Raises:
            PromiseError: something is lost, or left over.
        """
        if temporaries(out):
            raise PromiseError(f"temporary files stay: {temporaries(out)[:3]}")
        found = contents(out)
        if found != self.wholes[command]:
            names = sorted(set(found) ^ set(self.wholes[command]))
            raise PromiseError(f"lost results: not those of an undisturbed run {names[:5]}")

    def said(self) -> str:
        """The last error of a job that was refused."""
        path = self.folder / SAID
        return path.read_text(errors="replace") if path.exists() else ""


def empty_out(jobs: Jobs) -> Path:
    """The folder for outputs, empty."""
    out = jobs.folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return out


def prepare_jobs(folder: Path) -> Jobs:
    """Two small videos, tiny networks, and what undisturbed jobs write."""
    # Loaded once, before the forks; it starts no thread before a network is opened.
    importlib.import_module("onnxruntime")
    cv2.setNumThreads(1)
    sources = [make_clip(folder / f"{name}.avi", k) for k, name in enumerate("ab")]
    detector, pose = tiny_models(folder)
    jobs = Jobs(folder, sources, detector, pose, {})
    for command in ("predict", "track"):
        out = folder / f"whole-{command}"
        out.mkdir()
        if wait(jobs.start(command, out, resume=False)) != DONE:
            raise RuntimeError("the undisturbed job failed")
        jobs.wholes[command] = contents(out)
    return jobs


def last_words(jobs: Jobs) -> str:
    """The end of what a job that crashed wrote."""
    return (jobs.folder / "standard-error.txt").read_text(errors="replace")[-TRACEBACK:]


def make_clip(path: Path, seed: int = 0, frames: int = FRAMES) -> str:
    """A small video."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 64))
    for k in range(frames):
        writer.write(picture(seed + k))
    writer.release()
    return str(path)


def wait(process: int) -> int:
    """How a forked job ended: its status, or the negative number of the signal.

    Raises:
        PromiseError: it hangs, and was killed.
    """
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise PromiseError(f"hang: longer than {HANG_S:.0f} s")


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


def check_no_half_file(folder: Path, whole: dict[str, bytes]) -> None:
    """Finished files are not empty, and begin as the whole ones.

    Raises:
        PromiseError: one is.
    """
    for name, content in contents(folder).items():
        if ".part" in name or name.startswith("."):
            continue
        reference = whole.get(name, b"")
        text = name.endswith((".csv", ".jsonl", ".txt"))
        is_prefix = reference.startswith(content) and content.endswith(b"\n")
        # Interrupted lists are closed, and arrays shorter: those only have to be there.
        if not content or (text and not is_prefix) or (name.endswith(".mp4") and content == b"0"):
            raise PromiseError(f"half file {name}")
