"""Outputs of the YOLO families as detections and people: one row per cell of a grid, or per box.

Which form an output has follows from its shape and the input's size. Each cell of the strides 8, 16
and 32 (and 64 in large networks) has one candidate, or three in networks with anchors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from rtmpose.ops import rtmdet
from rtmpose.ops.boxes import nms
from rtmpose.ops.rtmo import MIN_SCORE, People
from rtmpose.types import Detections, FloatArray

Form = Literal["boxes", "cells", "anchors", "channels-first", "people"]
"""``boxes``: ``(1, n, 6)`` corners, score, class, suppression inside. ``cells``: ``(1, A, 5 + C)``
center, size, objectness, classes. ``anchors``: the same with three candidates per cell.
``channels-first``: ``(1, 4 + C, A)`` center, size, classes. ``people``: ``(1, 5 + 3 K, A)`` center,
size, score, and x, y, score of each keypoint."""

IOU_THR = 0.65
PEOPLE_ROWS = 56
"""4 + 1 + 3 x 17: people with COCO's keypoints, which no common set of classes is as large as."""
DEFAULT_SIDE = 640
"""Of exports that take any size."""

_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
_ANCHORS = 3

OpenShape = tuple[int | None, ...]


def cell_count(input_wh: tuple[int, int], strides: Sequence[int]) -> int:
    """Cells of the grids of these strides."""
    return sum((input_wh[0] // stride) * (input_wh[1] // stride) for stride in strides)


def form_of(shape: OpenShape, input_wh: tuple[int, int]) -> Form | None:
    """The form of a network's only output; None where the shape does not tell it.

    Args:
        shape: Of the output; None marks a dimension that may vary.
        input_wh: Width and height of the network's input.
    """
    if len(shape) != 3 or shape[0] not in (1, None):
        return None
    _, rows, columns = shape
    counts = [cell_count(input_wh, strides) for strides in _STRIDES]
    if columns is not None and columns >= 6:
        if rows in counts:
            return "cells"
        if rows in [_ANCHORS * count for count in counts]:
            return "anchors"
    if rows is not None and rows >= 5 and (columns in counts or (columns is None and rows > 6)):
        return "people" if rows == PEOPLE_ROWS else "channels-first"
    return "boxes" if columns == 6 else None


def decode_boxes(
    output: FloatArray, form: Form, input_wh: tuple[int, int], score_thr: float
) -> Detections:
    """Detections in input pixels from one of the forms ``(1, rows, columns)``."""
    values = output[0]
    if form == "boxes":
        return Detections(values[:, :4], values[:, 4], np.rint(values[:, 5]).astype(np.int64))
    if form == "people":
        people = decode_people(output, score_thr)
        return people.detections()
    if form == "channels-first":
        values = values.T  # (A, 4 + C)
        return rtmdet.suppress(
            _corners(values[:, :4]), values[:, 4:], score_thr=score_thr, iou_thr=IOU_THR
        )
    if form == "cells":
        values = _on_grid(values, input_wh)
    return rtmdet.suppress(
        _corners(values[:, :4]),
        values[:, 5:] * values[:, 4:5],
        score_thr=score_thr,
        iou_thr=IOU_THR,
    )


def decode_people(output: FloatArray, score_thr: float) -> People:
    """People in input pixels from ``(1, 5 + 3 K, A)``."""
    values = output[0].T  # (A, 5 + 3 K)
    keep = np.isfinite(values).all(axis=1) & (values[:, 4] >= max(score_thr, MIN_SCORE))
    values = values[keep]
    boxes = _corners(values[:, :4])
    points = values[:, 5:].reshape(len(values), -1, 3)
    rows = nms(boxes, values[:, 4], IOU_THR, 300)
    return People(boxes[rows], values[rows, 4], points[rows, :, :2], points[rows, :, 2])


def _corners(centered: FloatArray) -> FloatArray:
    """Center and size as two corners."""
    half = centered[:, 2:4] / 2
    corners = np.concatenate([centered[:, :2] - half, centered[:, :2] + half], axis=1)
    return corners.astype(np.float32)


def _on_grid(values: FloatArray, input_wh: tuple[int, int]) -> FloatArray:
    """Candidates whose places are relative to their cells, and sizes logarithms, in pixels.

    Exports that have computed this inside are returned as they are: their centers spread over the
    image, while relative ones lie within a few cells of 0.
    """
    if np.median(np.abs(values[:, 0])) > input_wh[0] / 8:
        return values
    strides = next(s for s in _STRIDES if cell_count(input_wh, s) == len(values))
    cells = []
    for stride in strides:
        height, width = input_wh[1] // stride, input_wh[0] // stride
        y, x = np.mgrid[:height, :width]
        cells.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], axis=1))
    grid = np.concatenate(cells).astype(np.float32)  # x, y, stride

    out = values.copy()
    out[:, :2] = (values[:, :2] + grid[:, :2]) * grid[:, 2:]
    out[:, 2:4] = np.exp(np.minimum(values[:, 2:4], 20)) * grid[:, 2:]  # no overflow
    return out
