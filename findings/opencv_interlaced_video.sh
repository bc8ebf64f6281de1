#!/usr/bin/env bash
# One would guess: where VideoCapture.read() says True, the frame holds the picture.
# What happens: the conversion of every interlaced frame (H.264, MPEG-2) fails inside FFmpeg, with
# a line on standard error only. read() says True all the same, and the picture is not in the
# frame.
# Why it hurts: camcorders, broadcast and older laboratory recordings are interlaced. The run ends
# well and has found nobody, or nonsense.
# What helps: PyAV. rtmpose 0.1.0 reads video files through it and deinterlaces
# (rtmpose/sources/deinterlace.py).
# Seen: 20 of 20 frames read; mean difference from the picture 32 of 255 (progressive: 0)
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "opencv-python-headless==5.0.0.93" "av==18.1.0" "numpy==2.4.6"
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import av
import cv2
import numpy as np

print("opencv", cv2.__version__, "av", av.__version__)


def write(interlaced):
    options = {"flags": "+ilme+ildct"} if interlaced else {}
    with av.open("clip.mp4", "w") as file:
        stream = file.add_stream("mpeg2video", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(20):
            image = np.full((240, 320, 3), 60, np.uint8)
            image[:, 4 * i : 4 * i + 60] = 200
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def difference():
    """How many frames OpenCV reads, and how far they are from those of PyAV."""
    with av.open("clip.mp4") as file:
        wanted = [f.to_ndarray(format="bgr24").astype(int) for f in file.decode(video=0)]
    capture = cv2.VideoCapture("clip.mp4", cv2.CAP_FFMPEG)
    apart = []
    for picture in wanted:
        read, frame = capture.read()
        if read:
            apart.append(np.abs(frame - picture).mean())
    return len(apart), float(np.mean(apart))


write(interlaced=False)
progressive = difference()
write(interlaced=True)
interlaced = difference()
print("progressive: frames read, mean difference:", progressive)
print("interlaced:  frames read, mean difference:", interlaced)
surprise = progressive[0] == interlaced[0] == 20 and progressive[1] < 2 and interlaced[1] > 20
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
