"""Count the people in each frame.

python examples/video.py video.mp4
"""

import sys

import rtmpose

for frame, poses in rtmpose.predict(
    sys.argv[1], detector="yolox-tiny", pose="rtmpose-s", box_thr=0.5, limit=100
):
    print(f"{frame.time_s:6.2f} s: {len(poses)} people")
