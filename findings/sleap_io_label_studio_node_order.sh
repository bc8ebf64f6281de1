#!/usr/bin/env bash
# One would guess: the same export of Label Studio, read twice by sleap-io, has its nodes in the
# same order: that of the file, or the alphabet.
# What happens: the names are collected in a set of texts, whose order is another one in each
# process (PYTHONHASHSEED). numpy() gives columns in that order.
# Why it hurts: arrays are indexed by node number. A script is right today and has knees for eyes
# tomorrow, and sets that were read by two processes do not fit together, without an error.
# What helps: a skeleton of one's own (load_labelstudio(path, skeleton=...)), or columns by
# skeleton.node_names. rtmpose 0.1.0 takes points by name (rtmpose/datasets/label_studio.py).
# Seen: eight processes give several orders of nose, left_eye, right_eye, tail, paw
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "sleap-io==0.9.5" "numpy==2.4.6"
cd "$folder"
cat > read.py <<'PYTHON'
import sleap_io

labels = sleap_io.load_labelstudio("export.json")
print(labels.skeletons[0].node_names, "x of the first node:", labels.numpy()[0, 0, 0, 0])
PYTHON
venv/bin/python - <<'PYTHON'
import json
import os
import subprocess
import sys
from pathlib import Path
import sleap_io

print("sleap-io", sleap_io.__version__)
size = {"original_width": 100, "original_height": 100}
names = ["nose", "left_eye", "right_eye", "tail", "paw"]
result = [
    {
        "id": name,
        "type": "keypointlabels",
        "value": {"x": 10 * k, "y": 50, "width": 1, "keypointlabels": [name]},
        **size,
    }
    for k, name in enumerate(names, 1)
]
# sleap-io takes the video of an image from "meta".
video = {"filename": "mouse.mp4", "frame_idx": 0, "shape": [1, 100, 100, 3]}
task = {"id": 1, "meta": {"video": video}, "annotations": [{"result": result}]}
Path("export.json").write_text(json.dumps([task]))

orders = set()
for seed in range(8):
    # What differs anyway between two runs, made the same each time this script runs.
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    run = subprocess.run(
        [sys.executable, "read.py"], env=environment, capture_output=True, text=True, check=True
    )
    print(run.stdout.strip())
    orders.add(run.stdout)
surprise = len(orders) > 1
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
