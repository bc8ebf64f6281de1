"""The C library against the Python package on ONNX Runtime, taking turns, each on one thread:
`python benchmarks/sdk_speed.py [--rounds 40] [--library build/sdk/install/lib/librtmpose.so]`; and
with --det-pose PROGRAM the peak memory of that program and of the Python command on one photo.

A frame is 1280x720: boxes by the detector, then the poses of 1, 4 and 10 of them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

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
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def frame() -> np.ndarray:
    """A photo of five people four times, 1280x720."""
    photo = cv2.imread(str(PHOTO))
    return np.ascontiguousarray(cv2.resize(np.tile(photo, (2, 2, 1)), (1280, 720)))


def speeds(library: Path, rounds: int) -> None:
    """Milliseconds per frame of both, medians of frames that take turns."""
    options = rtmpose.BackendOptions("onnxruntime", "cpu", 1, False, "fp32")
    detector = rtmpose.Detector(DETECTOR, options=options)
    pose = rtmpose.PoseEstimator(POSE, options=options)
    c = Library(library)
    c_detector = c.detector(c.open(DETECTOR))
    c_pose = c.pose_detector(c.open(POSE))
    image = frame()
    print(f"load average {os.getloadavg()[0]:.1f}")
    for count in PEOPLE:
        times: dict[str, list[float]] = {"Python": [], "C": []}
        for turn in range(rounds + WARM_UP):
            started = time.perf_counter()
            boxes = detector(image, box_thr=0.1).boxes[:count]
            pose(image, boxes)
            between = time.perf_counter()
            found = c.detect(c_detector, image, 0.1).boxes[:count]
            c.estimate(c_pose, image, found)
            ended = time.perf_counter()
            assert len(boxes) == len(found) == count
            if turn >= WARM_UP:
                times["Python"].append(between - started)
                times["C"].append(ended - between)
        python, other = (1000 * statistics.median(times[name]) for name in ("Python", "C"))
        print(
            f"{count:2d} people: Python {python:6.1f} ms, C {other:6.1f} ms: {python / other:.2f}x"
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
    parser = argparse.ArgumentParser(description=__doc__)
    built = ROOT / "build" / "sdk"
    parser.add_argument("--library", type=Path, default=built / "install/lib/librtmpose.so")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--det-pose", type=Path, help="program whose peak memory is measured")
    arguments = parser.parse_args()
    if "RTMPOSE_ONNXRUNTIME" not in os.environ:
        package = Path(onnxruntime.__file__).parent
        os.environ["RTMPOSE_ONNXRUNTIME"] = str(next(package.glob("capi/libonnxruntime.so*")))
    speeds(arguments.library, arguments.rounds)
    if arguments.det_pose:
        # For the program, wherever it was built.
        os.environ["LD_LIBRARY_PATH"] = str(arguments.library.parent)
        memory(arguments.det_pose, built)


if __name__ == "__main__":
    main()
