#!/usr/bin/env bash
# One would guess: frame.rotation says how to turn a frame, so that applying it gives the picture
# as a player shows it.
# What happens: it is an angle and cannot say that the display matrix mirrors. A frame mirrored
# left to right reads as -180, one mirrored top to bottom as 0; both diagonals as -90 and 90.
# Why it hurts: front cameras mirror. A mirrored clip is turned upside down or not at all, and
# left and right of every person are exchanged, without a sign.
# What helps: the matrix itself, frame.side_data["DISPLAYMATRIX"]. rtmpose 0.1.0 applies all 8
# (rtmpose/sources/orientation.py).
# Seen: as it is 0, 90: -90, 180: -180, 270: 90, left-right -180, top-bottom 0, diagonals -90, 90
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "av==18.1.0" "numpy==2.4.6"
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import io
import struct
import av
import numpy as np

print("av", av.__version__)
memory = io.BytesIO()
with av.open(memory, "w", format="mp4") as file:
    stream = file.add_stream("mpeg4", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
    file.mux(stream.encode(frame))
    file.mux(stream.encode())
clip = memory.getvalue()
at = clip.index(b"tkhd") + 4 + 40  # the matrix of the track header, version 0

ORIENTATIONS = {
    "as it is": (1, 0, 0, 1),
    "turned by 90": (0, 1, -1, 0),
    "turned by 180": (-1, 0, 0, -1),
    "turned by 270": (0, -1, 1, 0),
    "mirrored left-right": (-1, 0, 0, 1),
    "mirrored top-bottom": (1, 0, 0, -1),
    "mirrored at a diagonal": (0, 1, 1, 0),
    "mirrored at the other": (0, -1, -1, 0),
}
seen = {}
for name, (a, b, c, d) in ORIENTATIONS.items():
    values = [v * 65536 for v in (a, b, 0, c, d, 0, 0, 0)] + [1 << 30]
    changed = clip[:at] + struct.pack(">9i", *values) + clip[at + 36 :]
    with av.open(io.BytesIO(changed)) as file:
        seen[name] = next(file.decode(video=0)).rotation
    print(f"{name:24} rotation {seen[name]}")
surprise = (
    seen["mirrored left-right"] == seen["turned by 180"]
    and seen["mirrored top-bottom"] == seen["as it is"]
    and seen["mirrored at a diagonal"] == seen["turned by 90"]
)
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
