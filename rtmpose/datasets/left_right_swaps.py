"""Instances whose left and right look swapped, judged by what the rest of the set says.

The sign of the triangle (left point, right point, some middle) tells which way a body, face or
animal faces; seen nose and eyes, and all the other pairs, tell the same in other ways. A logistic
regression learns how they hang together: its inputs change sign when left and right are exchanged,
so that one labeled set gives examples of both kinds. Each instance is judged by a regression that
has not seen its picture's fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rtmpose.types import Skeleton

Array = NDArray[np.float64]

FEWEST = 20
"""Below so many instances there is no rest of the set to speak of."""
MOST = 20_000
LEARN_FROM = 2500
MAX_PAIRS, MAX_MIDDLES = 9, 6
FOLDS = 5
SURE = 0.97
RIDGE = 0.02
DECISIVE = 0.8


@dataclass(frozen=True, eq=False)
class Sides:
    """What was found.

    Attributes:
        probability: Annotation id to the probability that left and right are swapped.
        accuracy: Share of instances that are told apart from their swapped selves: near 0.5 the set
            says nothing.
        suspects: Ids of instances that are swapped with a probability above 0.97, the surest first;
            empty where the set is not decisive (accuracy below 0.8).
    """

    probability: Mapping[int, float]
    accuracy: float
    suspects: tuple[int, ...]


def find_swapped(annotations: Iterable[Mapping[str, Any]], skeleton: Skeleton) -> Sides | None:
    """Judge labeled instances.

    Args:
        annotations: With ``id``, ``image_id`` and finite ``keypoints``.
        skeleton: Their keypoints, with flip pairs.

    Returns:
        None where the set has no pairs, or fewer than 20 instances with a pair.
    """
    pairs = [(i, j) for i, j in enumerate(skeleton.flip_indices) if skeleton.sides[i] == "left"]
    rows = [a for a in annotations if len(a.get("keypoints") or ()) == 3 * len(skeleton)]
    if not pairs or len(rows) < FEWEST:
        return None
    points = np.array([a["keypoints"] for a in rows], np.float64).reshape(len(rows), -1, 3)
    features = _features(points, pairs, skeleton)
    useful = np.flatnonzero(np.abs(features).sum(axis=1) > 1e-9)
    if len(useful) < FEWEST:
        return None
    rng = np.random.default_rng(0)
    if len(useful) > MOST:
        useful = np.sort(rng.choice(useful, MOST, replace=False))
    features = features[useful]
    features /= features.std(axis=0) + 1e-6
    # People of one picture share a fold: a picture annotated the wrong way round must not vouch for
    # itself.
    images = np.unique([rows[i]["image_id"] for i in useful], return_inverse=True)[1]
    fold = rng.integers(0, FOLDS, images.max() + 1)[images]
    logits = np.zeros(len(useful))
    for part in range(FOLDS):
        learn = np.flatnonzero(fold != part)
        if 0 < len(learn) < len(fold):
            others = features[rng.permutation(learn)[:LEARN_FROM]]
            logits[fold == part] = features[fold == part] @ _fit(others)
    probability = 1 / (1 + np.exp(np.clip(logits, -50, 50)))
    ids = [int(rows[i]["id"]) for i in useful]
    accuracy = float((logits > 0).mean())
    order = np.argsort(-probability, kind="stable")
    suspects = tuple(ids[i] for i in order if probability[i] > SURE) if accuracy >= DECISIVE else ()
    return Sides(dict(zip(ids, probability.tolist(), strict=True)), accuracy, suspects)


# Left, right and a lower point of a face that is seen from the front, by keypoint set.
FRONTS = {
    "300w68": ("kpt-45", "kpt-36", "kpt-8"),
    "wflw98": ("kpt-72", "kpt-60", "kpt-16"),
    "lapa106": ("kpt-79", "kpt-66", "kpt-16"),
    "cofw29": ("kpt-9", "kpt-8", "kpt-28"),
    "aflw19": ("kpt-11", "kpt-6", "kpt-18"),
}
BODY_FRONT = ("left_eye", "right_eye", "left_shoulder", "right_shoulder")


def share_facing_wrong(
    annotations: Iterable[Mapping[str, Any]], skeleton: Skeleton
) -> tuple[float, int] | None:
    """Whether the whole set has left and right exchanged, which the set itself cannot say.

    Where both eyes are labeled a face is seen from the front, and the subject's left eye is on the
    right of it.

    Returns:
        Share of the faces that have it the other way, and how many there are; None where the set
        has no eyes.
    """
    names = FRONTS.get(skeleton.name, BODY_FRONT)
    if not set(names) <= set(skeleton.keypoints):
        return None
    index = [skeleton.keypoints.index(n) for n in names]
    rows = [
        a["keypoints"] for a in annotations if len(a.get("keypoints") or ()) == 3 * len(skeleton)
    ]
    points = np.array(rows, np.float64).reshape(len(rows), len(skeleton), 3)[:, index]
    points = points[(points[..., 2] > 0).all(axis=1)]
    span = points[:, 1, :2] - points[:, 0, :2]
    arm = points[:, 2:, :2].mean(axis=1) - points[:, 0, :2]
    turn = span[:, 0] * arm[:, 1] - span[:, 1] * arm[:, 0]
    return (float((turn > 0).mean()), len(turn)) if len(turn) else (0.0, 0)


def _ridge(n: int) -> float:
    """Strength of the pull toward zero for so many examples: small sets say less."""
    return RIDGE + 5 / n


def _fit(features: Array) -> Array:
    """Weights of a logistic regression through the origin where every example is of the right kind.

    A loss that levels off keeps the swapped ones among them from pulling much.
    """
    n, ridge = len(features), _ridge(len(features))

    def loss(weights: Array) -> tuple[float, Array]:
        margin = np.clip(features @ weights, -50, 50)
        wrong = 1 / (1 + np.exp(margin))
        value = float(np.logaddexp(0, -margin).mean() + ridge * weights @ weights / 2)
        return value, -(features.T @ wrong) / n + ridge * weights

    start = np.zeros(features.shape[1])
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 80}).x
    # Once more without those that the first fit holds for swapped.
    keep = features @ weights > -1
    if keep.sum() < max(FEWEST // 2, 0.5 * n):
        return np.asarray(weights)
    features, n = features[keep], int(keep.sum())
    return np.asarray(
        minimize(loss, weights, jac=True, method="L-BFGS-B", options={"maxiter": 80}).x
    )


def _features(points: Array, pairs: list[tuple[int, int]], skeleton: Skeleton) -> Array:
    """``(N, F)``, all of which change sign when left and right are exchanged."""
    seen = points[..., 2] > 0
    xy = np.where(seen[..., None], points[..., :2], np.nan)
    with np.errstate(all="ignore"):
        low, high = np.fmin.reduce(xy, axis=1), np.fmax.reduce(xy, axis=1)
    size = np.nan_to_num((high - low).max(axis=1), nan=1.0)
    center = np.nan_to_num((low + high) / 2)
    xy = np.nan_to_num((xy - center[:, None]) / np.maximum(size, 1e-6)[:, None, None])
    pairs = _spread(pairs, xy, seen, MAX_PAIRS)
    singles = [i for i, side in enumerate(skeleton.sides) if side == "center"]
    singles = sorted(singles, key=lambda i: -seen[:, i].sum())[:MAX_MIDDLES]
    left, right = (np.array(side) for side in zip(*pairs, strict=True))
    both = seen[:, left] & seen[:, right]
    middle_seen = np.concatenate([both, seen[:, singles]], axis=1)
    middles = np.concatenate([(xy[:, left] + xy[:, right]) / 2, xy[:, singles]], axis=1)
    span = xy[:, right] - xy[:, left]
    columns = []
    flags = [np.ones(len(points)), *(middle_seen.T.astype(float) - 0.5)]
    for p in range(len(pairs)):
        arm = middles - xy[:, left[p]][:, None]
        area = span[:, p, None, 0] * arm[..., 1] - span[:, p, None, 1] * arm[..., 0]
        area = np.where(both[:, p, None] & middle_seen, area, 0)
        # The sign counts more than the size: people seen from the side have small triangles.
        area = np.sign(area) * np.sqrt(np.abs(area))
        others = [m for m in range(middles.shape[1]) if m != p]
        columns += [area[:, m] for m in others]
        total = area[:, others].mean(axis=1)
        columns += [total * flag for flag in flags]
        # One of a pair alone, hidden by the rest: on which side of the middle it is seen.
        alone = seen[:, right[p]].astype(float) - seen[:, left[p]]
        place = np.where(seen[:, left[p]], xy[:, left[p], 0], xy[:, right[p], 0])
        anchor = xy[:, singles[0], 0] * seen[:, singles[0]] if singles else 0.0
        columns.append(alone * (place - anchor))
        columns.append(np.where(both[:, p], span[:, p, 0], 0))
        columns.append(
            np.where(both[:, p], points[:, right[p], 2] - points[:, left[p], 2], 0) * total
        )
    return np.stack(columns, axis=1)


def _spread(
    pairs: list[tuple[int, int]], xy: Array, seen: NDArray[np.bool_], most: int
) -> list[tuple[int, int]]:
    """The pairs that are labeled most and lie farthest apart."""
    if len(pairs) <= most:
        return pairs
    worth = []
    for i, j in pairs:
        both = seen[:, i] & seen[:, j]
        worth.append(
            float(np.linalg.norm(xy[both, i] - xy[both, j], axis=1).sum()) if both.any() else 0.0
        )
    best = np.argsort(worth)[::-1][:most]
    return [pairs[i] for i in sorted(best)]


def swap_sides(keypoints: list[float], skeleton: Skeleton) -> list[float]:
    """Flat x, y, v triples with the labels of left and right exchanged."""
    return [v for i in skeleton.flip_indices for v in keypoints[3 * i : 3 * i + 3]]
