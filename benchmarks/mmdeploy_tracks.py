"""The same video through mmdeploy-runtime's PoseTracker and through `rtmpose.compat`: the same
people, the same ids?

    python benchmarks/mmdeploy_tracks.py VIDEO DETECTOR_FOLDER POSE_FOLDER --mmdeploy-python PYTHON
    [--det-interval 1]

The folders are exports (`rtmpose export NAME --to sdk`); the interpreter has mmdeploy-runtime 1.3.1
(and numpy 1). In each frame people are paired by the distance of their confident keypoints; ids are
the same where each of theirs always goes with the same one of ours.
"""

import argparse
import collections
import json
import subprocess
import sys

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from rtmpose.compat.mmdeploy_runtime import PoseTracker

THEIRS = """
import json, sys, cv2
from mmdeploy_runtime import PoseTracker
tracker = PoseTracker(sys.argv[2], sys.argv[3], "cpu")
state = tracker.create_state(det_interval=int(sys.argv[4]))
video, frames = cv2.VideoCapture(sys.argv[1]), []
while True:
    good, frame = video.read()
    if not good:
        break
    keypoints, boxes, ids = tracker(state, frame, detect=-1)
    frames.append([keypoints.tolist(), ids.tolist()])
print("frames " + json.dumps(frames))
"""
CONFIDENT = 0.5


def ours(arguments):
    tracker = PoseTracker(arguments.detector, arguments.pose, "cpu")
    state = tracker.create_state(det_interval=arguments.det_interval)
    video = cv2.VideoCapture(arguments.video)
    frames = []
    while True:
        good, frame = video.read()
        if not good:
            return frames
        keypoints, _, ids = tracker(state, frame, detect=-1)
        frames.append((np.array(keypoints), list(ids)))


# In their own interpreter: the two need different versions of numpy.
def theirs(arguments):
    command = [
        arguments.mmdeploy_python,
        "-c",
        THEIRS,
        arguments.video,
        arguments.detector,
        arguments.pose,
    ]
    out = subprocess.run(
        [*command, str(arguments.det_interval)], capture_output=True, text=True, check=True
    ).stdout
    line = next(x for x in out.splitlines() if x.startswith("frames "))
    return [(np.array(k, np.float32), i) for k, i in json.loads(line[7:])]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video")
    parser.add_argument("detector")
    parser.add_argument("pose")
    parser.add_argument("--mmdeploy-python", required=True)
    parser.add_argument("--det-interval", type=int, default=1)
    arguments = parser.parse_args()
    # Counted over the clip: ids that occur together, people per frame, distances.
    together = collections.Counter()
    distances = []
    counts = collections.Counter()
    same_people = 0
    for (a, a_ids), (b, b_ids) in zip(ours(arguments), theirs(arguments), strict=True):
        counts[len(a_ids), len(b_ids)] += 1
        if not len(a_ids) or not len(b_ids):
            same_people += len(a_ids) == len(b_ids)
            continue
        # The mean distance over the keypoints that both are confident about, (ours, theirs).
        gaps = np.linalg.norm(a[:, None, :, :2] - b[None, :, :, :2], axis=-1)
        confident = (a[:, None, :, 2] > CONFIDENT) & (b[None, :, :, 2] > CONFIDENT)
        height = np.ptp(b[:, :, 1], axis=1)
        mean = np.where(
            confident.any(-1),
            (gaps * confident).sum(-1) / np.maximum(confident.sum(-1), 1),
            np.inf,
        )

        # One to one; pairs farther apart than a fifth of the height are no pairs.
        rows, columns = linear_sum_assignment(np.minimum(mean, 1e6))
        pairs = [(i, j) for i, j in zip(rows, columns, strict=True) if mean[i, j] < 0.2 * height[j]]
        same_people += len(pairs) == len(a_ids) == len(b_ids)
        for i, j in pairs:
            together[a_ids[i], b_ids[j]] += 1
            distances += (gaps[i, j][confident[i, j]] / height[j]).tolist()
    frames = sum(counts.values())
    print(
        f"{frames} frames, detection every {arguments.det_interval}; the same people in"
        f" {same_people}"
    )
    print(
        "people in ours and theirs: "
        + ", ".join(f"{a} and {b} in {n}" for (a, b), n in counts.most_common())
    )
    print(
        "ids of ours and theirs together: "
        + ", ".join(f"{a} with {b} in {n}" for (a, b), n in together.most_common())
    )
    median, p90 = np.percentile(distances, [50, 90]) * 100
    print(
        f"confident keypoints differ by {median:.2f} % of a person's height in the median, 90 % by"
        f" less than {p90:.2f} %"
    )


if __name__ == "__main__":
    sys.exit(main())
