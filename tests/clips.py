"""Small videos, and what is left of the threads that read them."""

import threading

import cv2
import numpy as np


def threads():
    return sum(t.name.startswith("rtmpose-") for t in threading.enumerate())


def clip(path, frames=20, size=(80, 60)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, size)
    for k in range(frames):
        image = np.zeros((size[1], size[0], 3), np.uint8)
        cv2.rectangle(image, (20 + k, 10), (26 + k, 40), (0, 0, 255), -1)
        writer.write(image)
    writer.release()
    return path
