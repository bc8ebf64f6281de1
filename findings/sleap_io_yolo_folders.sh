#!/usr/bin/env bash
# One would guess: a YOLO pose set with "train: images/train" in data.yaml, as coco8-pose and most
# others have it, is read with its labels, which lie in labels/train.
# What happens: the folder of labels is found by exchanging "/images" for "/labels". In a path that
# begins with "images" nothing is exchanged: the labels are looked for among the images, none is
# there, and every frame comes without instances. "train: train/images" and "./images/train" work.
# Why it hurts: nothing is said; the set has all its images, and nobody in them.
# What helps: "./images/train" in data.yaml, and len(labels.instances) afterwards. rtmpose 0.1.0
# exchanges the last folder called images (rtmpose/datasets/yolo_layout.py).
# Seen: images/train: 2 frames, 0 instances; ./images/train: 2 frames, 2 instances
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
from pathlib import Path
import imageio.v3 as iio
import numpy as np
import sleap_io

print("sleap-io", sleap_io.__version__)
Path("set/images/train").mkdir(parents=True)
Path("set/labels/train").mkdir(parents=True)
for name in ("a", "b"):
    iio.imwrite(f"set/images/train/{name}.png", np.zeros((64, 64, 3), np.uint8))
    row = "0 0.5 0.5 0.4 0.4 0.4 0.4 2 0.6 0.6 2"
    Path(f"set/labels/train/{name}.txt").write_text(row + "\n")
people = {}
for train in ("images/train", "./images/train"):
    text = f"path: .\ntrain: {train}\nval: {train}\nkpt_shape: [2, 3]\nnames:\n  0: mouse\n"
    Path("set/data.yaml").write_text(text)
    labels = sleap_io.load_ultralytics("set")
    people[train] = sum(len(frame.instances) for frame in labels)
    print(f"train: {train}: {len(labels)} frames, {people[train]} instances")
surprise = people == {"images/train": 0, "./images/train": 2}
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
