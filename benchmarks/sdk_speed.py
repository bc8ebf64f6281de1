"""The C library against the Python package on ONNX Runtime, taking turns, each on one thread or as
many as --threads says:
`python benchmarks/sdk_speed.py [--rounds 40] [--library build/sdk/install/lib/librtmpose.so]`.
With --device openvino, and RTMPOSE_ONNXRUNTIME naming the library of the Python package
onnxruntime-openvino, C runs the networks by OpenVINO; Python stays with ONNX Runtime. --c-detector
and --c-pose name other files for C, such as int8 ones of `rtmpose export --precision int8`. With
--det-pose PROGRAM the peak memory of that program and of the Python command on one photo.

With --mmdeploy-python PYTHON, of an environment with mmdeploy-runtime 1.3.1 and numpy below 2, the
C library against that runtime on the same files and boxes, also in turns. Each process is bound to
--cores cores before it opens a network; this library gets as many threads. mmdeploy-runtime has no
option for threads, so its processor time per wall time is printed, too. It reads detectors that
suppress inside only, so --detector must name one. Its ONNX Runtime binds its threads to all cores,
whatever its process is bound to: with --bind-all they are bound like the process once they run.

A frame is 1280x720: boxes by the detector, then the poses of 1, 4 and 10 of them. Against
mmdeploy-runtime the detector runs, and both then get the same 1, 4 and 10 boxes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare
import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

import rtmpose

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "sdk" / "conformance"))
from library import Library  # noqa: E402

MODELS = ROOT / "rtmpose" / "assets" / "models"
DETECTOR = MODELS / "rtmdet-nano_finetuned_320x320.onnx"
POSE = MODELS / "rtmpose-s_finetuned-halpe26_256x192.onnx"
PHOTO = ROOT / "rtmpose" / "assets" / "photos" / "000000541055.jpg"
PEOPLE = (1, 4, 10)
WARM_UP = 5
FRAMES_PER_TURN = 3
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def frame() -> NDArray[np.uint8]:
    """A photo of five people four times, 1280x720."""
    photo = cv2.imread(str(PHOTO))
    return np.ascontiguousarray(cv2.resize(np.tile(photo, (2, 2, 1)), (1280, 720)))


class CPipeline:
    """Detector and pose model in the C library."""

    def __init__(
        self, library: Path, detector: Path, pose: Path, threads: int, device: str
    ) -> None:
        self.library = Library(library)
        self.detector = self.library.detector(self.library.open(detector, threads, device))
        self.pose = self.library.pose_detector(self.library.open(pose, threads, device))

    def run(self, image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> None:
        """Detect, throw the boxes away, estimate in the given ones."""
        self.library.detect(self.detector, image, 0.1)
        self.library.estimate(self.pose, image, boxes)

    def times(self, people: int, frames: int, folder: Path) -> list[float]:
        """Milliseconds of each frame."""
        given = np.load(folder / f"{people}.npz")
        image, boxes = given["image"], given["boxes"]
        times = []
        for _ in range(frames):
            started = time.perf_counter()
            self.run(image, boxes)
            times.append(1000 * (time.perf_counter() - started))
        return times


def against_python(arguments: argparse.Namespace) -> None:
    """Milliseconds per frame of both, medians of frames that take turns."""
    threads, rounds = arguments.threads, arguments.rounds
    options = rtmpose.BackendOptions("onnxruntime", "cpu", threads, False, "fp32")
    detector = rtmpose.Detector(arguments.detector, options=options)
    pose = rtmpose.PoseEstimator(arguments.pose, options=options)
    other = CPipeline(
        arguments.library,
        arguments.c_detector or arguments.detector,
        arguments.c_pose or arguments.pose,
        threads,
        arguments.device,
    )
    image = frame()
    print(f"load average {os.getloadavg()[0]:.1f}")
    for count in PEOPLE:
        times: dict[str, list[float]] = {"Python": [], "C": []}
        for turn in range(rounds + WARM_UP):
            started = time.perf_counter()
            boxes = detector(image, box_thr=0.1).boxes[:count]
            pose(image, boxes)
            between = time.perf_counter()
            found = other.library.detect(other.detector, image, 0.1).boxes[:count]
            other.library.estimate(other.pose, image, found)
            ended = time.perf_counter()
            assert len(boxes) == len(found) == count
            if turn >= WARM_UP:
                times["Python"].append(between - started)
                times["C"].append(ended - between)
        python, c = (1000 * statistics.median(times[name]) for name in ("Python", "C"))
        print(f"{count:2d} people: Python {python:6.1f} ms, C {c:6.1f} ms: {python / c:.2f}x")


def against_mmdeploy(arguments: argparse.Namespace, cores: int) -> None:
    """Milliseconds per frame of the C library and of mmdeploy-runtime, in turns of a few frames."""
    # This process runs the C library; the other one is bound by what starts it.
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(usual)[:cores])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        detector, pose = str(arguments.detector), str(arguments.pose)
        compare.write_inputs(folder, detector, pose)
        settings = argparse.Namespace(
            mmdeploy_python=arguments.mmdeploy_python,
            inputs=folder,
            detector=detector,
            pose=pose,
            debug=False,
        )
        theirs = compare.Contender("mmdeploy-onnxruntime", settings, cores)
        ours = CPipeline(
            arguments.library, arguments.detector, arguments.pose, cores, arguments.device
        )
        print(f"{cores} cores, load average {os.getloadavg()[0]:.1f}")
        if arguments.bind_all:
            theirs.run(PEOPLE[0], 1)
            for task in Path(f"/proc/{theirs.process.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), sorted(usual)[:cores])
        for count in PEOPLE:
            turns(ours, theirs, count, arguments.rounds, folder)
        theirs.close()
    os.sched_setaffinity(0, usual)


def turns(
    ours: CPipeline, theirs: compare.Contender, people: int, rounds: int, folder: Path
) -> None:
    """One line: medians of both, and how many cores mmdeploy-runtime kept busy."""
    c: list[float] = []
    mmdeploy: list[float] = []
    busy: list[float] = []
    for turn in range(rounds + 1):
        times = ours.times(people, FRAMES_PER_TURN, folder)
        other_times, share = theirs.run(people, FRAMES_PER_TURN)

        # The first turn compiles and allocates.
        if turn > 0:
            c += times
            mmdeploy += other_times
            busy.append(share)
    one, other = statistics.median(c), statistics.median(mmdeploy)
    print(
        f"{people:2d} people: mmdeploy {other:6.1f} ms ({statistics.median(busy):.2f} cores),"
        f" C {one:6.1f} ms: {other / one:.2f}x",
        flush=True,
    )


def peak_mb(command: list[str]) -> float:
    """Largest resident memory of a program."""
    # Started by a small process: a child counts the memory of its parent from before it runs.
    line = [sys.executable, "-S", "-c", PEAK, *command]
    done = subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.splitlines()[-1]) / 1024


def memory(program: Path, folder: Path) -> None:
    """Peak memory of the program and of the command on one photo."""
    ours = [str(program), str(DETECTOR), str(POSE), str(PHOTO), "--output", str(folder / "a.png")]
    command = [sys.executable, "-m", "rtmpose", "predict", str(PHOTO), "--detector", str(DETECTOR)]
    command += ["--pose", str(POSE), "--backend", "onnxruntime", "--threads", "1"]
    of_program, of_command = peak_mb(ours), peak_mb(command)
    print(
        f"det_pose {of_program:.0f} MB, python {of_command:.0f} MB: {of_program / of_command:.0%}"
    )


def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    built = ROOT / "build" / "sdk"
    parser.add_argument("--library", type=Path, default=built / "install/lib/librtmpose.so")
    parser.add_argument("--detector", type=Path, default=DETECTOR)
    parser.add_argument("--pose", type=Path, default=POSE)
    parser.add_argument("--c-detector", type=Path, help="another file for C, against Python")
    parser.add_argument("--c-pose", type=Path, help="another file for C, against Python")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1, help="of both, against Python")
    parser.add_argument("--device", default="cpu", help="of the C library: cpu, openvino, ...")
    parser.add_argument("--det-pose", type=Path, help="program whose peak memory is measured")
    parser.add_argument("--mmdeploy-python", help="compare with mmdeploy-runtime of this Python")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2], help="for mmdeploy-runtime")
    parser.add_argument(
        "--bind-all", action="store_true", help="bind every thread of mmdeploy-runtime"
    )
    arguments = parser.parse_args()
    if "RTMPOSE_ONNXRUNTIME" not in os.environ:
        package = Path(onnxruntime.__file__).parent
        os.environ["RTMPOSE_ONNXRUNTIME"] = str(next(package.glob("capi/libonnxruntime.so*")))
    if arguments.mmdeploy_python:
        for cores in arguments.cores:
            against_mmdeploy(arguments, cores)
        return
    against_python(arguments)
    if arguments.det_pose:
        # For the program, wherever it was built.
        os.environ["LD_LIBRARY_PATH"] = str(arguments.library.parent)
        memory(arguments.det_pose, built)


if __name__ == "__main__":
    main()
