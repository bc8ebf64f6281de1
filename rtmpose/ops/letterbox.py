"""Fit a frame into a network's fixed input, and map results back: pairs of inverse functions."""

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
            rather than round the size and take the factors that result from it, as RTMDet does. It
            makes a difference of a tenth of an AP for either.

    Returns:
        The canvas ``(h, w, 3)`` and the factors (x, y) from image to canvas pixels.
    """
    # The size of the resized image; at least one pixel, never more than the canvas.
    width, height = input_wh
    image_h, image_w = image.shape[:2]
    ratio = min(width / image_w, height / image_h)
    extra = 0.0 if truncate else 0.5
    new_w = min(width, max(1, int(image_w * ratio + extra)))
    new_h = min(height, max(1, int(image_h * ratio + extra)))

    # Fill only what the image does not cover: right of it and below it.
    canvas = np.empty((height, width, 3), np.uint8) if out is None else out
    resized = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    canvas[:new_h, :new_w] = resized
    canvas[new_h:] = PAD_VALUE
    canvas[:new_h, new_w:] = PAD_VALUE
    return canvas, (ratio, ratio) if truncate else (new_w / image_w, new_h / image_h)


def rectangle(image_wh: tuple[int, int], input_wh: tuple[int, int]) -> tuple[int, int]:
    """The smallest input with sides of multiples of 32 that holds an image shrunk (or enlarged) to
    fit ``input_wh``.

    A 16:9 frame needs 320x192 of 320x320: a network that takes any shape saves the padding.
    """
    # Rounded as in letterbox, then up to whole cells.
    ratio = min(input_wh[0] / image_wh[0], input_wh[1] / image_wh[1])
    width, height = (
        min(longest, -(-max(1, int(side * ratio + 0.5)) // CELL) * CELL)
        for side, longest in zip(image_wh, input_wh, strict=True)
    )
    return width, height


def letterbox_centered(
    image: Image, input_wh: tuple[int, int], out: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.uint8], float, tuple[float, float]]:
    """Shrink or enlarge to fit, keep the aspect, put into the middle, fill the rest with gray 114.

    One bilinear warp without rounding to whole pixels, as the published evaluation of RTMO fits
    images; its last training epochs see them centered, too.

    Args:
        image: BGR uint8 ``(H, W, 3)``.
        input_wh: Network input size.
        out: Reusable buffer ``(h, w, 3)``.

    Returns:
        The canvas ``(h, w, 3)``, the factor from image to canvas pixels, and the place of the
        image's corner (x, y) in canvas pixels.
    """
    width, height = input_wh
    image_h, image_w = image.shape[:2]
    ratio = min(width / image_w, height / image_h)
    # Half of the padding on either side.
    offset = ((width - image_w * ratio) / 2, (height - image_h * ratio) / 2)
    matrix = np.array([[ratio, 0, offset[0]], [0, ratio, offset[1]]])

    # Resize and padding in one warp; the border value fills what lies outside the image.
    canvas = np.empty((height, width, 3), np.uint8) if out is None else out
    cv2.warpAffine(
        image,
        matrix,
        (width, height),
        dst=canvas,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(PAD_VALUE, PAD_VALUE, PAD_VALUE),
    )
    return canvas, ratio, offset


def unletterbox(boxes: FloatArray, factors: tuple[float, float]) -> FloatArray:
    """Boxes ``(N, 4)`` xyxy from canvas pixels to image pixels."""
    return np.asarray(boxes / np.array([*factors, *factors], np.float32), np.float32)


def unletterbox_centered(
    points: FloatArray, factor: float, offset: tuple[float, float]
) -> FloatArray:
    """Points ``(..., 2)`` from canvas pixels to image pixels: the inverse of
    :func:`letterbox_centered`.
    """
    return np.asarray((points - np.array(offset)) / factor, np.float32)
