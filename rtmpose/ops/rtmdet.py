"""RTMDet's head: per cell a class score and the distances to the four sides of the box (Lyu et al.,
2022).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtmpose.ops.boxes import nms
from rtmpose.types import Detections, FloatArray


def decode(
    cls_maps: Sequence[FloatArray],
    box_maps: Sequence[FloatArray],
    strides: Sequence[int] = (8, 16, 32),
    *,
    score_thr: float = 0.05,
    iou_thr: float = 0.6,
    nms_pre: int = 1000,
    max_detections: int = 100,
) -> Detections:
    """Boxes from the head's maps of one image.

    Args:
        cls_maps: Per level class logits ``(C, H, W)``.
        box_maps: Per level distances ``(4, H, W)`` left, top, right, bottom in input pixels.
        strides: Input pixels per cell; the point of a cell is (column, row) times the stride.
        score_thr: Lowest score kept.
        iou_thr: Overlap above which the box of a class with the lower score is dropped.
        nms_pre: Candidates per level before the suppression.
        max_detections: At most this many boxes are returned.

    Returns:
        Detections in input pixels.
    """
    parts: list[tuple[FloatArray, FloatArray, NDArray[np.int64]]] = []
    for logits, distances, stride in zip(cls_maps, box_maps, strides, strict=True):
        classes, _, width = logits.shape

        # The best candidates of the level, over all classes.
        # Sigmoid, (H * W, C).
        scores = 1 / (1 + np.exp(-logits.reshape(classes, -1).T.astype(np.float32)))
        cells, labels = np.nonzero(scores > score_thr)
        values = scores[cells, labels]  # one candidate per cell and class above the threshold
        best = np.argsort(-values, kind="stable")[:nms_pre]
        cells = cells[best]
        labels = labels[best]
        values = values[best]

        # Their boxes, from the distances to the four sides.
        # (n, 2)
        points = np.stack([cells % width, cells // width], axis=1).astype(np.float32) * stride
        ltrb = distances.reshape(4, -1).T[cells]
        boxes = np.concatenate([points - ltrb[:, :2], points + ltrb[:, 2:]], axis=1)
        parts.append((boxes.astype(np.float32), values, labels.astype(np.int64)))

    # All levels compete in one suppression.
    boxes, values, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _best(boxes, values, labels, iou_thr, max_detections)


def suppress(
    boxes: FloatArray,
    scores: FloatArray,
    *,
    score_thr: float = 0.05,
    iou_thr: float = 0.6,
    nms_pre: int = 1000,
    max_detections: int = 100,
) -> Detections:
    """Boxes from candidates ``(A, 4)`` and their scores per class ``(A, C)``; the numbers as in
    :func:`decode`.
    """
    # Highest scores first, cut before the quadratic part.
    rows, labels = np.nonzero(scores > score_thr)
    values = scores[rows, labels].astype(np.float32)
    best = np.argsort(-values, kind="stable")[:nms_pre]
    return _best(
        boxes[rows[best]].astype(np.float32),
        values[best],
        labels[best].astype(np.int64),
        iou_thr,
        max_detections,
    )


def _best(
    boxes: FloatArray,
    values: FloatArray,
    labels: NDArray[np.int64],
    iou_thr: float,
    max_detections: int,
) -> Detections:
    # Boxes of different classes do not suppress each other: each class is moved away from the rest.
    apart = boxes + (labels * (boxes.max(initial=0) + 1)).astype(np.float32)[:, None]
    keep = nms(apart, values, iou_thr, max_detections)
    return Detections(boxes[keep], values[keep], labels[keep])


def split_channels_last(outputs: Sequence[FloatArray]) -> tuple[list[FloatArray], list[FloatArray]]:
    """Maps ``(1, H, W, C + 4)`` of exports that join class and box channels, as class maps and box
    maps.
    """
    # The last four channels are the distances to the sides of the box.
    classes = [np.moveaxis(o[0, ..., :-4], -1, 0) for o in outputs]
    return classes, [np.moveaxis(o[0, ..., -4:], -1, 0) for o in outputs]
