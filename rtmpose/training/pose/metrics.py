"""Quick metrics of poses in annotated boxes, to choose a checkpoint by: no detector, one pose per
person, numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtmpose.training.data.pose_samples import Sample
from rtmpose.types import POSE_SCORE_FLOOR, FloatArray

# COCO's ten OKS thresholds and 101 recall levels.
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


def score_poses(
    samples: Sequence[Sample],
    keypoints: FloatArray,
    scores: FloatArray,
    sigmas: Sequence[Sequence[float]],
    names: Sequence[str],
) -> dict[str, float]:
    """Accuracy of one pose per sample.

    Args:
        samples: N people with human labels.
        keypoints: ``(N, K, 2)`` in image pixels.
        scores: ``(N, K)``.
        sigmas: OKS constants of the K points by data set; empty for a set without any.
        names: Of the data sets the samples come from.

    Returns:
        ``AP`` (where the set has sigmas: COCO's average precision with each person as a separate
        image), ``PCK@0.1`` and ``PCK@0.05`` (of the longer side of the box) of the first set that
        has samples, then the same of the other sets, with their names appended.
    """
    points = np.stack([s.points for s in samples])  # (N, K, 3)

    # Distances in pixels, and the sizes they are measured by.
    labeled = points[..., 2] > 0
    distance = np.linalg.norm(keypoints - points[..., :2], axis=2)
    side = np.array([max(s.box[2] - s.box[0], s.box[3] - s.box[1]) for s in samples])
    area = np.array([s.area for s in samples])
    source = np.array([s.source for s in samples])

    # Per set: the first set's values have no suffix, as its first metric chooses the best weights.
    out: dict[str, float] = {}
    for number in np.unique(source):
        rows = source == number
        suffix = f" {names[number]}" if out else ""

        # OKS needs the spread of each keypoint, which not every set has.
        if sigmas[number]:
            similarity = person_oks(
                distance[rows], labeled[rows], area[rows], np.array(sigmas[number])
            )
            confidence = _confidence(scores[rows], labeled[rows])
            out[f"AP{suffix}"] = average_precision(similarity, confidence)

        # PCK: the share of labeled points within a part of the box's longer side.
        for limit in (0.1, 0.05):
            near = (distance[rows] < limit * side[rows, None])[labeled[rows]]
            out[f"PCK@{limit}{suffix}"] = float(near.mean()) if len(near) else 0.0
    return out


def person_oks(
    distance: FloatArray, labeled: NDArray[np.bool_], area: FloatArray, sigmas: FloatArray
) -> NDArray[np.float64]:
    """Object keypoint similarity of N poses with their own person, over the labeled points."""
    # As in pycocotools: the squared distance over the area and the keypoint's spread.
    variances = (2 * sigmas) ** 2
    squares = distance.astype(np.float64) ** 2
    similarity = np.exp(-squares / variances / (area[:, None] + np.spacing(1)) / 2)
    # (N,)
    return np.asarray((similarity * labeled).sum(axis=1) / np.maximum(labeled.sum(axis=1), 1))


def average_precision(similarity: NDArray[np.float64], confidence: FloatArray) -> float:
    """COCO's average precision where every person has exactly one pose."""
    # Persons by score; each is a hit where its pose is similar enough.
    order = np.argsort(-confidence, kind="stable")
    values = []
    for threshold in THRESHOLDS:
        hit = similarity[order] >= threshold
        recall = np.cumsum(hit) / max(len(hit), 1)
        precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
        # The best precision at this recall or a higher one.
        precision = np.maximum.accumulate(precision[::-1])[::-1]

        # Precision at the 101 recalls; 0 for recalls that are not reached.
        at = np.searchsorted(recall, RECALLS, side="left")
        values.append(np.where(at < len(hit), precision[np.minimum(at, len(hit) - 1)], 0).mean())
    return float(np.mean(values))


def _confidence(scores: FloatArray, labeled: NDArray[np.bool_]) -> FloatArray:
    """Score of each person: the mean of the scores above the floor, over the points that its set
    labels at all.
    """
    # Points that the set never labels say nothing about its persons.
    used = scores[:, labeled.any(axis=0)]
    above = used > POSE_SCORE_FLOOR
    return np.asarray((used * above).sum(axis=1) / np.maximum(above.sum(axis=1), 1))
