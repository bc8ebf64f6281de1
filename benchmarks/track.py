"""Tracking a video: this package next to its own networks, rtmlib and mmdeploy-runtime, alternating
in one run.

    python benchmarks/track.py VIDEO [--rounds 3] [--det-interval 1] [--json out.json]
        [--rtmlib] [--mmdeploy-python PYTHON --mmdeploy-models DETECTOR_FOLDER POSE_FOLDER]

"networks" is the time of the same network calls, on the same ready tensors, one after the other.
`--pose` takes a file of benchmarks/seeded.py too. mmdeploy-runtime needs a separate
interpreter (with numpy 1); its figure is that process's time from the first frame to the last.
rtmlib gets the same files, or those of `--rtmlib-models`: its "lightweight" mode has yolox-tiny and
rtmpose-s, ours without names has rtmdet-nano-finetuned and rtmpose-s-finetuned.
The contenders do not follow the same people: compare people per second, or set the least scores by
`--box-thr` and `--person-thr`. For one core bind the whole run (`taskset -c 0`) with `--threads 1`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from rtmpose import BackendOptions, Detector, PoseEstimator
from rtmpose.media_threads import opencv_in_one_thread
from rtmpose.sources import expand_sources
from rtmpose.tracking import PoseTracker, TrackerParams
from rtmpose.tracking.video import VideoTracker

THEIRS = """
import sys, time, cv2
from mmdeploy_runtime import PoseTracker
tracker = PoseTracker(sys.argv[2], sys.argv[3], "cpu")
state = tracker.create_state(det_interval=int(sys.argv[4]))
video = cv2.VideoCapture(sys.argv[1])
n = people = 0
start = time.perf_counter()
while True:
    good, frame = video.read()
    if not good:
        break
    people += len(tracker(state, frame, detect=-1)[0])
    n += 1
print("seconds", time.perf_counter() - start, people / n)
"""


class Recording:
    """A backend that calls ``note(backend, images)`` for every call."""

    def __init__(self, backend, note):
        self._backend = backend
        self._note = note

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def __call__(self, images):
        self._note(self._backend, images)
        return self._backend(images)


def frames_of(video):
    capture = cv2.VideoCapture(video)
    frames = []
    while True:
        good, image = capture.read()
        if not good:
            return frames
        frames.append(image)


def recorded(tracker, images, interval):
    """The network calls of each frame, its detection, if it has one, and its poses, with their
    inputs.
    """
    calls = []

    def note(backend, images):
        calls[-1].append((backend, images.copy()))

    # The tracker of the benchmark, with backends that note their calls.
    watched = PoseTracker(
        tracker.detector.with_backend(Recording(tracker.detector.backend, note)),
        tracker.pose.with_backend(Recording(tracker.pose.backend, note)),
        tracker.params,
    )
    state = watched.create_state()
    # Copies are noted, as buffers are used again.
    for index, image in enumerate(images):
        calls.append([])
        watched.track_batch([state], [image], times=[index / 25], detect=[index % interval == 0])
    return calls


def common_arguments(description, pose, detector):
    """What the benchmarks of tracking share; each has its own default models."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--det-interval", type=int, default=1)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--box-thr", type=float, help="least score of a detected box")
    parser.add_argument("--person-thr", type=float, help="least score of a person that is shown")
    parser.add_argument("--pose", default=pose)
    parser.add_argument("--detector", default=detector)
    parser.add_argument("--json")
    return parser


def open_tracker(arguments):
    options = BackendOptions(
        arguments.backend, threads=arguments.threads, precision=arguments.precision
    )
    detector = Detector(arguments.detector, options=options)
    pose = PoseEstimator(arguments.pose, options=options)
    given = {"det_thr": arguments.box_thr, "person_thr": arguments.person_thr}
    params = {name: value for name, value in given.items() if value is not None}
    return PoseTracker(detector, pose, TrackerParams(**params))


