#!/usr/bin/env bash
# One would guess: a pose written with save_csv and read with load_csv has its nodes in the same
# order.
# What happens: with the format "sleap" (the default) and "instances" they come back by alphabet,
# and numpy() gives columns in that order; with "points" the order is kept.
# Why it hurts: arrays are indexed by node number: knees become eyes, without an error.
# What helps: .slp, the format "points", or to take columns by skeleton.node_names. rtmpose 0.1.0
# reads .slp and takes nodes by name (rtmpose/datasets/sleap.py).
# Seen: nose, left_eye, ankle -> ankle, left_eye, nose
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "sleap-io==0.9.5" "numpy==2.4.6"
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import sleap_io
import numpy as np

print("sleap-io", sleap_io.__version__)
NAMES = ["nose", "left_eye", "ankle"]
skeleton = sleap_io.Skeleton(nodes=list(NAMES))
video = sleap_io.Video(filename="clip.mp4")
points = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
person = sleap_io.PredictedInstance.from_numpy(
    points, skeleton=skeleton, point_scores=np.ones(3), score=1.0
)
frame = sleap_io.LabeledFrame(video=video, frame_idx=0, instances=[person])
labels = sleap_io.Labels(labeled_frames=[frame])
seen = {}
for form in ("sleap", "instances", "points"):
    sleap_io.save_csv(labels, "labels.csv", format=form)
    back = sleap_io.load_csv("labels.csv")
    seen[form] = back.skeletons[0].node_names
    print(f"{form:10} {seen[form]} first point {back.numpy()[0, 0, 0, :2]}")
surprise = seen["sleap"] == sorted(NAMES) and seen["points"] == NAMES
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
