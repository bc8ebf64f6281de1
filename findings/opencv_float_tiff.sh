#!/usr/bin/env bash
# One would guess: IMREAD_COLOR | IMREAD_ANYDEPTH reads a TIFF of any depth as three channels, as
# it does for 16 bits; in the worst case it converts.
# What happens: a one-channel float32 TIFF gives None, with IMREAD_COLOR alone too. The same file
# is read with IMREAD_UNCHANGED, and a float TIFF of three channels with the two flags together.
# Why it hurts: thermal, depth and microscopy cameras write such files; None is easily taken for a
# missing or damaged file.
# What helps: IMREAD_UNCHANGED and cv2.merge. rtmpose 0.1.0 reads such files so, and scales them
# with a note (rtmpose/sources/images.py).
# Seen: float32, 1 channel: color None, color and any depth None, unchanged (48, 64)
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "opencv-python-headless==5.0.0.93" "numpy==2.4.6"
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import cv2
import numpy as np

print("opencv", cv2.__version__)
values = np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
files = {
    "float32, 1 channel": values,
    "float32, 3 channels": cv2.merge([values] * 3),
    "uint16, 1 channel": (values * 60000).astype(np.uint16),
}
both = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
flags = {"color": cv2.IMREAD_COLOR, "color | any depth": both, "unchanged": cv2.IMREAD_UNCHANGED}
seen = {}
for name, image in files.items():
    cv2.imwrite("image.tif", image)
    for flag, value in flags.items():
        read = cv2.imread("image.tif", value)
        seen[name, flag] = None if read is None else read.shape
        print(f"{name:20} {flag:18} {seen[name, flag]}")
surprise = (
    seen["float32, 1 channel", "color | any depth"] is None
    and seen["float32, 1 channel", "unchanged"] == (48, 64)
    and seen["float32, 3 channels", "color | any depth"] == (48, 64, 3)
    and seen["uint16, 1 channel", "color | any depth"] == (48, 64, 3)
)
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
