#!/usr/bin/env bash
# One would guess: cv2.circle with LINE_AA and fractional bits draws a disc at any radius.
# What happens: below a radius of 2.5 px it fills a polygon of few corners, a diamond. At 2.4 px
# its area is three quarters of that of a 24-gon filled with the same settings; at 2.5 px they
# agree.
# Why it hurts: keypoints of hands and faces are drawn with 1 to 2 px. They look like diamonds,
# and jump in size and shape where the radius passes 2.5.
# What helps: fillConvexPoly with the corners of a 24-gon. rtmpose 0.1.0 draws its points so
# (rtmpose/draw.py).
# Seen: area at 2.4 px 21.8 (24-gon 28.9), at 2.5 px 30.2 (30.6)
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
BITS = 6


def areas(radius):
    """The area of the circle of OpenCV and of a polygon with 24 corners."""
    circle = np.zeros((40, 40), np.uint8)
    polygon = circle.copy()
    middle = (20 << BITS, 20 << BITS)
    cv2.circle(circle, middle, round(radius * (1 << BITS)), 255, -1, cv2.LINE_AA, BITS)
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    corners = 20 + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    corners = np.round(corners * (1 << BITS)).astype(np.int32)
    cv2.fillConvexPoly(polygon, corners, 255, cv2.LINE_AA, BITS)
    return circle.sum() / 255, polygon.sum() / 255


share = {}
for radius in (1.5, 2.0, 2.4, 2.5, 3.0, 4.0):
    circle, polygon = areas(radius)
    share[radius] = circle / polygon
    print(f"radius {radius}: circle {circle:.1f} px, 24-gon {polygon:.1f} px")
surprise = share[2.0] < 0.8 and share[2.4] < 0.8 and share[2.5] > 0.95 and share[4.0] > 0.95
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
