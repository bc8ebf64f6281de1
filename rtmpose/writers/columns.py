"""The columns of the tables, the same for CSV and Parquet and for every command."""

from __future__ import annotations

import numpy as np

from rtmpose.types import Skeleton
from rtmpose.writers.base import FrameRecord

HEAD = (
    "source",
    "frame",
    "time_s",
    "person",
    "id",
    "filled",
    "box_x1",
    "box_y1",
    "box_x2",
    "box_y2",
    "box_score",
    "score",
    "image_width",
    "image_height",
)
"""``person`` counts the people of a frame from 0; ``id`` is -1 without tracking."""

TEXT = frozenset({"source"})
INTEGERS = frozenset({"frame", "person", "id", "filled", "image_width", "image_height"})
DOUBLES = frozenset({"time_s"})


BOX_DIGITS = 2
SCORE_DIGITS = 5
POINT_DIGITS = 4
"""Digits behind the point of pixels of a box, its score, and all numbers of a keypoint."""


def columns(skeleton: Skeleton, *, with_probabilities: bool = False) -> list[str]:
    """Names of the columns: :data:`HEAD`, then x, y, score and, where they are written, probability
    of each keypoint.
    """
    parts = ("x", "y", "score", "probability") if with_probabilities else ("x", "y", "score")
    return [*HEAD, *(f"{name}_{part}" for name in skeleton.keypoints for part in parts)]


def row(record: FrameRecord, i: int) -> list[str | float]:
    """Person ``i`` of a frame: pixels to a hundredth (boxes) or a ten-thousandth (keypoints); the
    time as it is, as speeds are computed from it.
    """
    poses = record.poses
    # x, y, score of each keypoint in turn, as the names of the columns say.
    points = np.concatenate([poses.keypoints[i], poses.scores[i][:, None]], axis=1).ravel()
    return [
        record.source,
        record.index,
        record.time_s,
        i,
        record.person_id(i),
        int(record.is_filled(i)),
        *(round(float(v), BOX_DIGITS) for v in poses.boxes[i]),
        round(float(poses.box_scores[i]), SCORE_DIGITS),
        round(float(poses.instance_scores[i]), SCORE_DIGITS),
        *(record.size_wh or (0, 0)),
        *(round(float(v), POINT_DIGITS) for v in points),
    ]