def our_runs(tracker, video, interval, people):
    """Name to function: the networks alone, tracking, and tracking with an annotated video. The
    first function prepares the networks alone, untimed.
    """
    # Noted once, and run again without anything around them.
    calls = [call for frame in recorded(tracker, frames_of(video), interval) for call in frame]
    kinds = {(id(network), tensor.shape): (network, tensor) for network, tensor in calls}

    def compiled():
        # Tracking gives back networks that it has no use for: they would be compiled again.
        for network, tensor in kinds.values():
            network(tensor)

    def networks():
        for network, tensor in calls:
            network(tensor)

    def plain():
        run = VideoTracker(tracker, interval=interval).run(expand_sources([video]))
        with opencv_in_one_thread():  # as `rtmpose track` does it
            people["rtmpose"] = np.mean([len(tracked.poses) for tracked in run])

    def drawn():
        from rtmpose.draw import DrawStyle, draw_frame
        from rtmpose.worker_threads import BackgroundWriter
        from rtmpose.writers.video import VideoEncoder

        # As `rtmpose track` does it: drawing and encoding in the background.
        style = DrawStyle()
        trails = {}
        with (
            opencv_in_one_thread(),
            tempfile.TemporaryDirectory() as folder,
            VideoEncoder(Path(folder) / "v.mp4", 25) as encoder,
            BackgroundWriter(
                lambda t: encoder.write(draw_frame(t.frame.image, t.poses, style, trails)),
                in_gaps=True,
            ) as background,
        ):
            for tracked in VideoTracker(tracker, interval=interval).run(expand_sources([video])):
                background.put(tracked)

    return compiled, {"networks": networks, "rtmpose": plain, "rtmpose, drawn and encoded": drawn}


def rtmlib_runs(detector, pose, video, interval, people):
    """Name to function: rtmlib's tracker on the files of these, with each of its engines."""
    from functools import partial

    from rtmlib import BodyWithFeet
    from rtmlib import PoseTracker as TheirTracker

    def run(theirs, name):
        theirs.reset()
        capture = cv2.VideoCapture(video)
        found = []
        while True:
            good, image = capture.read()
            if not good:
                break
            found.append(len(theirs(image)[0]))
        people[name] = np.mean(found)

    # One tracker per engine.
    runs = {}
    for engine in ("onnxruntime", "openvino"):
        solution = partial(
            BodyWithFeet,
            det=str(detector.path),
            det_input_size=detector.card.input_wh,
            pose=str(pose.path),
            pose_input_size=pose.card.input_wh,
        )
        theirs = TheirTracker(
            solution,
            mode="lightweight",
            det_frequency=interval,
            backend=engine,
            device="cpu",
            tracking=True,
        )
        name = f"rtmlib {engine}"
        runs[name] = partial(run, theirs, name)
    return runs


def run_mmdeploy(arguments):
    """Seconds and people per frame of mmdeploy-runtime, in a separate process."""
    command = [
        arguments.mmdeploy_python,
        "-c",
        THEIRS,
        arguments.video,
        *arguments.mmdeploy_models,
        str(arguments.det_interval),
    ]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(x for x in out.splitlines() if x.startswith("seconds"))
    _, seconds, people = line.split()
    return float(seconds), float(people)


def main():
    parser = common_arguments(__doc__, "rtmpose-s", "yolox-tiny")
    parser.add_argument("--rtmlib", action="store_true")
    parser.add_argument(
        "--rtmlib-models",
        nargs=2,
        metavar=("DETECTOR", "POSE"),
        help="other models for rtmlib, such as those of its own modes",
    )
    parser.add_argument("--mmdeploy-python")
    parser.add_argument("--mmdeploy-models", nargs=2)
    arguments = parser.parse_args()
    interval = arguments.det_interval
    video = arguments.video
    tracker = open_tracker(arguments)

    people = {}
    compiled, runs = our_runs(tracker, video, interval, people)
    if arguments.rtmlib:
        theirs = (tracker.detector, tracker.pose)
        if arguments.rtmlib_models:
            theirs = (
                Detector(arguments.rtmlib_models[0]),
                PoseEstimator(arguments.rtmlib_models[1]),
            )
        runs |= rtmlib_runs(*theirs, video, interval, people)

    # The first run opens and compiles what the others use.
    frames = len(list(VideoTracker(tracker, interval=interval).run(expand_sources([video]))))

    # All take turns in every round, as the machine's speed drifts.
    times = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        compiled()
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
        if arguments.mmdeploy_python:
            seconds, people["mmdeploy-runtime"] = run_mmdeploy(arguments)
            times.setdefault("mmdeploy-runtime", []).append(seconds)

    detector, pose = (
        f"{network.backend.engine} {network.backend.precision}"
        for network in (tracker.detector, tracker.pose)
    )
    print(
        f"{Path(video).name}: {frames} frames, detection every {interval}, detector {detector},"
        f" pose {pose}"
    )
    ours = np.array(times["rtmpose"])
    for name, values in times.items():
        ratio = float(np.median(np.array(values) / ours))
        speed = frames / float(np.median(values))
        seen = ""
        if name in people:
            seen = f"{people[name]:5.1f} people per frame, {speed * people[name]:6.1f} per second"
        print(f"  {name:28} {speed:7.1f} fps   {ratio:5.2f} x the time of rtmpose   {seen}")
    if arguments.json:
        Path(arguments.json).write_text(
            json.dumps({"frames": frames, "people": people, "seconds": times}, indent=2)
        )


if __name__ == "__main__":
    sys.exit(main())
