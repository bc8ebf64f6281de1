"""Fit a frame into a detector's fixed input, and map boxes back: two inverse functions side by
side.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.types import FloatArray, Image

PAD_VALUE = 114
CELL = 32
"""The largest stride: sides of an input are multiples of it."""


def letterbox(
    image: Image,
    input_wh: tuple[int, int],
    out: NDArray[np.uint8] | None = None,
    *,
    truncate: bool = False,
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Shrink or enlarge to fit, keep the aspect, put into the top left corner, fill the rest with
    gray 114.

    Args:
        image: BGR uint8 ``(H, W, 3)``.
        input_wh: Network input size.
        out: Reusable buffer ``(h, w, 3)``.
        truncate: Cut the new size to whole pixels and take the nominal factor, as YOLOX does,
            rather than round the size and take the factors that come of it, as RTMDet does. It is
            worth a tenth of an AP either way.

    Returns:
        The canvas ``(h, w, 3)`` and the factors (x, y) from image to canvas pixels.
    """
    width, height = input_wh
    image_h, image_w = image.shape[:2]
    ratio = min(width / image_w, height / image_h)
    extra = 0.0 if truncate else 0.5
    new_w = min(width, max(1, int(image_w * ratio + extra)))
    new_h = min(height, max(1, int(image_h * ratio + extra)))
    canvas = np.empty((height, width, 3), np.uint8) if out is None else out
    resized = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    canvas[:new_h, :new_w] = resized
    canvas[new_h:], canvas[:new_h, new_w:] = PAD_VALUE, PAD_VALUE
    return canvas, (ratio, ratio) if truncate else (new_w / image_w, new_h / image_h)


def rectangle(image_wh: tuple[int, int], input_wh: tuple[int, int]) -> tuple[int, int]:
    """The smallest input with sides of multiples of 32 that holds an image shrunk (or enlarged) to
    fit ``input_wh``.

    A 16:9 frame needs 320x192 of 320x320: a network that takes any shape saves the padding.
    """
    ratio = min(input_wh[0] / image_wh[0], input_wh[1] / image_wh[1])
    width, height = (
        min(most, -(-max(1, int(side * ratio + 0.5)) // CELL) * CELL)
        for side, most in zip(image_wh, input_wh, strict=True)
    )
    return width, height


def unletterbox(boxes: FloatArray, factors: tuple[float, float]) -> FloatArray:
    """Boxes ``(N, 4)`` xyxy from canvas pixels to image pixels."""
    return np.asarray(boxes / np.array([*factors, *factors], np.float32), np.float32)
