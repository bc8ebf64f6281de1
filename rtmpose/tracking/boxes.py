"""Which boxes lie mostly one in another."""

from __future__ import annotations

import numpy as np

from rtmpose.ops.boxes import intersection_area
from rtmpose.people import box_size
from rtmpose.types import FloatArray

CONTAINED = 0.8


def nested(boxes: FloatArray, others: FloatArray) -> np.ndarray:
    """Whether a box and one of the others lie mostly one in the other, whichever is the larger."""
    smaller = np.minimum(box_size(boxes)[:, None], box_size(others)[None]) ** 2
    return np.asarray((intersection_area(boxes, others) > CONTAINED * smaller).any(axis=1))


def contained(boxes: FloatArray, others: FloatArray) -> np.ndarray:
    """Whether most of a box lies in one of the others that is not much larger."""
    shared = intersection_area(boxes, others)
    areas = box_size(boxes) ** 2
    other_areas = box_size(others) ** 2

    # Not for a child in front of an adult: the two sizes have to be alike.
    smaller = np.minimum(areas[:, None], other_areas[None])
    larger = np.maximum(areas[:, None], other_areas[None])
    inside = (shared > CONTAINED * smaller) & (shared > 0.45 * larger)
    return np.asarray(inside.any(axis=1))
