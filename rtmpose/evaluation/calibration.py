"""The map from raw keypoint scores to the probability that a keypoint is right, and how good it is.

A keypoint is *right* when its own object keypoint similarity with the human label is at least 0.5:
when it lies nearer than ``2.355 sigma sqrt(area)``, 6 % of the square root of the person's area for
a nose, 20 % for a knee. Keypoints without a label are left out, so the probability answers "is the
joint here?" and not "can it be seen?".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.evaluation.pose import Evaluation
from rtmpose.evaluation.protocols import MatchedPoses
from rtmpose.evaluation.scoring import keypoint_map, sigmas_of
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Calibration, FloatArray, Skeleton

RIGHT_OKS = 0.5
BINS = 15
STEEPEST = 100.0
"""Limit of the slope, reached where scores separate right from wrong without error."""
PULL = 1.0
"""Weight of the squared distance of a keypoint's own slope and offset from those of all keypoints."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class JointScores:
    """Labeled keypoints, one per row.

    Attributes:
        scores: ``(M,)`` raw scores.
        right: ``(M,)``.
        keypoints: ``(M,)`` index of the keypoint.
        images: ``(M,)`` image ids.
    """

    scores: FloatArray
    right: Flags
    keypoints: NDArray[np.int64]
    images: NDArray[np.int64]

    def __getitem__(self, rows: Flags) -> JointScores:
        return JointScores(
            self.scores[rows], self.right[rows], self.keypoints[rows], self.images[rows]
        )


@dataclass(frozen=True)
class CalibrationReport:
    """A calibration and its test.

    Attributes:
        calibration: Fitted on everything; its ``ece`` is that of the cross-validation.
        ece_raw: Expected calibration error of the scores taken as probabilities (cut at 1).
        ece_fitted: Of the calibration, on the points it was fitted to.
        ece_crossed: Of the two calibrations each fitted to the photos of one half, on those of the
            other.
        ece_keypoints: Of the calibration, keypoint by keypoint, mean weighted by the number of
            points.
        points: Labeled keypoints.
        photos: They are in.
        share_right: Of them.
    """

    calibration: Calibration
    ece_raw: float
    ece_fitted: float
    ece_crossed: float
    ece_keypoints: float
    points: int
    photos: int
    share_right: float

    def to_dict(self) -> Mapping[str, float]:
        """The figures, for JSON."""
        return {k: v for k, v in vars(self).items() if k != "calibration"}


def joint_scores(
    pairs: MatchedPoses, sigmas: Sequence[float], threshold: float = RIGHT_OKS
) -> JointScores:
    """Scores of labeled keypoints, and whether they are right.

    Args:
        pairs: From :func:`rtmpose.evaluation.evaluate` with annotated boxes.
        sigmas: Of the keypoints.
        threshold: Similarity from which a keypoint is right.

    Raises:
        InputError: there are not as many sigmas as keypoints.
    """
    n, k = pairs.scores.shape
    if len(sigmas) != k:
        raise InputError(f"{k} keypoints need as many sigmas, not {len(sigmas)}")
    area = np.array([a["area"] for a in pairs.annotations], np.float64).reshape(-1, 1)
    distance = ((pairs.predicted - pairs.true[..., :2]).astype(np.float64) ** 2).sum(axis=2)
    similarity = np.exp(-distance / (2 * np.asarray(sigmas)) ** 2 / (area + np.spacing(1)) / 2)
    mask = pairs.mask
    images = np.repeat(np.array(pairs.image_ids, np.int64)[:, None], k, axis=1)
    numbers = np.repeat(np.arange(k)[None], n, axis=0)
    return JointScores(
        pairs.scores[mask], (similarity >= threshold)[mask], numbers[mask], images[mask]
    )


