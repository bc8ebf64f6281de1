"""Detector plus pose per 720p frame, compared with other runtimes on the same ONNX files.

    python benchmarks/compare.py --detector yolox.onnx --pose rtmpose-s.onnx --output
    benchmarks/results/mine.json

Every contender is a separate process that stays alive; they take turns, a few frames at a time, so
that a noisy machine hits all of them alike. The detector runs for real on every frame; the pose
network then gets a given number of boxes, so that all contenders do the same work. Each frame's
time is taken inside the process, from image to keypoints. rtmlib has no option for threads, and
ONNX Runtime then binds its threads to all cores of the machine whatever the process is bound to;
its sessions get the number of cores here, or it would win by using a second one. For
mmdeploy-runtime that is not possible, so "busy_cores" (processor time over wall time) is recorded
for everyone. "ours-auto" is what the package chooses by itself, as installed; "networks" in the
output names what ran. "ours-defaults" does so with the models it takes when none is named; with the
files of rtmlib's "lightweight" mode (YOLOX-tiny and RTMPose-s) for the others that compares what
users of both get. Ratios are those of medians and of 10th percentiles; above 1 means that we
are faster. "ours-openvino-bf16" is left out where the processor has no bf16.

Needs, besides this package: pip install rtmlib==0.0.16 (contenders that are not installed
are left out). mmdeploy-runtime needs an old numpy, so it needs a separate environment, named by
--mmdeploy-python: pip install mmdeploy-runtime==1.3.1 'numpy<2'.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

PEOPLE = (1, 4, 10)
OURS = (
    "ours-auto",
    "ours-defaults",
    "ours-onnxruntime",
    "ours-openvino-int8",
    "ours-openvino-bf16",
    "ours-openvino-fp32",
)
OTHERS = ("rtmlib-onnxruntime", "rtmlib-openvino", "mmdeploy-onnxruntime")
PAIRS = (
    ("ours-defaults", "rtmlib-openvino"),
    ("ours-defaults", "rtmlib-onnxruntime"),
    ("ours-defaults", "mmdeploy-onnxruntime"),
    ("ours-auto", "rtmlib-openvino"),
    ("ours-auto", "rtmlib-onnxruntime"),
    ("ours-auto", "mmdeploy-onnxruntime"),
    ("ours-onnxruntime", "rtmlib-onnxruntime"),
    ("ours-onnxruntime", "mmdeploy-onnxruntime"),
    ("ours-openvino-int8", "rtmlib-openvino"),
    ("ours-openvino-bf16", "rtmlib-openvino"),
    ("ours-openvino-fp32", "rtmlib-openvino"),
)


def frame_and_boxes(people: int) -> tuple[np.ndarray, np.ndarray]:
    """A 720p frame made of a photograph, and that many boxes on it."""
    import cv2

    from rtmpose.benchmark.stages import demo_photo, spread_boxes

    # The size of the frame is part of what is measured.
    image = cv2.resize(cv2.imread(str(demo_photo())), (1280, 720))
    return image, spread_boxes(image, people).boxes


def write_inputs(folder: Path, detector: str, pose: str) -> None:
    """Frames and boxes for the workers, and the networks as directories of the deployment SDK."""
    from rtmpose import Detector, PoseEstimator
    from rtmpose.exporting.sdk import write_sdk

    # The same arrays for all contenders, and the SDK's form of the same networks.
    for people in PEOPLE:
        image, boxes = frame_and_boxes(people)
        np.savez(folder / f"{people}.npz", image=image, boxes=boxes)
    write_sdk(
        Detector(detector).card,
        Path(detector),
        folder / "detector",
        input_name="input",
        batched=False,
    )
    write_sdk(
        PoseEstimator(pose).card, Path(pose), folder / "pose", input_name="input", batched=True
    )


def make_mmdeploy(folder: Path) -> Any:
    """mmdeploy-runtime on the same files; it is told neither threads nor precision."""
    from mmdeploy_runtime import Detector, PoseDetector

    detect = Detector(str(folder / "detector"), "cpu", 0)
    estimate = PoseDetector(str(folder / "pose"), "cpu", 0)
    return lambda image, boxes: (detect(image), estimate(image, boxes)), "fp32"


def make(contender: str, detector: str, pose: str, threads: int, folder: Path) -> Any:
    """A function of image and boxes that detects, throws the boxes away and estimates in the given
    ones.
    """
    # The name says whose runtime, which engine, and which precision.
    who, _, engine = contender.partition("-")
    if who == "mmdeploy":
        return make_mmdeploy(folder)
    if who == "ours":
        from rtmpose import BackendOptions, Detector, PoseEstimator
        from rtmpose.pipeline import DEFAULT_DETECTOR, DEFAULT_POSE_MODEL

        if engine == "defaults":
            engine, detector, pose = "auto", DEFAULT_DETECTOR, DEFAULT_POSE_MODEL
        engine, _, precision = engine.partition("-")
        options = BackendOptions(engine, "cpu", threads, precision=precision or "auto")  # type: ignore[arg-type]
        detect = Detector(detector, options=options)
        estimate = PoseEstimator(pose, options=options)
        # What "auto" chose is part of the result.
        detects, estimates = (
            f"{network.backend.engine} {network.backend.precision}"
            for network in (detect, estimate)
        )
        names = f"detector {detects}, pose {estimates}"
        return lambda image, boxes: (detect(image), estimate(image, boxes)), names

    import onnxruntime
    from rtmlib import YOLOX, RTMDet, RTMPose

    # rtmlib has no option for threads: its sessions get them here.
    session = onnxruntime.InferenceSession

    def limited(path_or_bytes: Any, **settings: Any) -> Any:
        limits = onnxruntime.SessionOptions()
        limits.intra_op_num_threads = threads
        return session(path_or_bytes, sess_options=limits, providers=settings["providers"])

    onnxruntime.InferenceSession = limited
    if "yolox" in Path(detector).name:
        detect = YOLOX(detector, model_input_size=(416, 416), backend=engine, device="cpu")
    else:
        detect = RTMDet(detector, model_input_size=(320, 320), backend=engine, device="cpu")
    estimate = RTMPose(pose, model_input_size=(192, 256), backend=engine, device="cpu")
    return lambda image, boxes: (detect(image), estimate(image, bboxes=boxes)), "engine's choice"


def work(contender: str, detector: str, pose: str, threads: int, folder: Path) -> None:
    """The worker: a line with people and frames in, a line with milliseconds and busy cores out."""
    # The worker says that it is ready, then answers one line for each line.
    run, networks = make(contender, detector, pose, threads, folder)
    sys.stdout.write(json.dumps({"networks": networks}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        people, frames = map(int, line.split())
        given = np.load(folder / f"{people}.npz")
        image = given["image"]
        boxes = given["boxes"]
        times = []
        wall = time.perf_counter()
        busy = time.process_time()
        for _ in range(frames):
            start = time.perf_counter()
            run(image, boxes)
            times.append((time.perf_counter() - start) * 1000)
        cores = (time.process_time() - busy) / (time.perf_counter() - wall)
        sys.stdout.write(json.dumps([times, cores]) + "\n")
        sys.stdout.flush()


class Contender:
    """A worker process, bound to that many cores."""

    def __init__(self, name: str, args: argparse.Namespace, cores: int) -> None:
        python = args.mmdeploy_python if name.startswith("mmdeploy") else sys.executable
        command = [
            python,
            __file__,
            "--worker",
            name,
            "--threads",
            str(cores),
            "--inputs",
            str(args.inputs),
        ]
        command += ["--detector", args.detector, "--pose", args.pose]

        # Bound before it starts, so that its libraries count the right number of cores.
        def bind() -> None:
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if args.debug else subprocess.DEVNULL,
            text=True,
            preexec_fn=bind,
        )
        self.networks = ""
        # Libraries may write to standard output first; the worker's own lines are JSON.
        while not self.networks:
            line = self.process.stdout.readline()  # type: ignore[union-attr]
            if not line:
                raise RuntimeError(f"{name} did not start")
            if line.startswith("{"):
                self.networks = json.loads(line)["networks"]

    def run(self, people: int, frames: int) -> tuple[list[float], float]:
        self.process.stdin.write(f"{people} {frames}\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        times, busy = json.loads(self.process.stdout.readline())  # type: ignore[union-attr]
        return times, busy

    def close(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()


def measure(args: argparse.Namespace, cores: int) -> list[dict[str, Any]]:
    # Contenders that are not installed are left out.
    contenders = {}
    for name in args.contenders:
        if name.startswith("mmdeploy") and not args.mmdeploy_python:
            continue
        try:
            contenders[name] = Contender(name, args, cores)
        except RuntimeError as error:
            print(error)
    rows = []
    for people in args.people:
        times: dict[str, list[float]] = {name: [] for name in contenders}
        busy: dict[str, list[float]] = {name: [] for name in contenders}
        # Unmeasured calls first: they compile and allocate.
        for contender in contenders.values():
            contender.run(people, 3)
        # Turns, so that a slow moment of the machine hits everybody.
        for _ in range(args.rounds):
            for name, contender in contenders.items():
                taken, share = contender.run(people, args.frames)
                times[name] += taken
                busy[name].append(share)

        # Medians for the usual case, the 10th percentile for an undisturbed one.
        medians = {n: float(np.median(t)) for n, t in times.items()}
        low = {n: float(np.percentile(t, 10)) for n, t in times.items()}
        row = {
            "cores": cores,
            "people": people,
            "median_ms": {n: round(v, 2) for n, v in medians.items()},
            "p10_ms": {n: round(v, 2) for n, v in low.items()},
            "ratios": {
                f"{a} vs {b}": {
                    "median": round(medians[b] / medians[a], 3),
                    "p10": round(low[b] / low[a], 3),
                }
                for a, b in PAIRS
                if a in times and b in times
            },
            "busy_cores": {n: round(float(np.median(b)), 2) for n, b in busy.items()},
            "networks": {n: c.networks for n, c in contenders.items()},
        }
        print(json.dumps(row, indent=1), flush=True)
        rows.append(row)
    for contender in contenders.values():
        contender.close()
    return rows


def versions() -> dict[str, str]:
    found = {}
    for package in (
        "rtmpose",
        "rtmlib",
        "onnxruntime",
        "openvino",
        "numpy",
        "opencv-python-headless",
    ):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--detector",
        required=True,
        help="YOLOX (416x416) or RTMDet (320x320) export with suppression inside",
    )
    parser.add_argument("--pose", required=True, help="RTMPose export, 256x192")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--frames", type=int, default=3, help="frames per turn")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--people", type=int, nargs="+", choices=PEOPLE, default=list(PEOPLE))
    parser.add_argument(
        "--contenders", nargs="+", choices=(*OURS, *OTHERS), default=[*OURS, *OTHERS]
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--debug", action="store_true", help="show what the workers print")
    parser.add_argument(
        "--mmdeploy-python", help="Python of an environment with mmdeploy-runtime 1.3.1"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--inputs", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args.detector, args.pose, args.threads, args.inputs)
        return

    # From here on the process that asks, not a worker.
    from rtmpose.benchmark.stages import machine

    with tempfile.TemporaryDirectory() as folder:
        args.inputs = Path(folder)
        write_inputs(args.inputs, args.detector, args.pose)
        rows = [row for cores in args.cores for row in measure(args, cores)]
    result = {
        "machine": machine(),
        "python": platform.python_version(),
        "versions": versions(),
        "rows": rows,
    }
    if args.output:
        args.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
