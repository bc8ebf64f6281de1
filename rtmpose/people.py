"""Which poses are people: each person once, and nobody who is too doubtful. The rule of pipelines
and of the tracker.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtmpose.ops.boxes import nms, oks_nms, oks_pairs
from rtmpose.types import FloatArray, Poses, Skeleton

DEFAULT_PERSON_THR = 0.12
"""Lowest person score: the least with which nine of ten shown in training photos are people
(docs/conventions.md).
"""
WHOLE_PERSON = frozenset(
    f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "hip", "wrist", "ankle")
)
"""Keypoints that the sets of whole people have in common; animals have paws."""

# Those of the tracker, whose settings they are there.
SEEN_SCORE = 0.5
"""From which a keypoint counts as seen."""
EXTENT_SCALE = 1.25
"""From the extent of the keypoints to the box of a pose."""
SAME_PERSON_OKS = 0.5
"""Similarity above which two poses are one."""


def person_thr_for(skeleton: Skeleton, given: float | None = None) -> float:
    """The lowest person score for a keypoint set.

    Args:
        skeleton: Keypoint set of the model.
        given: What was asked for; None for :data:`DEFAULT_PERSON_THR` where the set is of whole
            people. That score was measured on them: of hands, faces, animals and unknown sets
            everything found is shown.
    """
    if given is not None:
        return given
    return DEFAULT_PERSON_THR if set(skeleton.keypoints) >= WHOLE_PERSON else 0.0


def people_of(poses: Poses, person_thr: float) -> Poses:
    """Each person once, without those who score less, in the same order.

    Args:
        poses: Of people who were found, not of boxes that were given.
        person_thr: Lowest person score (:attr:`rtmpose.Poses.instance_scores`); 0 keeps all poses,
            also several of one person.
    """
    if person_thr <= 0:
        return poses
    likely = poses.instance_scores >= person_thr
    if not likely.all():
        poses = poses[likely]
    if len(poses) < 2:
        return poses

    boxes, _ = extents(poses, SEEN_SCORE, EXTENT_SCALE, (len(poses.skeleton) + 1) // 2)
    kept = distinct(poses, boxes, SAME_PERSON_OKS)
    return poses if len(kept) == len(poses) else poses[kept]


def extents(
    poses: Poses, kpt_thr: float, scale: float, min_keypoints: int, min_size: float = -1
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Boxes ``(N, 4)`` of poses, and who is seen well enough for one ``(N,)``; the others keep the
    box that their pose was estimated in.

    Args:
        poses: Of one image.
        kpt_thr: Score above which a keypoint is seen.
        scale: From the extent of the seen keypoints to the box.
        min_keypoints: Fewest seen keypoints.
        min_size: Smallest box, as the square root of its area in pixels.
    """
    boxes, seen = pose_boxes(poses, kpt_thr, scale)
    enough = seen >= min_keypoints
    if min_size > 0:
        enough &= box_size(boxes) >= min_size
    return np.where(enough[:, None], boxes, poses.boxes).astype(np.float32), enough


def pose_boxes(poses: Poses, kpt_thr: float, scale: float) -> tuple[FloatArray, np.ndarray]:
    """Boxes ``(N, 4)`` around the seen keypoints, grown about their center, and how many are seen
    ``(N,)``.
    """
    seen = poses.scores > kpt_thr
    if not len(poses):
        return np.zeros((0, 4), np.float32), np.zeros(0, np.int64)

    # The extent of the seen keypoints.
    # Unseen keypoints become infinite, so that they never set a side.
    low = np.where(seen[..., None], poses.keypoints, np.inf).min(axis=1)
    high = np.where(seen[..., None], poses.keypoints, -np.inf).max(axis=1)

    # One point, or all in one place, is no person's extent: keep the box of the pose.
    size = (poses.boxes[:, 2:] - poses.boxes[:, :2]).max(axis=1)
    with np.errstate(invalid="ignore"):
        # NaN (inf - inf, nobody seen) compares as false, hence the negation.
        nothing = (seen.sum(axis=1) < 2) | ~((high - low).max(axis=1) > 0.1 * size)
    low[nothing] = poses.boxes[nothing, :2]
    high[nothing] = poses.boxes[nothing, 2:]

    # Grow about the center, at least one pixel to each side.
    center = (low + high) / 2
    half = np.maximum((high - low) / 2 * scale, 1.0)
    boxes = np.concatenate([center - half, center + half], axis=1).astype(np.float32)
    return boxes, seen.sum(axis=1)


def distinct(poses: Poses, boxes: FloatArray, nms_thr: float) -> np.ndarray:
    """Rows that stay when poses of one person are counted once, in ascending order."""
    if len(poses) < 2:
        return np.arange(len(poses))

    # Boxes alone, where the keypoint set has no tolerances for OKS.
    scores = poses.instance_scores
    sigmas = poses.skeleton.sigmas
    if not sigmas:
        return np.sort(nms(boxes, scores, nms_thr))

    # OKS counts all keypoints here, seen or not.
    points = np.concatenate([poses.keypoints, poses.scores[..., None]], axis=2)
    areas = box_size(boxes) ** 2  # (N,), square pixels
    kept = oks_nms(points, scores, areas, sigmas, nms_thr)

    # The upper half of somebody and the whole of them agree in the points both see.
    confident = (points[..., 2] > 0.3).astype(np.float32)
    same = oks_pairs(points, points, areas, areas, sigmas, 0.3) > max(nms_thr, 0.6)
    # At least five common keypoints: fewer agree by accident in a crowd.
    same &= confident @ confident.T >= 5

    # Of similar poses the one with the highest score stays.
    chosen: list[int] = []
    for i in kept[np.argsort(-scores[kept], kind="stable")]:
        if not same[i, chosen].any():
            chosen.append(int(i))
    return np.sort(np.array(chosen, np.int64))


def box_size(boxes: FloatArray) -> FloatArray:
    """Square roots of areas."""
    # Wrong corners count as no size.
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(np.sqrt(size[:, 0] * size[:, 1]))
