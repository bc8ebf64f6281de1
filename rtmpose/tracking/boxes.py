"""Boxes of poses, and which of several poses are one person's."""

from __future__ import annotations

import numpy as np

from rtmpose.ops.boxes import intersection_area, nms, oks_nms, oks_pairs
from rtmpose.types import FloatArray, Poses

CONTAINED = 0.8


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
