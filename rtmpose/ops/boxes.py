"""Boxes and keypoints: conversions, overlap, suppression of duplicates. numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtmpose.types import FloatArray

Indices = NDArray[np.int64]

NMS_BLOCK = 128
"""Boxes compared with each other at once: few enough that most comparisons are needed."""


# ---- box formats and overlap


def xyxy_to_xywh(boxes: FloatArray) -> FloatArray:
    """Corners to corner and size, ``(N, 4)``."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def xywh_to_xyxy(boxes: FloatArray) -> FloatArray:
    """Corner and size to corners, ``(N, 4)``."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def box_area(boxes: FloatArray) -> FloatArray:
    """Areas ``(N,)`` of boxes ``(N, 4)`` xyxy; 0 where the corners are the wrong way round."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(size[:, 0] * size[:, 1])


def box_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of every box of a ``(N, 4)`` with every box of b ``(M, 4)``: ``(N,
    M)``.
    """
    intersection = intersection_area(a, b)  # (N, M)
    union = box_area(a)[:, None] + box_area(b)[None]
    union -= intersection

    # Boxes without area give 0 / tiny = 0, not a division by zero.
    return np.asarray(intersection / np.maximum(union, np.finfo(np.float32).tiny))


def intersection_area(a: FloatArray, b: FloatArray) -> FloatArray:
    """Area that every box of a ``(N, 4)`` shares with every box of b ``(M, 4)``: ``(N, M)``."""
    # One coordinate at a time: numpy's inner loop is then as long as b, not two values.
    ax1, ay1, ax2, ay2 = a.T[:, :, None]
    bx1, by1, bx2, by2 = np.ascontiguousarray(b.T)[:, None]
    width = np.minimum(ax2, bx2)

    # Overlap per axis; it is negative where two boxes do not touch.
    width -= np.maximum(ax1, bx1)
    height = np.minimum(ay2, by2)
    height -= np.maximum(ay1, by1)

    # In place: no further (N, M) arrays are allocated.
    np.maximum(width, 0, out=width)
    np.maximum(height, 0, out=height)
    width *= height
    return np.asarray(width)


# ---- suppression of duplicate boxes


def nms(
    boxes: FloatArray, scores: FloatArray, iou_thr: float, max_detections: int | None = None
) -> Indices:
    """Greedy non-maximum suppression.

    Candidates are looked at in blocks, so that a frame costs a few array operations rather than a
    few per box.

    Args:
        boxes: ``(N, 4)`` xyxy.
        scores: ``(N,)``.
        iou_thr: A box overlapping one of a higher score by more than this is dropped.
        max_detections: At most this many boxes are kept.

    Returns:
        Kept indices, the highest score first.
    """
    # Blocks of the remaining boxes, highest score first.
    order = np.argsort(-scores, kind="stable")
    kept = order[:0]
    for start in range(0, len(order), NMS_BLOCK):
        if max_detections is not None and len(kept) >= max_detections:
            break
        block = order[start : start + NMS_BLOCK]

        # Against those kept before, then among each other.
        if len(kept):
            block = block[(box_iou(boxes[block], boxes[kept]) <= iou_thr).all(axis=1)]
        apart = box_iou(boxes[block], boxes[block]) <= iou_thr
        kept = np.concatenate([kept, block[_greedy(np.arange(len(block)), apart)]])
    return kept[:max_detections]


# ---- similarity and suppression of poses


def oks(
    keypoints: FloatArray,
    others: FloatArray,
    area: float,
    other_areas: FloatArray,
    sigmas: Sequence[float] | FloatArray,
    min_score: float | None = None,
) -> FloatArray:
    """Object keypoint similarity of one pose with others (Lin et al., COCO keypoint evaluation).

    Args:
        keypoints: ``(K, 3)`` x, y, score.
        others: ``(N, K, 3)``.
        area: Area of the first person in square pixels.
        other_areas: ``(N,)``; the mean of the two areas scales the distances.
        sigmas: ``(K,)``.
        min_score: Only points above it in both poses count.

    Returns:
        ``(N,)`` in 0..1.
    """
    return oks_pairs(keypoints[None], others, np.array([area]), other_areas, sigmas, min_score)[0]


def oks_pairs(
    poses: FloatArray,
    others: FloatArray,
    areas: FloatArray,
    other_areas: FloatArray,
    sigmas: Sequence[float] | FloatArray,
    min_score: float | None = None,
) -> FloatArray:
    """:func:`oks` of each of ``(M, K, 3)`` with each of ``(N, K, 3)``: ``(M, N)``; areas ``(M,)``
    and ``(N,)``.
    """
    # COCO's per-keypoint constants k = 2 sigma, squared.
    variances = (np.asarray(sigmas) * 2) ** 2

    # Squared distances of all pairs, in units of the people's sizes.
    x = poses[:, None, :, 0] - others[None, :, :, 0]  # (M, N, K)
    y = poses[:, None, :, 1] - others[None, :, :, 1]
    area_sums = np.asarray(areas)[:, None] + np.asarray(other_areas)[None]  # (M, N)
    mean_area = area_sums[..., None] / 2 + np.spacing(1)
    similarity = np.exp((x * x + y * y) / (-2 * variances * mean_area))

    # The mean over all keypoints, or over those that both poses see.
    if min_score is None:
        return np.asarray(similarity.mean(axis=2), np.float32)
    counted = (poses[:, None, :, 2] > min_score) & (others[None, :, :, 2] > min_score)  # (M, N, K)
    number = counted.sum(axis=2)
    total = (similarity * counted).sum(axis=2)

    # Pairs without a common keypoint have similarity 0.
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), 0), np.float32)


def oks_nms(
    keypoints: FloatArray,
    scores: FloatArray,
    areas: FloatArray,
    sigmas: Sequence[float],
    threshold: float,
) -> Indices:
    """Greedy suppression of poses ``(N, K, 3)`` by OKS; kept indices, the highest score first,
    of equal scores the first.
    """
    # Pairwise once, (N, N): the suppression itself only reads rows of it.
    apart = oks_pairs(keypoints, keypoints, areas, areas, sigmas) <= threshold
    return _greedy(np.argsort(-scores, kind="stable"), apart)


def soft_oks_nms(
    keypoints: FloatArray,
    scores: FloatArray,
    areas: FloatArray,
    sigmas: Sequence[float],
    threshold: float,
    max_poses: int = 20,
) -> Indices:
    """Poses ``(N, K, 3)`` picked one by one, each weakening those like it by a Gaussian of their
    OKS.
    """
    order = np.argsort(-scores, kind="stable")
    remaining = scores[order].astype(np.float64)
    kept: list[int] = []
    # Candidates by descending score; both arrays lose the best one in every round.
    while len(order) and len(kept) < max_poses:
        best = order[0]
        order = order[1:]
        remaining = remaining[1:]
        kept.append(int(best))

        # Similar poses lose score, and may fall behind others.
        similar = oks(keypoints[best], keypoints[order], float(areas[best]), areas[order], sigmas)
        remaining = remaining * np.exp(-(similar**2) / threshold)
        again = np.argsort(-remaining, kind="stable")
        order = order[again]
        remaining = remaining[again]
    return np.asarray(kept, np.int64)


def nearby_joints_nms(
    keypoints: FloatArray, scores: FloatArray, distance_thr: float, num_joints: int | None = None
) -> Indices:
    """Keep the best of each group of poses ``(N, K, 2 or 3)`` that have many joints close to each
    other.

    Args:
        keypoints: x, y first.
        scores: ``(N,)``.
        distance_thr: Closeness, as a fraction of the diagonal of the pose's own extent.
        num_joints: Number of close joints above which two poses are duplicates; half of all by
            default.

    Returns:
        Kept indices, ascending in order of examination.
    """
    n, k = keypoints.shape[:2]
    limit = k // 2 if num_joints is None else num_joints

    # The pose with the highest score gathers those around it; the best of the group stays.
    extent = np.linalg.norm(np.ptp(keypoints[..., :2], axis=1), axis=1)  # (N,)
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    removed = np.zeros(n, bool)
    for i in order:
        if removed[i]:
            continue

        # Poses with enough joints near this one's are the same person.
        gap = np.linalg.norm(keypoints[:, :, :2] - keypoints[i, :, :2], axis=2)
        close = (gap < distance_thr * extent[i]).sum(axis=1) > limit
        group = np.flatnonzero(close & ~removed)

        # A pose without extent is not even close to itself: it stands alone.
        kept.append(int(group[np.argmax(scores[group])]) if len(group) else int(i))
        removed[group] = True
        removed[i] = True
    return np.asarray(kept, np.int64)


def _greedy(order: Indices, apart: NDArray[np.bool_]) -> Indices:
    """Those of ``order`` that are apart from all kept before them; ``apart`` is ``(N, N)``."""
    free = np.ones(len(apart), bool)
    kept: list[int] = []
    for i in order.tolist():
        if free[i]:
            kept.append(i)
            free &= apart[i]
    return np.asarray(kept, np.int64)
