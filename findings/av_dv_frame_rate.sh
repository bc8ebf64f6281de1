#!/usr/bin/env bash
# One would guess: stream.average_rate of a 25 fps DV file is 25.
# What happens: it is 60000 (the clock of the container). guessed_rate and base_rate are 25.
# Why it hurts: DV is what archives of gait laboratories are kept in. Times, speeds and the rate
# of an annotated video are wrong by a factor of 2400.
# What helps: stream.guessed_rate first. rtmpose 0.1.0 does that (rtmpose/sources/containers.py).
# Seen: average_rate 60000, guessed_rate 25
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
import av
import numpy as np

print("av", av.__version__)
with av.open("clip.dv", "w", format="dv") as file:
    stream = file.add_stream("dvvideo", rate=25)
    stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
    frame = av.VideoFrame.from_ndarray(np.full((576, 720, 3), 90, np.uint8), format="bgr24")
    for _ in range(10):
        frame.pts = None
        file.mux(stream.encode(frame))
    file.mux(stream.encode())
with av.open("clip.dv") as file:
    stream = file.streams.video[0]
    average, guessed = stream.average_rate, stream.guessed_rate
print("written with 25 fps: average_rate", average, "guessed_rate", guessed)
surprise = average > 1000 and guessed == 25
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
