"""RTMO's outputs: people with boxes and keypoints, suppression inside (Lu et al., 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import ModelError
from rtmpose.ops.boxes import nms
from rtmpose.types import Detections, FloatArray

OUTPUT_NAMES = ("dets", "keypoints")
INSIDE_IOU_THR = 0.65
"""Overlap above which the published files suppress the weaker of two people."""
MIN_SCORE = 0.05
"""Rows below it are padding or noise, whatever threshold is asked for."""


@dataclass(frozen=True, eq=False)
class People:
    """What a one-stage network finds in one frame, highest score first.

    Attributes:
        boxes: ``(N, 4)`` float32 xyxy in input pixels.
        box_scores: ``(N,)`` float32.
        keypoints: ``(N, K, 2)`` float32 in input pixels.
        scores: ``(N, K)`` float32.
    """

    boxes: FloatArray
    box_scores: FloatArray
    keypoints: FloatArray
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.boxes)

    def detections(self) -> Detections:
        """The boxes alone, all of class 0."""
        return Detections(self.boxes, self.box_scores, np.zeros(len(self), np.int64))


def decode(outputs: Sequence[NDArray[np.generic]], score_thr: float, name: str) -> People:
    """People from the outputs for one image.

    The number of rows depends on the image, and the network's own suppression leaves rows that are
    nobody: unless all its places are taken, the last one holds whatever the last grid cell says.
    Such a row scores below the threshold, or it repeats somebody who is there; both are dropped.

    Args:
        outputs: ``dets (1, N, 5)``, x1, y1, x2, y2, score, and ``keypoints (1, N, K, 3)``, x, y,
            score; all in input pixels.
        score_thr: Lowest box score returned.
        name: Names the model in errors.

    Raises:
        ModelError: the outputs have another form.
    """
    shapes = [o.shape for o in outputs]
    if not is_layout(shapes):
        raise ModelError(
            f"{name} is not a one-stage model of a known form: it returns arrays of shape {shapes};"
            " expected people (1, N, 5) and keypoints (1, N, K, 3)"
        )
    dets = np.asarray(outputs[0][0], np.float32)  # (N, 5)
    points = np.asarray(outputs[1][0], np.float32)  # (N, K, 3)

    # Numbers that make no person: padding, NaN, boxes without area.
    keep = dets[:, 4] >= max(score_thr, MIN_SCORE)
    keep &= np.isfinite(dets).all(axis=1) & np.isfinite(points).all(axis=(1, 2))
    keep &= (dets[:, 2:4] > dets[:, :2]).all(axis=1)
    dets = dets[keep]
    points = points[keep]

    # The published suppression once more: it leaves its own result as it is, and removes repeats.
    rows = nms(dets[:, :4], dets[:, 4], INSIDE_IOU_THR)
    return People(dets[rows, :4], dets[rows, 4], points[rows, :, :2], points[rows, :, 2])


def is_layout(shapes: Sequence[tuple[int | None, ...]], names: Sequence[str] = ()) -> bool:
    """Whether outputs of these shapes are those of RTMO.

    Args:
        shapes: None marks a dimension that may vary.
        names: Of the outputs, where they are known; with the published names, ``dets`` and
            ``keypoints``, the last dimensions may be undeclared.
    """
    # Ranks first: the last dimensions exist only in arrays of the right rank.
    if [len(shape) for shape in shapes] != [3, 4]:
        return False
    last = (shapes[0][2], shapes[1][3])

    # The published names are proof enough for dimensions that the file leaves open.
    if tuple(names) == OUTPUT_NAMES:
        return last[0] in (5, None) and last[1] in (3, None)

    # Without names the sizes must say it: 4 corners + score, and x, y + score.
    return last == (5, 3)
