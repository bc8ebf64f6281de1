#!/usr/bin/env bash
# One would guess: a detection whose keypoints are NaN matches nothing, or is refused.
# What happens: its similarity is NaN, no comparison with the threshold holds, and so it is taken
# for a match at every threshold: AP is 1.0, better than any real model.
# Why it hurts: a network that has diverged (a float16 overflow, a broken export) scores
# perfectly, and wins the choice of the best checkpoint.
# What helps: a check that all numbers are finite before scoring. `rtmpose eval` of 0.1.0 does
# that (rtmpose/evaluation/coco.py).
# Seen: exact keypoints AP 1.000, keypoints 300 px away AP 0.000, NaN keypoints AP 1.000
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "pycocotools==2.0.11" "numpy==2.4.6"
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import contextlib
import importlib.metadata
import io
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

print("pycocotools", importlib.metadata.version("pycocotools"))
points = [[50.0 + 3 * i, 50.0 + 5 * i, 2.0] for i in range(17)]
truth = {
    "images": [{"id": 1, "width": 640, "height": 480}],
    "categories": [{"id": 1, "name": "person"}],
    "annotations": [
        {
            "id": 1, "image_id": 1, "category_id": 1, "bbox": [40, 40, 80, 100], "area": 8000.0,
            "iscrowd": 0, "num_keypoints": 17, "keypoints": sum(points, []),
        }
    ],
}


def average_precision(keypoints):
    result = {"image_id": 1, "category_id": 1, "score": 0.9, "keypoints": keypoints}
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = truth
        data.createIndex()
        scoring = COCOeval(data, data.loadRes([result]), "keypoints")
        scoring.evaluate()
        scoring.accumulate()
        scoring.summarize()
    return float(scoring.stats[0])


exact = average_precision(sum(points, []))
away = average_precision([v + 300 for v in sum(points, [])])
nan = average_precision([float("nan")] * 51)
print(f"exact keypoints:  AP {exact:.3f}")
print(f"300 px away:      AP {away:.3f}")
print(f"NaN keypoints:    AP {nan:.3f}")
surprise = exact > 0.99 and away < 0.01 and nan > 0.99
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
