#!/usr/bin/env bash
# One would guess: PoseTracker(tracking=True) returns people in the order of their ids, so that
# row i stays the same person.
# What happens: ids are used as row numbers of the present frame. With three people who stand
# still and are detected in another order, the rows come back in a third order. Where somebody has
# left, an id is past the end; the error is swallowed, and the rows are those of the detector.
# Why it hurts: ids are not returned, so the row is all that one has. Tracks of people are mixed.
# What helps: a tracker that returns ids. rtmpose 0.1.0 gives `ids` with every frame
# (rtmpose/tracking/tracker.py).
# Seen: A B C, then detected as C A B: returned as B C A; then B C alone, detected as C B: C B
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "rtmlib==0.0.16" "numpy==2.4.6"
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import importlib.metadata
import numpy as np
from rtmlib import PoseTracker

print("rtmlib", importlib.metadata.version("rtmlib"))
PLACES = {"A": 100, "B": 400, "C": 700}
frames = iter(["ABC", "CAB", "CB"])


def detect(image):
    """Three people, 300 px apart, who never move: only the order of the rows changes."""
    body = np.array([[0, 0], [80, 0], [0, 200], [80, 200]], np.float32)
    people = np.stack([body + (PLACES[name], 100) for name in next(frames)])
    return people, np.ones(people.shape[:2], np.float32)


class Solution:
    """What PoseTracker asks of a one-stage model."""

    def __init__(self, **settings):
        self.pose_model = detect


tracker = PoseTracker(Solution, tracking=True)
seen = []
for _ in range(3):
    keypoints, _scores = tracker(np.zeros((480, 900, 3), np.uint8))
    names = {x: name for name, x in PLACES.items()}
    seen.append("".join(names[int(person[0, 0])] for person in keypoints))
print("detected A B C, C A B, C B; returned", ", ".join(" ".join(s) for s in seen))
surprise = seen == ["ABC", "BCA", "CB"]
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
