"""Count the people in each frame.

python examples/video.py video.mp4
"""

import sys

import rtmpose

pipeline = rtmpose.Pipeline(detector="yolox-tiny", pose="rtmpose-s", score_thr=0.5)
for frame, poses in pipeline.run(sys.argv[1], limit=100):
    print(f"{frame.time_s:6.2f} s: {len(poses)} people")
