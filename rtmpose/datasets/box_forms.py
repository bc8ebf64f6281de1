"""Boxes and points that are written in another form than COCO's: corners, centers, fractions of the
image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets.coco_entries import is_usable_number
from rtmpose.datasets.coco_types import Json

MIN_LABELED = 3
"""Labeled points below which nothing is said of the form of a box."""
TOLERANCE = 0.1
"""Fraction of a box's sides that points may lie outside of it."""
LARGEST_FRACTION = 1.5
"""Coordinates up to this are fractions of the image: a bit outside of it still is."""
MIN_AREA_RATIO = 1.3
MIN_OUTSIDE = 0.25
"""Fraction of points outside of a box from which it may be written by its center."""

Points = NDArray[np.float64]
"""``(N, 2)`` x, y of the labeled points in image pixels."""


def labeled_points(values: Sequence[float]) -> Points:
    """The labeled points of flat x, y, v triples."""
    triples = np.array(values, np.float64).reshape(-1, 3)
    return triples[triples[:, 2] > 0, :2]


def is_relative(points: Points, box: Sequence[float] | None) -> bool:
    """Whether all labeled points, or the box, are fractions of the image and not pixels."""
    if len(points) >= MIN_LABELED and np.abs(points).max() <= LARGEST_FRACTION:
        return True
    return box is not None and max(box[2:]) > 0 and max(map(abs, box)) <= LARGEST_FRACTION


def is_corners(points: Points, box: Sequence[float], image_wh: tuple[float, float] | None) -> bool:
    """Whether the box is surely x1, y1, x2, y2: read as x, y, width, height it leaves the image,
    read as corners it lies in it, and around the points.
    """
    if image_wh is None or len(points) < MIN_LABELED:
        return False
    x, y, w, h = box
    width, height = image_wh
    if not (0 <= x < w <= width + 1 and 0 <= y < h <= height + 1):
        return False
    leaves_image = x + w > width + 2 or y + h > height + 2
    is_much_larger = w * h >= MIN_AREA_RATIO * (w - x) * (h - y)
    return leaves_image and is_much_larger and _holds((x, y, w - x, h - y), points)


def is_centered(points: Points, box: Sequence[float]) -> bool:
    """Whether the box looks like center x, center y, width, height: so many points lie outside of
    it, and all inside of the box around its first two numbers.
    """
    x, y, w, h = box
    if len(points) < MIN_LABELED or w <= 0 or h <= 0:
        return False
    outside = ((points < (x, y)) | (points > (x + w, y + h))).any(axis=1)
    return bool(outside.mean() >= MIN_OUTSIDE) and _holds((x - w / 2, y - h / 2, w, h), points)


def _holds(box: Sequence[float], points: Points) -> bool:
    """Whether all points lie in a box x, y, w, h or near it."""
    low = np.array(box[:2])
    size = np.array(box[2:])
    margin = TOLERANCE * size
    return bool(((points >= low - margin) & (points <= low + size + margin)).all())


def image_size_of(entry: Json) -> tuple[float, float] | None:
    """Width and height that the entry of an image says; None where it does not."""
    width = entry.get("width")
    height = entry.get("height")
    if not is_usable_number(width) or not is_usable_number(height):
        return None
    return (width, height) if width >= 1 and height >= 1 else None
