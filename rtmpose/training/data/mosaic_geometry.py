"""Where the images of a detector's training input go: random size and crop, alone or four in a
mosaic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rtmpose.types import FloatArray, Image


@dataclass(frozen=True)
class Placement:
    """Where an image goes in the input: a factor on its size, and the place of its top left corner.

    Attributes:
        scale: Input pixels per image pixel.
        x: Left edge in input pixels; may be negative.
        y: Upper edge.
        window: x0, y0, x1, y1: the whole pixels of the input that it may fill.
    """

    scale: float
    x: float
    y: float
    window: tuple[int, int, int, int]  # x0, y0, x1, y1


def fit_scale(size_wh: tuple[int, int], into_wh: tuple[int, int]) -> float:
    """The factor at which an image just fits."""
    return min(into_wh[0] / size_wh[0], into_wh[1] / size_wh[1])


def place_single(
    rng: np.random.Generator,
    size_wh: tuple[int, int],
    input_wh: tuple[int, int],
    scale: tuple[float, float],
    *,
    cover: bool = False,
) -> Placement:
    """Random size and crop of one image; one that is smaller than the input lies in the top left
    corner.

    Args:
        rng: Random generator.
        size_wh: Of the image.
        input_wh: Of the network's input.
        scale: Smallest and largest factor on the size.
        cover: Factor 1 makes the image cover the input, rather than fit into it.
    """
    # Input pixels per image pixel at factor 1.
    if cover:
        whole = max(p / s for p, s in zip(input_wh, size_wh, strict=True))
    else:
        whole = fit_scale(size_wh, input_wh)
    factor = whole * rng.uniform(*scale)

    # What reaches beyond the input is cut off on a random side.
    spare_x, spare_y = (max(s * factor - p, 0.0) for s, p in zip(size_wh, input_wh, strict=True))
    left, top = rng.random(2)
    return Placement(factor, -round(left * spare_x), -round(top * spare_y), (0, 0, *input_wh))


def place_mosaic(
    rng: np.random.Generator,
    sizes_wh: Sequence[tuple[int, int]],
    input_wh: tuple[int, int],
    scale: tuple[float, float],
) -> list[Placement]:
    """A mosaic of four images on a canvas of twice the input's size, then a random size and crop of
    that.

    The images meet with a corner each in a point in the middle half of the canvas; what reaches
    beyond the canvas is cut off (Bochkovskiy et al., 2020; the cache is RTMDet's).
    """
    width, height = input_wh
    factor = rng.uniform(*scale)
    canvas = (2 * width * factor, 2 * height * factor)  # in input pixels, after the random size
    center = (rng.uniform(0.5, 1.5) * width * factor, rng.uniform(0.5, 1.5) * height * factor)

    # The crop of the canvas that is the input.
    left, top = (
        round(r * max(c - p, 0.0)) for r, c, p in zip(rng.random(2), canvas, input_wh, strict=True)
    )

    # Where the images meet, in the pixels of the input.
    x = center[0] - left
    y = center[1] - top

    # The canvas may end within the input; the images meet on a whole pixel.
    edge_x = min(width, int(canvas[0] - left))
    edge_y = min(height, int(canvas[1] - top))
    middle_x = int(np.clip(round(x), 0, edge_x))
    middle_y = int(np.clip(round(y), 0, edge_y))

    # In reading order: top left, top right, bottom left, bottom right.
    placements = []
    for quarter, size in enumerate(sizes_wh):
        is_right = quarter % 2 == 1
        is_low = quarter >= 2
        size_factor = fit_scale(size, input_wh) * factor
        window = (
            middle_x if is_right else 0,
            middle_y if is_low else 0,
            edge_x if is_right else middle_x,
            edge_y if is_low else middle_y,
        )

        # The corner that touches the meeting point is fixed; the others follow from the size.
        corner_x = x if is_right else x - size[0] * size_factor
        corner_y = y if is_low else y - size[1] * size_factor
        placements.append(Placement(size_factor, corner_x, corner_y, window))
    return placements


def draw_image(image: Image, placement: Placement, canvas: Image) -> None:
    """Warp the visible part of an image to its place, bilinear."""
    p = placement
    height, width = image.shape[:2]
    x0, y0, x1, y1 = p.window

    # The pixels of the window that the image covers.
    x0 = max(x0, int(np.floor(p.x + 0.5)))
    y0 = max(y0, int(np.floor(p.y + 0.5)))
    x1 = min(x1, round(p.x + width * p.scale))
    y1 = min(y1, round(p.y + height * p.scale))
    if x1 <= x0 or y1 <= y0:
        return

    # Pixel centers: where the center of input pixel (i, j) of the part lies in the image.
    back = 1 / p.scale
    shift_x = (x0 + 0.5 - p.x) * back - 0.5
    shift_y = (y0 + 0.5 - p.y) * back - 0.5
    matrix = np.array([[back, 0, shift_x], [0, back, shift_y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(
        image, matrix, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    canvas[y0:y1, x0:x1] = part


def place_boxes(boxes: FloatArray, placement: Placement) -> tuple[FloatArray, FloatArray]:
    """Boxes ``(M, 4)`` of an image in input pixels, clipped to its window, and the share of each
    that is left ``(M,)``.
    """
    p = placement

    # Image pixels to input pixels, then cut to the window.
    whole = boxes * np.float32(p.scale) + np.array([p.x, p.y, p.x, p.y], np.float32)
    low = np.array(p.window[:2] * 2, np.float32)
    high = np.array(p.window[2:] * 2, np.float32)
    clipped = np.clip(whole, low, high)
    # Of the whole box; at least a little, as it is divided by.
    area = np.maximum((whole[:, 2:] - whole[:, :2]).prod(axis=1), 1e-6)
    return clipped, (clipped[:, 2:] - clipped[:, :2]).prod(axis=1) / area
