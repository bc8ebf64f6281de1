"""Poses in boxes of your own, without a detector: python examples/given_boxes.py photo.jpg 100 50
220 400
"""

import sys

import rtmpose

image = rtmpose.read_image(sys.argv[1])
estimate = rtmpose.PoseEstimator("rtmpose-s")
poses = estimate(image, [[float(v) for v in sys.argv[2:6]]], flip_test=True)
for name, (x, y), score in zip(
    poses.skeleton.keypoints, poses.keypoints[0], poses.scores[0], strict=True
):
    print(f"{name:16} {x:7.1f} {y:7.1f}  {score:.2f}")
