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


def columns(skeleton: Skeleton) -> list[str]:
    """Names of the columns: :data:`HEAD`, then x, y and score of each keypoint."""
    points = [f"{name}_{part}" for name in skeleton.keypoints for part in ("x", "y", "score")]
    return [*HEAD, *points]


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
        *(round(float(v), 2) for v in poses.boxes[i]),
        round(float(poses.box_scores[i]), 5),
        round(float(poses.instance_scores[i]), 5),
        *(record.size_wh or (0, 0)),
        *(round(float(v), 4) for v in points),
    ]
