"""Poses in boxes that you give, without a detector.

python examples/given_boxes.py photo.jpg 100 50 220 400
"""

import sys

import rtmpose

image = rtmpose.read_image(sys.argv[1])
box = [float(value) for value in sys.argv[2:6]]  # x1, y1, x2, y2 in pixels

estimator = rtmpose.PoseEstimator("rtmpose-s")
poses = estimator(image, [box], flip_test=True)

names = poses.skeleton.keypoints
for name, (x, y), score in zip(names, poses.keypoints[0], poses.scores[0], strict=True):
    print(f"{name:16} {x:7.1f} {y:7.1f}  {score:.2f}")
