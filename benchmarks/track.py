"""Tracking a video: this package beside its own networks, rtmlib and mmdeploy-runtime, alternating
in one run.

    python benchmarks/track.py VIDEO [--rounds 3] [--det-interval 1] [--json out.json]
        [--rtmlib] [--mmdeploy-python PYTHON --mmdeploy-models DETECTOR_FOLDER POSE_FOLDER]

"networks" is the time of the same network calls, on the same ready tensors, one after the other.
`--pose` takes a file of benchmarks/seeded.py too. mmdeploy-runtime needs an interpreter of its own
(it wants numpy 1); its figure is its own process's time from the first frame to the last.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from rtmpose import BackendOptions, Detector, PoseEstimator
from rtmpose.sources import expand_sources
from rtmpose.tracking import PoseTracker, TrackerParams
from rtmpose.tracking.video import VideoTracker

THEIRS = """
import sys, time, cv2
from mmdeploy_runtime import PoseTracker
tracker = PoseTracker(sys.argv[2], sys.argv[3], "cpu")
state = tracker.create_state(det_interval=int(sys.argv[4]))
video = cv2.VideoCapture(sys.argv[1])
n, people, start = 0, 0, time.perf_counter()
while True:
    good, frame = video.read()
    if not good:
        break
    people += len(tracker(state, frame, detect=-1)[0])
    n += 1
print("seconds", time.perf_counter() - start, people / n)
"""


@contextmanager
def watched(tracker, note):
    """``note(network, input)`` is called for every network call of the tracker."""
    detector, pose = tracker.detector, tracker.pose
    networks = detector.network, pose.network
    detector.network = lambda canvas: (note(networks[0], canvas), networks[0](canvas))[1]
    pose.network = lambda crops: (note(networks[1], crops), networks[1](crops))[1]
    try:
        yield
    finally:
        del detector.network, pose.network  # the classes' own again


def frames_of(video):
    capture, frames = cv2.VideoCapture(video), []
    while True:
        good, image = capture.read()
        if not good:
            return frames
        frames.append(image)


def recorded(tracker, images, interval):
    """The network calls of each frame, its detection, if it has one, and its poses, with their
    inputs.
    """
    calls, state = [], tracker.create_state()
    with watched(tracker, lambda network, tensor: calls[-1].append((network, tensor.copy()))):
        for index, image in enumerate(images):
            calls.append([])
            tracker.track_batch(
                [state], [image], times=[index / 25], detect=[index % interval == 0]
            )
    return calls


def common_arguments(description, pose, detector):
    """What the benchmarks of tracking share; the defaults of the models are their own."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--det-interval", type=int, default=1)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--pose", default=pose)
    parser.add_argument("--detector", default=detector)
    parser.add_argument("--json")
    return parser


def open_tracker(arguments):
    options = BackendOptions(arguments.backend, precision=arguments.precision)
    detector, pose = (
        Detector(arguments.detector, options=options),
        PoseEstimator(arguments.pose, options=options),
    )
    return PoseTracker(detector, pose, TrackerParams())


def main():
    parser = common_arguments(__doc__, "rtmpose-s", "yolox-tiny")
    parser.add_argument("--rtmlib", action="store_true")
    parser.add_argument("--mmdeploy-python")
    parser.add_argument("--mmdeploy-models", nargs=2)
    arguments = parser.parse_args()
    tracker = open_tracker(arguments)
    detector, pose = tracker.detector, tracker.pose
    interval, video = arguments.det_interval, arguments.video
    calls = [call for frame in recorded(tracker, frames_of(video), interval) for call in frame]
    frames = len(list(VideoTracker(tracker, interval=interval).run(expand_sources([video]))))
    times, people = {}, {}

    def networks():
        for network, tensor in calls:
            network(tensor)

    def plain():
        follower = VideoTracker(tracker, interval=interval)
        people["rtmpose"] = np.mean([len(t.poses) for t in follower.run(expand_sources([video]))])

    def drawn():
        from rtmpose.draw import DrawStyle, draw_frame
        from rtmpose.worker_threads import BackgroundWriter
        from rtmpose.writers.video import VideoEncoder

        style = DrawStyle()
        with (
            tempfile.TemporaryDirectory() as folder,
            VideoEncoder(Path(folder) / "v.mp4", 25) as encoder,
            BackgroundWriter(
                lambda t: encoder.write(draw_frame(t.frame.image, t.poses, style, {}))
            ) as behind,
        ):
            for tracked in VideoTracker(tracker, interval=interval).run(expand_sources([video])):
                behind.put(tracked)

    runs = {"networks": networks, "rtmpose": plain, "rtmpose, drawn and encoded": drawn}
    if arguments.rtmlib:
        from functools import partial

        from rtmlib import BodyWithFeet
        from rtmlib import PoseTracker as TheirTracker

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

            def rtmlib(theirs=theirs, name=f"rtmlib {engine}"):
                theirs.reset()
                capture, found = cv2.VideoCapture(video), []
                while True:
                    good, image = capture.read()
                    if not good:
                        break
                    found.append(len(theirs(image)[0]))
                people[name] = np.mean(found)

            runs[f"rtmlib {engine}"] = rtmlib
    for name in runs:
        times[name] = []
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
        if arguments.mmdeploy_python:
            command = [
                arguments.mmdeploy_python,
                "-c",
                THEIRS,
                video,
                *arguments.mmdeploy_models,
                str(interval),
            ]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            line = next(x for x in out.splitlines() if x.startswith("seconds"))
            times.setdefault("mmdeploy-runtime", []).append(float(line.split()[1]))
            people["mmdeploy-runtime"] = float(line.split()[2])
    ours = np.array(times["rtmpose"])
    print(f"{Path(video).name}: {frames} frames, detection every {interval}, "
          f"{detector.backend.engine} {detector.backend.precision}/{pose.backend.precision}")  # fmt: skip
    for name, values in times.items():
        # Round by round, as the machine's speed drifts.
        ratio = float(np.median(np.array(values) / ours))
        seen = f"{people[name]:5.1f} people per frame" if name in people else ""
        print(
            f"  {name:28} {frames / float(np.median(values)):7.1f} fps   {ratio:5.2f} x the time of"
            f" rtmpose   {seen}"
        )
    if arguments.json:
        Path(arguments.json).write_text(
            json.dumps({"frames": frames, "people": people, "seconds": times}, indent=2)
        )


if __name__ == "__main__":
    sys.exit(main())
