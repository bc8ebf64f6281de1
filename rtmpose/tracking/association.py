"""Which pose of a frame belongs to whom: similarity of tracks and poses, and their assignment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtmpose.ops.boxes import box_iou, oks_pairs
from rtmpose.people import box_size
from rtmpose.tracking.assignment import best_assignment
from rtmpose.tracking.state import Track
from rtmpose.types import FloatArray, Poses

LOST_REACH = 0.7
"""A lost person may reappear within this many box lengths of where they were expected."""


def assign(
    tracks: Sequence[Track], poses: Poses, boxes: FloatArray, iou_thr: float
) -> dict[int, Track]:
    """Poses to tracks, one to one (Hungarian): first the people in sight, then new tracks that are
    not confirmed, then the lost.

    Args:
        tracks: All people remembered, their ``predicted`` boxes of this frame.
        poses: Of this frame.
        boxes: Theirs, ``(N, 4)``.
        iou_thr: Lowest overlap for a pose to be a track's.

    Returns:
        Rows of ``poses`` with their tracks, in the order they were matched.
    """
    # Whoever is in sight has the first choice of poses; unconfirmed tracks have negative ids.
    visible = [t for t in tracks if not t.missing]
    lost = [t for t in tracks if t.missing]
    rounds = (
        [t for t in visible if t.id > 0],
        [t for t in visible if t.id < 0],
        lost,
    )

    # Poses that a round leaves free are offered to the next one.
    matched: dict[int, Track] = {}
    free = list(range(len(poses)))
    for candidates in rounds:
        if not candidates or not free:
            continue
        is_lost = candidates is lost
        similar = similarity(candidates, poses[free], boxes[free], iou_thr, lost=is_lost)
        # The sum is the largest; pairs of similarity 0 are no matches.
        rows, columns = best_assignment(similar)
        for row, column in zip(rows, columns, strict=True):
            if similar[row, column] > 0:
                matched[free[column]] = candidates[row]
        free = [row for row in free if row not in matched]
    return matched


def similarity(
    tracks: Sequence[Track], poses: Poses, boxes: FloatArray, iou_thr: float, *, lost: bool
) -> FloatArray:
    """``(tracks, poses)``: overlap of the predicted box and likeness of the pose; 0 where they
    cannot be the same person.
    """
    # (tracks, 4), (tracks, poses); without sigmas the overlap alone decides.
    predicted = np.stack([t.predicted for t in tracks])
    overlap = np.asarray(box_iou(predicted, boxes), np.float64)
    likeness = overlap
    if poses.skeleton.sigmas:
        likeness = _pose_likeness(tracks, predicted, poses, boxes)

    # Either is enough: a box may change shape, and a pose may be seen in part.
    value = 0.5 * (overlap + likeness)
    possible = (overlap >= iou_thr) | (likeness >= max(iou_thr, 0.3))
    if lost:
        # A lost person has no fresh box, so being near and of the same size is enough. The nearer,
        # the higher the similarity.
        near, alike = _nearness(tracks, predicted, boxes)
        value = np.maximum(value, 1e-3) * (1 + np.maximum(0, 1 - near))
        possible |= (near < 1) & alike
    return np.asarray(np.where(possible, value, 0.0))


def _pose_likeness(
    tracks: Sequence[Track], predicted: FloatArray, poses: Poses, boxes: FloatArray
) -> NDArray[np.float64]:
    """``(tracks, poses)``: OKS of the tracks' last poses, moved on, with those of the frame."""
    # (poses, K, 3) and (tracks, K, 3): x, y, score, the tracks where the filter expects them now.
    points = np.concatenate([poses.keypoints, poses.scores[..., None]], axis=2)
    places = np.stack([t.keypoints + t.moved for t in tracks])
    scores = np.stack([t.scores for t in tracks])
    expected = np.concatenate([places, scores[..., None]], axis=2)

    # Areas count twice, for a tolerance wider than the evaluation's: people move between frames.
    sizes = 2 * box_size(predicted) ** 2
    areas = 2 * box_size(boxes) ** 2
    sigmas = poses.skeleton.sigmas
    return np.asarray(oks_pairs(expected, points, sizes, areas, sigmas, 0.2), np.float64)


def _nearness(
    tracks: Sequence[Track], predicted: FloatArray, boxes: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """``(tracks, poses)``: distance of centers as a fraction of how far a lost person may be, and
    whether the boxes are of about the same length.
    """
    # The long side: a person who curls up or falls is no longer tall, but about as long.
    length = (predicted[:, 2:] - predicted[:, :2]).max(axis=1)
    other_length = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1), 1)
    ratio = length[:, None] / other_length[None]
    alike = (ratio > 0.5) & (ratio < 2)

    # The longer somebody is away, the farther they may have gone.
    reach = LOST_REACH * length * (1 + 0.1 * np.array([t.missing for t in tracks]))
    center = (predicted[:, :2] + predicted[:, 2:]) / 2
    other_center = (boxes[:, :2] + boxes[:, 2:]) / 2
    gap = np.linalg.norm(center[:, None] - other_center[None], axis=2)
    return np.asarray(gap / reach[:, None], np.float64), np.asarray(alike)
