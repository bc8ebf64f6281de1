"""Instances whose left and right look swapped, judged by what the rest of the set says.

The sign of the triangle (left point, right point, some central point) tells which way a body, face
or animal faces; labeled nose and eyes, and all the other pairs, tell the same in other ways. A
logistic regression learns how they go together. Its inputs change sign when left and right are
swapped, so that one labeled set gives examples of both kinds. Each instance is judged by a
regression that has not seen its image's fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rtmpose.datasets.coco_types import Json
from rtmpose.types import Skeleton

Array = NDArray[np.float64]

MIN_INSTANCES = 20
"""Number of instances below which there is no rest of the set to compare with."""
MAX_INSTANCES = 20_000
MAX_FIT_INSTANCES = 2500
MAX_PAIRS = 9
MAX_CENTERS = 6
FOLDS = 5

SUSPECT_PROBABILITY = 0.97
"""Instances that are swapped with a higher probability are suspects."""
MIN_ACCURACY = 0.8
"""Accuracy of the regression below which no instance is a suspect."""

L2_WEIGHT = 0.02
MAX_ITERATIONS = 80
MAX_LOGIT = 50
SWAPPED_LOGIT = -1
"""Instances below it in a first fit are left out of the second one."""


@dataclass(frozen=True, eq=False)
class SwapReport:
    """What was found.

    Attributes:
        probability: Annotation id to the probability that left and right are swapped.
        accuracy: Fraction of instances that are told apart from their swapped selves: near 0.5 the
            set says nothing.
        suspects: Ids of instances that are swapped with a probability above 0.97, the most probable
            first; empty where the accuracy is below 0.8.
    """

    probability: Mapping[int, float]
    accuracy: float
    suspects: tuple[int, ...]


def find_left_right_swaps(
    annotations: Iterable[Mapping[str, Json]], skeleton: Skeleton
) -> SwapReport | None:
    """Judge labeled instances.

    Args:
        annotations: With ``id``, ``image_id`` and finite ``keypoints``.
        skeleton: Their keypoints, with flip pairs.

    Returns:
        None where the set has no pairs, or fewer than 20 instances with a pair.
    """
    pairs = [(i, j) for i, j in enumerate(skeleton.flip_indices) if skeleton.sides[i] == "left"]
    rows = [a for a in annotations if len(a.get("keypoints") or ()) == 3 * len(skeleton)]
    if not pairs or len(rows) < MIN_INSTANCES:
        return None

    # Instances without a labeled pair say nothing; large sets are sampled.
    points = np.array([a["keypoints"] for a in rows], np.float64).reshape(len(rows), -1, 3)
    features = _features(points, pairs, skeleton)
    judged = np.flatnonzero(np.abs(features).sum(axis=1) > 1e-9)
    if len(judged) < MIN_INSTANCES:
        return None
    rng = np.random.default_rng(0)
    if len(judged) > MAX_INSTANCES:
        judged = np.sort(rng.choice(judged, MAX_INSTANCES, replace=False))
    features = features[judged]
    features /= features.std(axis=0) + 1e-6

    # People of one image share a fold: an image annotated the wrong way round must not vouch for
    # itself.
    image_ids = [rows[i]["image_id"] for i in judged]
    images = np.unique(image_ids, return_inverse=True)[1]
    folds = rng.integers(0, FOLDS, images.max() + 1)[images]
    logits = _cross_validated_logits(features, folds, rng)

    # A set where left and right cannot be told apart has no suspects.
    probability = 1 / (1 + np.exp(np.clip(logits, -MAX_LOGIT, MAX_LOGIT)))
    accuracy = float((logits > 0).mean())
    ids = [int(rows[i]["id"]) for i in judged]
    suspects: tuple[int, ...] = ()
    if accuracy >= MIN_ACCURACY:
        order = np.argsort(-probability, kind="stable")
        suspects = tuple(ids[i] for i in order if probability[i] > SUSPECT_PROBABILITY)
    return SwapReport(dict(zip(ids, probability.tolist(), strict=True)), accuracy, suspects)


def swap_left_right(keypoints: Sequence[float], skeleton: Skeleton) -> list[float]:
    """Flat x, y, v triples with the labels of left and right swapped."""
    # Point i takes the triple of its partner; central points are their own partners.
    swapped: list[float] = []
    for i in skeleton.flip_indices:
        swapped += keypoints[3 * i : 3 * i + 3]
    return swapped


# ---- the whole set

# Left, right and a lower point of a face that is seen from the front, by keypoint set.
FACE_FRONT = {
    "300w68": ("kpt-45", "kpt-36", "kpt-8"),
    "wflw98": ("kpt-72", "kpt-60", "kpt-16"),
    "lapa106": ("kpt-79", "kpt-66", "kpt-16"),
    "cofw29": ("kpt-9", "kpt-8", "kpt-28"),
    "aflw19": ("kpt-11", "kpt-6", "kpt-18"),
}
BODY_FRONT = ("left_eye", "right_eye", "left_shoulder", "right_shoulder")


def mirrored_faces(
    annotations: Iterable[Mapping[str, Json]], skeleton: Skeleton
) -> tuple[float, int] | None:
    """Whether the whole set has left and right swapped, which the set itself cannot say.

    Where both eyes are labeled a face is seen from the front, and the subject's left eye is on the
    right of it.

    Returns:
        Fraction of the faces that have it the other way, and the number of faces; None where the
        set has no eyes.
    """
    # Three points of a face, or the eyes and shoulders of a body.
    names = FACE_FRONT.get(skeleton.name, BODY_FRONT)
    if not set(names) <= set(skeleton.keypoints):
        return None
    indices = [skeleton.keypoints.index(name) for name in names]
    rows = [
        a["keypoints"] for a in annotations if len(a.get("keypoints") or ()) == 3 * len(skeleton)
    ]
    points = np.array(rows, np.float64).reshape(len(rows), len(skeleton), 3)[:, indices]
    points = points[(points[..., 2] > 0).all(axis=1)]  # faces with all of these labeled
    if not len(points):
        return 0.0, 0

    # The turn from the line between the eyes to what lies below them.
    left_eye = points[:, 0, :2]
    eye_line = points[:, 1, :2] - left_eye
    downward = points[:, 2:, :2].mean(axis=1) - left_eye  # the mean of what lies below the eyes
    turn = eye_line[:, 0] * downward[:, 1] - eye_line[:, 1] * downward[:, 0]
    return float((turn > 0).mean()), len(turn)


# ---- the regression


def _cross_validated_logits(
    features: Array, folds: NDArray[np.int64], rng: np.random.Generator
) -> Array:
    """``(N,)``: each instance by a regression on the other folds; positive is not swapped."""
    # Instances of the fold are judged by the others; few folds may be empty.
    logits = np.zeros(len(features))
    for fold in range(FOLDS):
        others = np.flatnonzero(folds != fold)
        if 0 < len(others) < len(folds):
            sample = features[rng.permutation(others)[:MAX_FIT_INSTANCES]]
            logits[folds == fold] = features[folds == fold] @ _fit(sample)
    return logits


def _fit(features: Array) -> Array:
    """Weights of a logistic regression through the origin where no example is swapped.

    A loss that levels off keeps the swapped ones among them from pulling much. They are left out
    of a second fit.
    """
    l2_weight = L2_WEIGHT + 5 / len(features)  # small sets say less
    weights = _minimize(features, np.zeros(features.shape[1]), l2_weight)
    kept = features @ weights > SWAPPED_LOGIT
    if kept.sum() < max(MIN_INSTANCES // 2, 0.5 * len(features)):
        return weights
    return _minimize(features[kept], weights, l2_weight)


def _minimize(features: Array, start: Array, l2_weight: float) -> Array:
    def loss(weights: Array) -> tuple[float, Array]:
        margin = np.clip(features @ weights, -MAX_LOGIT, MAX_LOGIT)  # the logit of "not swapped"
        wrong = 1 / (1 + np.exp(margin))

        # Log-loss of all examples as not swapped, with weight decay.
        value = np.logaddexp(0, -margin).mean() + l2_weight * weights @ weights / 2
        gradient = -(features.T @ wrong) / len(features) + l2_weight * weights
        return float(value), gradient

    options = {"maxiter": MAX_ITERATIONS}
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x)


# ---- its inputs


@dataclass(frozen=True, eq=False)
class _Geometry:
    """Instances scaled to unit size; P pairs and C central points."""

    xy: Array  # (N, K, 2), zeros where a point has no label
    visibility: Array  # (N, K)
    pairs: list[tuple[int, int]]
    both_labeled: NDArray[np.bool_]  # (N, P)
    centers: Array  # (N, P + C, 2): middles of the pairs, then central points
    centers_labeled: NDArray[np.bool_]  # (N, P + C)
    center_line: Array | float  # (N,) x of the most labeled central point


def _features(points: Array, pairs: list[tuple[int, int]], skeleton: Skeleton) -> Array:
    """``(N, F)``, all of which change sign when left and right are swapped."""
    geometry = _geometry(points, pairs, skeleton)
    columns: list[Array] = []
    for index in range(len(geometry.pairs)):
        columns += _pair_features(geometry, index)
    return np.stack(columns, axis=1)


def _geometry(points: Array, pairs: list[tuple[int, int]], skeleton: Skeleton) -> _Geometry:
    # Unit size, around the middle of the labeled points.
    labeled = points[..., 2] > 0  # (N, K)
    xy = np.where(labeled[..., None], points[..., :2], np.nan)
    with np.errstate(all="ignore"):
        low = np.fmin.reduce(xy, axis=1)
        high = np.fmax.reduce(xy, axis=1)
    size = np.nan_to_num((high - low).max(axis=1), nan=1.0)
    middle = np.nan_to_num((low + high) / 2)
    xy = np.nan_to_num((xy - middle[:, None]) / np.maximum(size, 1e-6)[:, None, None])

    # The pairs and central points that say most.
    pairs = _most_useful_pairs(pairs, xy, labeled)
    singles = [i for i, side in enumerate(skeleton.sides) if side == "center"]
    singles = sorted(singles, key=lambda i: -labeled[:, i].sum())[:MAX_CENTERS]
    left = np.array([i for i, _ in pairs])
    right = np.array([j for _, j in pairs])
    both_labeled = labeled[:, left] & labeled[:, right]
    centers = np.concatenate([(xy[:, left] + xy[:, right]) / 2, xy[:, singles]], axis=1)
    centers_labeled = np.concatenate([both_labeled, labeled[:, singles]], axis=1)
    center_line: Array | float = 0.0
    if singles:
        center_line = xy[:, singles[0], 0] * labeled[:, singles[0]]
    return _Geometry(xy, points[..., 2], pairs, both_labeled, centers, centers_labeled, center_line)


def _pair_features(geometry: _Geometry, index: int) -> list[Array]:
    """Columns ``(N,)`` of one pair."""
    left, right = geometry.pairs[index]
    xy = geometry.xy
    both_labeled = geometry.both_labeled[:, index]
    span = xy[:, right] - xy[:, left]  # from the left to the right point, (N, 2)

    # Triangles with every other center. The sign counts more than the size: people seen from the
    # side have small triangles.
    arms = geometry.centers - xy[:, left][:, None]
    areas = span[:, 0, None] * arms[..., 1] - span[:, 1, None] * arms[..., 0]
    areas = np.where(both_labeled[:, None] & geometry.centers_labeled, areas, 0)
    areas = np.sign(areas) * np.sqrt(np.abs(areas))
    others = [c for c in range(areas.shape[1]) if c != index]
    columns = [areas[:, c] for c in others]

    # Their mean, alone and depending on which centers are labeled.
    mean_area = areas[:, others].mean(axis=1) if others else np.zeros(len(areas))
    columns.append(mean_area)
    columns += [mean_area * flag for flag in geometry.centers_labeled.T.astype(float) - 0.5]

    # One of a pair alone, the other hidden: on which side of the middle it is seen.
    left_labeled = geometry.visibility[:, left] > 0
    right_labeled = geometry.visibility[:, right] > 0
    alone = right_labeled.astype(float) - left_labeled
    x = np.where(left_labeled, xy[:, left, 0], xy[:, right, 0])
    columns.append(alone * (x - geometry.center_line))

    # Which of the two is further right, and which is less hidden.
    columns.append(np.where(both_labeled, span[:, 0], 0))
    less_hidden = geometry.visibility[:, right] - geometry.visibility[:, left]
    columns.append(np.where(both_labeled, less_hidden, 0) * mean_area)
    return columns


def _most_useful_pairs(
    pairs: list[tuple[int, int]], xy: Array, labeled: NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """The pairs that are labeled most often and lie farthest apart, at most ``MAX_PAIRS``."""
    if len(pairs) <= MAX_PAIRS:
        return pairs

    # Frequent and far apart: the sum of the distances over all instances.
    total_distances = []
    for i, j in pairs:
        both = labeled[:, i] & labeled[:, j]
        distances = np.linalg.norm(xy[both, i] - xy[both, j], axis=1)
        total_distances.append(float(distances.sum()))
    best = np.argsort(total_distances)[::-1][:MAX_PAIRS]
    return [pairs[i] for i in sorted(best)]
