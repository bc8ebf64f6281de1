#!/usr/bin/env bash
# One would guess: RTMPose(...)(image) takes images as cv2.imread gives them, as in its examples,
# and prepares them as the networks were trained: red first.
# What happens: the channels stay blue, green, red, while the means and deviations that are
# subtracted are those of red, green, blue. The network gets red and blue exchanged.
# Why it hurts: nothing fails; keypoints are a little worse, and differ from those of mmpose.
# What helps: image[..., ::-1] for the pose network. rtmpose 0.1.0 takes the order from the model
# card (rtmpose/backends).
# Seen: a pure red image gives (-2.118, -2.036, 2.640); red first would be (2.249, -2.036, -1.804)
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
from rtmlib import RTMPose

print("rtmlib", importlib.metadata.version("rtmlib"))
# No network is needed: only the settings and the step before the network.
model = RTMPose.__new__(RTMPose)
model.model_input_size = (192, 256)
model.mean = (123.675, 116.28, 103.53)
model.std = (58.395, 57.12, 57.375)

red = np.zeros((256, 192, 3), np.uint8)
red[..., 2] = 255  # as cv2.imread gives it
prepared, _center, _scale = model.preprocess(red, [0, 0, 192, 256])
seen = prepared[128, 96]
trained = (np.array([255, 0, 0]) - model.mean) / model.std
print("given to the network:       ", np.round(seen, 3))
print("what the training has given:", np.round(trained, 3))
surprise = seen[2] > 2 and seen[0] < 0 and trained[0] > 2
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
