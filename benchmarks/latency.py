"""A live source: from a frame's arrival to its poses, next to the time of the network calls alone.

    python benchmarks/latency.py VIDEO [--rounds 3] [--det-interval 1] [--load 0.6 --load 2] [--json
    out.json]

A thread plays the video's frames as a camera would, at ``--load`` times the rate that the networks
alone could keep up with. The same calls are timed frame after frame, and at the camera's pace. With
a load above 1 frames are dropped, and what is taken has waited for up to a camera frame.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from track import common_arguments, frames_of, open_tracker, recorded

import rtmpose.tracking.video as video_tracking
from rtmpose.sources import SourceItem
from rtmpose.types import Frame


def camera(images, fps):
    """Stands in for ``open_frames``."""

    def frames(_item):
        # A frame comes at its time, whether the last one was taken or not.
        start = time.perf_counter()
        for index, image in enumerate(images):
            time.sleep(max(0.0, start + index / fps - time.perf_counter()))
            yield Frame(image.copy(), index, index / fps, "camera")

    return frames


def seconds_alone(calls, fps=None):
    """Seconds of the network calls of each frame, frame after frame or at a camera's pace.

    After a pause the same call takes longer, as threads sleep and caches hold other things.
    """
    # Paced calls wait for the camera; unpaced ones follow each other.
    seconds = []
    began = time.perf_counter()
    for index, frame in enumerate(calls):
        if fps:
            time.sleep(max(0.0, began + index / fps - time.perf_counter()))
        start = time.perf_counter()
        for network, tensor in frame:
            network(tensor)
        seconds.append(time.perf_counter() - start)
    return seconds


def main():
    parser = common_arguments(__doc__, "rtmpose-s-finetuned", "rtmdet-nano-finetuned")
    parser.add_argument("--load", type=float, action="append")
    arguments = parser.parse_args()
    tracker = open_tracker(arguments)
    interval = arguments.det_interval
    detector = tracker.detector
    pose = tracker.pose
    images = frames_of(arguments.video)
    # Recorded once: the same tensors for every measurement.
    calls = recorded(tracker, images, interval)
    results = {}
    loads = arguments.load or [0.6, 2.0]
    alone = {load: [] for load in loads}
    paced = {load: [] for load in loads}
    latencies = {load: [] for load in loads}
    dropped = dict.fromkeys(loads, 0)
    # Loads take turns in every round, as the machine's speed drifts.
    for _ in range(arguments.rounds):
        for load in loads:
            seconds = seconds_alone(calls)
            alone[load] += seconds
            # The camera's rate follows from what the networks need right now.
            fps = load * len(images) / sum(seconds)
            paced[load] += seconds_alone(calls, fps)

            # The camera takes the place of a real one, for the time of a run.
            original = video_tracking.open_frames
            video_tracking.open_frames = camera(images, fps)
            try:
                tracking = video_tracking.VideoTracker(tracker, interval=interval)
                for _ in tracking.run([SourceItem("camera", "camera")]):
                    pass
            finally:
                video_tracking.open_frames = original
            # The first frames still start threads.
            latencies[load] += tracking.statistics.latencies_s[2:]
            dropped[load] += tracking.statistics.dropped
    print(
        f"{Path(arguments.video).name}: {len(images)} frames, detection every {interval},"
        f" {detector.backend.engine} {detector.backend.precision}/{pose.backend.precision},"
        f" {detector.card.id} + {pose.card.id}"
    )

    # Percentiles of the latencies, next to those of the calls alone and paced.
    for load in loads:
        ours, theirs, spaced = (np.array(v[load]) * 1000 for v in (latencies, alone, paced))
        rows = {}
        for name, share in (("median", 50), ("p95", 95)):
            a, b, c = (float(np.percentile(v, share)) for v in (ours, theirs, spaced))
            rows[name] = {
                "ms": a,
                "networks_ms": b,
                "ratio": a / b,
                "paced_networks_ms": c,
                "paced_ratio": a / c,
            }
        results[str(load)] = {**rows, "dropped": dropped[load]}
        text = "; ".join(
            f"{k} {v['ms']:.1f} ms, {v['ratio']:.2f} x {v['networks_ms']:.1f} ms, "
            f"{v['paced_ratio']:.2f} x {v['paced_networks_ms']:.1f} ms at the camera's pace"
            for k, v in rows.items()
        )
        print(f"  camera at {load:g} of the networks' rate: {text}; {dropped[load]} frames dropped")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    sys.exit(main())
