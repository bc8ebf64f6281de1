"""Where poses are estimated: detections that count, merged with the boxes of people who are
followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtmpose.ops.boxes import box_iou
from rtmpose.people import box_size
from rtmpose.tracking.boxes import contained
from rtmpose.tracking.params import TrackerParams
from rtmpose.tracking.state import Track
from rtmpose.types import Detections, Poses

DOUBTFUL_THR = 0.1
"""Detections down to this score count where a tracked person is expected."""

FOLLOWED = -1
"""Label of the box of somebody whom the detector does not see."""

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


# ---- detections


def confident(found: Detections, params: TrackerParams) -> Mask:
    """Which detections are people, whoever was there before ``(N,)``."""
    return np.asarray((found.scores >= params.det_thr) & _eligible(found, params))


def accepted(found: Detections, tracks: Sequence[Track], params: TrackerParams) -> Mask:
    """Which detections count ``(N,)``: the confident ones, and doubtful ones of tracked people."""
    strong = confident(found, params)
    return np.asarray(strong | _doubtful(found, strong, tracks, params))


def _eligible(found: Detections, params: TrackerParams) -> Mask:
    """Which detections have the label of a person, and the size."""
    eligible = (found.labels == params.det_label) | (params.det_label < 0)
    if params.det_min_bbox_size > 0:
        eligible &= box_size(found.boxes) >= params.det_min_bbox_size
    return np.asarray(eligible)


def _doubtful(
    found: Detections, strong: Mask, tracks: Sequence[Track], params: TrackerParams
) -> Mask:
    """Low-scoring detections where a tracked person is expected and no confident one is, as in
    ByteTrack (ECCV 2022).
    """
    weak = ~strong & _eligible(found, params) & (found.scores >= DOUBTFUL_THR)
    if not weak.any() or not tracks:
        return np.zeros(len(found), bool)

    # Where a confident detection is, its person needs no doubtful one.
    expected = np.stack([t.predicted for t in tracks])
    if strong.any():
        taken = box_iou(expected, found.boxes[strong]).max(axis=1) > 0.5
        expected = expected[~taken]
    if not len(expected):
        return np.zeros(len(found), bool)
    return np.asarray(weak & (box_iou(found.boxes, expected).max(axis=1) > 0.3))


# ---- boxes for the pose network


def merge(found: Detections | None, tracks: Sequence[Track], params: TrackerParams) -> Detections:
    """Detected boxes, and those of followed people whom the detector does not see.

    Args:
        found: Detections that count; None where the detector did not run.
        tracks: People, with where they are expected.
        params: Settings.

    Returns:
        Boxes with label 0, or :data:`FOLLOWED`.
    """
    followed = [t for t in tracks if t.follow and t.missing <= 1]
    # (T, 4)
    boxes = np.array([t.box + np.tile(t.moved, 2) for t in followed], np.float32).reshape(-1, 4)
    scores = np.array([t.box_score for t in followed], np.float32)

    # A followed box and a detected one may be the same person.
    if found is not None and len(found) and len(boxes):
        same = box_iou(boxes, found.boxes).max(axis=1) > params.det_nms_thr
        same |= contained(boxes, found.boxes)
        boxes = boxes[~same]
        scores = scores[~same]

    # Detected boxes first: with equal scores the sort below keeps them.
    labels = np.full(len(boxes), FOLLOWED, np.int64)
    if found is not None:
        boxes = np.concatenate([found.boxes, boxes])
        scores = np.concatenate([found.scores, scores])
        labels = np.concatenate([np.zeros(len(found), np.int64), labels])

    # Small boxes and those beyond the largest number are dropped.
    if len(boxes) and params.pose_min_bbox_size > 0:
        large = box_size(boxes) >= params.pose_min_bbox_size
        boxes = boxes[large]
        scores = scores[large]
        labels = labels[large]
    if params.pose_max_num_bboxes >= 0:
        first = np.argsort(-scores, kind="stable")[: params.pose_max_num_bboxes]
        boxes = boxes[first]
        scores = scores[first]
        labels = labels[first]
    return Detections(boxes.reshape(-1, 4), scores, labels)


def of_people_seen(boxes: Detections, poses: Poses, params: TrackerParams) -> Poses:
    """The poses without those of people whom neither the detector nor one keypoint shows: black
    frames, and somebody who has gone.

    Args:
        boxes: From :func:`merge`.
        poses: One in each of them.
        params: Settings: with ``pose_min_keypoints=0`` people are followed unseen.
    """
    if params.min_keypoints(len(poses.skeleton)) == 0:
        return poses
    unseen = (boxes.labels == FOLLOWED) & (poses.instance_scores <= 0)
    return poses[~unseen] if unseen.any() else poses


def precomputed_rows(boxes: Detections, poses: Poses | None) -> Rows:
    """For each box the row of the pose that was estimated in it before, or -1."""
    if poses is None:
        return np.full(len(boxes), -1)
    # Exact bytes: the same box, not a similar one.
    rows = {box.tobytes(): i for i, box in enumerate(poses.boxes)}
    return np.array([rows.get(box.tobytes(), -1) for box in boxes.boxes], np.int64)


def join_precomputed(boxes: Detections, rows: Rows, before: Poses, now: Poses) -> Poses:
    """Poses estimated before, and now in the other boxes, in the order of the boxes."""
    # Row i of ``now`` is for the i-th box that had no pose before.
    source = np.where(rows >= 0, rows, len(before) + np.cumsum(rows < 0) - 1)
    return replace(
        now,
        boxes=boxes.boxes,
        box_scores=boxes.scores,
        keypoints=np.concatenate([before.keypoints, now.keypoints])[source],
        scores=np.concatenate([before.scores, now.scores])[source],
    )
