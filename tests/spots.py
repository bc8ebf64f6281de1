"""Black images with a red spot, alone, moving, and as a video: what the small networks look for."""

import cv2
import numpy as np

from rtmpose import BackendOptions

CPU = BackendOptions("onnxruntime", "cpu", 1)


def black(width=64, height=64):
    return np.zeros((height, width, 3), np.uint8)


def spot(x, y, size=(320, 240), color=(0, 0, 255)):
    image = black(*size)
    cv2.circle(image, (round(x), round(y)), max(2, max(size) // 40), color, -1)
    return cv2.GaussianBlur(image, (0, 0), max(size) / 100)


def moving(count, size=(320, 240)):
    return [spot(60 + 6 * k, 120, size) for k in range(count)]


def avi(path, images):
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (width, height))
    for image in images:
        writer.write(image)
    writer.release()
    return path