def fit_logistic(
    scores: FloatArray, right: Flags, toward: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Slope and offset of the logistic of greatest likelihood (Platt, 1999), by Newton's method.

    Targets are softened as Platt proposes, so that there is always an answer.

    Args:
        scores: ``(M,)``.
        right: ``(M,)``.
        toward: Slope and offset to lean on where points are few (:data:`PULL`).

    Raises:
        InputError: all points are right, or none is, or there are too few to tell.
    """
    yes, no = int(right.sum()), int((~right).sum())
    if toward is None and (yes < 10 or no < 10):
        raise InputError(
            f"calibration needs at least 10 right and 10 wrong keypoints, and found {yes} and {no}:"
            " take more photos, or harder ones"
        )
    x = np.stack([scores.astype(np.float64), np.ones(len(scores))], axis=1)
    target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    center = np.array(toward if toward is not None else (0.0, 0.0))
    pull = np.eye(2) * (PULL if toward is not None else 1e-9)
    w = center.copy()

    def loss(v: NDArray[np.float64]) -> float:
        z = x @ v
        return float(
            np.logaddexp(0, z).sum() - target @ z + 0.5 * (v - center) @ pull @ (v - center)
        )

    best = loss(w)
    for _ in range(100):
        p = 0.5 * (1 + np.tanh(x @ w / 2))
        gradient = x.T @ (p - target) + pull @ (w - center)
        step = np.linalg.solve(
            x.T @ (x * (p * (1 - p))[:, None]) + pull + 1e-9 * np.eye(2), gradient
        )
        scale = 1.0
        while loss(w - scale * step) > best and scale > 1e-6:
            scale /= 2
        w = w - scale * step
        now = loss(w)
        if best - now < 1e-10 * max(1.0, best):
            break
        best = now
    return float(np.clip(w[0], -STEEPEST, STEEPEST)), float(w[1])


def fit_calibration(joints: JointScores, keypoints: int = 0, data: str = "") -> Calibration:
    """A calibration of everything, or of each keypoint.

    Args:
        joints: Labeled keypoints.
        keypoints: Number of keypoints of the model for numbers of their own, shrunk toward those of
            all where labels are few; 0 for one pair of numbers.
        data: What the points are from.

    Raises:
        InputError: there are too few points.
    """
    overall = fit_logistic(joints.scores, joints.right)
    if not keypoints:
        return Calibration((overall[0],), (overall[1],), RIGHT_OKS, data)
    own = []
    for k in range(keypoints):
        rows = joints.keypoints == k
        own.append(
            fit_logistic(joints.scores[rows], joints.right[rows], overall)
            if rows.any()
            else overall
        )
    return Calibration(tuple(a for a, _ in own), tuple(b for _, b in own), RIGHT_OKS, data)


def ece(probabilities: FloatArray, right: Flags, bins: int = BINS) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over bins of equal
    width, by their size.

    Args:
        probabilities: ``(M,)`` in 0..1.
        right: ``(M,)``.
        bins: Number of bins.
    """
    if not len(right):
        return 0.0
    place = np.clip((probabilities * bins).astype(int), 0, bins - 1)
    gap = np.bincount(place, probabilities.astype(np.float64) - right, bins)
    return float(np.abs(gap).sum() / len(right))


def probabilities_of(calibration: Calibration, joints: JointScores) -> FloatArray:
    """``(M,)`` probabilities of labeled keypoints."""
    slope, offset = np.asarray(calibration.slope), np.asarray(calibration.offset)
    at = joints.keypoints if len(slope) > 1 else np.zeros(len(joints.scores), np.int64)
    return np.asarray(0.5 * (1 + np.tanh((slope[at] * joints.scores + offset[at]) / 2)))


def cross_validated(
    joints: JointScores, fit: Callable[[JointScores], Calibration], seed: int = 0
) -> FloatArray:
    """``(M,)`` probabilities from two calibrations, each fitted to the photos of the other half."""
    photos = np.unique(joints.images)
    if len(photos) < 2:
        raise InputError("cross-validation needs keypoints in two photos or more")
    chosen = np.random.default_rng(seed).permutation(photos)[: len(photos) // 2]
    first = np.isin(joints.images, chosen)
    out = np.zeros(len(joints.scores), np.float64)
    for half in (first, ~first):
        out[~half] = probabilities_of(fit(joints[half]), joints[~half])
    return np.asarray(out)


def calibrate(
    joints: JointScores, *, keypoints: int = 0, data: str = "", seed: int = 0
) -> CalibrationReport:
    """Fit and test.

    Args:
        joints: From :func:`joint_scores`.
        keypoints: As in :func:`fit_calibration`.
        data: Goes into the card.
        seed: Of the halves.

    Raises:
        InputError: there are too few points or photos.
    """
    crossed = ece(
        cross_validated(joints, lambda part: fit_calibration(part, keypoints), seed), joints.right
    )
    fitted = fit_calibration(joints, keypoints, data)
    values = probabilities_of(fitted, joints)
    each = [joints.keypoints == k for k in np.unique(joints.keypoints)]
    by_keypoint = sum(ece(values[rows], joints.right[rows]) * rows.sum() for rows in each) / len(
        values
    )
    return CalibrationReport(
        Calibration(fitted.slope, fitted.offset, RIGHT_OKS, data, round(crossed, 5)),
        ece(np.clip(joints.scores, 0, 1), joints.right),
        ece(values, joints.right),
        crossed,
        float(by_keypoint),
        len(joints.right),
        len(np.unique(joints.images)),
        float(joints.right.mean()),
    )


def calibrate_model(
    dataset: KeypointDataset,
    skeleton: Skeleton,
    result: Evaluation,
    *,
    per_keypoint: bool = False,
    data: str = "",
    seed: int = 0,
) -> CalibrationReport:
    """Fit and test on what :func:`rtmpose.evaluation.evaluate` found with annotated boxes.

    Args:
        dataset: The set that was evaluated.
        skeleton: The model's keypoints.
        result: Of the evaluation.
        per_keypoint: Numbers of its own for each keypoint; the set must label all the model's
            keypoints.
        data: Goes into the card.
        seed: Of the halves.

    Raises:
        InputError: no annotated boxes were used, the set does not label the model's keypoints, or
            too few of them.
    """
    if result.pairs is None:
        raise InputError("calibration needs an evaluation with annotated boxes")
    points = keypoint_map(dataset, skeleton)
    sigmas = sigmas_of(dataset, skeleton, points)
    joints = joint_scores(result.pairs, get_skeleton("coco17").sigmas if sigmas is None else sigmas)
    if not per_keypoint:
        return calibrate(joints, data=data, seed=seed)
    sources = np.array([s[0] for _, s in points])
    if len({s for _, s in points}) != len(skeleton):
        raise InputError(
            f"{dataset.path} labels {len(points)} of the model's {len(skeleton)} keypoints: one"
            " calibration for all of them can be fitted, not one for each (leave out"
            " --per-keypoint)"
        )
    joints = JointScores(joints.scores, joints.right, sources[joints.keypoints], joints.images)
    return calibrate(joints, keypoints=len(skeleton), data=data, seed=seed)
