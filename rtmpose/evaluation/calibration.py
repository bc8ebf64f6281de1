"""The map from raw keypoint scores to the probability that a keypoint is correct, and how good it
is.

A keypoint is *correct* when its object keypoint similarity (OKS) with the human label is at least
0.5: when it lies nearer than ``2.355 sigma sqrt(area)``, 6 % of the square root of the person's
area for a nose, 20 % for a knee. Keypoints without a label are left out, so the probability answers
"is the joint here?" and not "can it be seen?".
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

CORRECT_OKS = 0.5
ECE_BINS = 15
MIN_OF_EACH = 10
"""Least number of correct, and of wrong, keypoints to fit to."""
MAX_SLOPE = 100.0
"""Limit of the slope, reached where scores separate correct from wrong without error."""
PRIOR_WEIGHT = 1.0
"""Weight of the squared distance of a keypoint's slope and offset from those of all keypoints."""
MAX_NEWTON_STEPS = 100
MIN_STEP_SCALE = 1e-6
TOLERANCE = 1e-10
NO_PRIOR = 1e-9
"""Weight of the prior without one: keeps the linear systems solvable."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class KeypointScores:
    """Labeled keypoints, one per row.

    Attributes:
        scores: ``(M,)`` raw scores.
        correct: ``(M,)``.
        keypoints: ``(M,)`` index of the keypoint.
        images: ``(M,)`` image ids.
    """

    scores: FloatArray
    correct: Flags
    keypoints: NDArray[np.int64]
    images: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: Flags) -> KeypointScores:
        return KeypointScores(
            self.scores[rows], self.correct[rows], self.keypoints[rows], self.images[rows]
        )


@dataclass(frozen=True)
class CalibrationReport:
    """A calibration and its test.

    Attributes:
        calibration: Fitted on everything; its ``ece`` is that of the cross-validation.
        ece_raw: Expected calibration error of the scores taken as probabilities (cut at 1).
        ece_fitted: Of the calibration, on the points it was fitted to.
        ece_cross_validated: Of two calibrations, each fitted to the images of one half, on those of
            the other.
        ece_per_keypoint: Of the calibration, keypoint by keypoint, mean weighted by the number of
            points.
        points: Number of labeled keypoints.
        images: Number of images they are in.
        fraction_correct: Of the labeled keypoints.
    """

    calibration: Calibration
    ece_raw: float
    ece_fitted: float
    ece_cross_validated: float
    ece_per_keypoint: float
    points: int
    images: int
    fraction_correct: float

    def to_dict(self) -> Mapping[str, float]:
        """The figures, for JSON."""
        return {k: v for k, v in vars(self).items() if k != "calibration"}


def keypoint_scores(
    matched: MatchedPoses, sigmas: Sequence[float], threshold: float = CORRECT_OKS
) -> KeypointScores:
    """Scores of labeled keypoints, and whether they are correct.

    Args:
        matched: From :func:`rtmpose.evaluation.evaluate` with annotated boxes.
        sigmas: Of the keypoints.
        threshold: Similarity from which a keypoint is correct.

    Raises:
        InputError: there are not as many sigmas as keypoints.
    """
    n, k = matched.scores.shape
    if len(sigmas) != k:
        raise InputError(f"{k} keypoints need as many sigmas, not {len(sigmas)}")

    # Similarity of each keypoint, as in COCO's OKS; areas are square pixels, (N, 1).
    area = np.array([a["area"] for a in matched.annotations], np.float64).reshape(-1, 1)
    offset = (matched.predicted - matched.true[..., :2]).astype(np.float64)
    squared_distance = (offset**2).sum(axis=2)  # (N, K)
    variance = (2 * np.asarray(sigmas)) ** 2
    similarity = np.exp(-squared_distance / variance / (area + np.spacing(1)) / 2)  # (N, K) in 0..1

    # One row per labeled keypoint.
    labeled = matched.mask
    images = np.repeat(np.array(matched.image_ids, np.int64)[:, None], k, axis=1)
    keypoints = np.repeat(np.arange(k)[None], n, axis=0)
    return KeypointScores(
        matched.scores[labeled],
        (similarity >= threshold)[labeled],
        keypoints[labeled],
        images[labeled],
    )


# ---- the fit


def fit_logistic(
    scores: FloatArray, correct: Flags, prior: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Slope and offset of the logistic of greatest likelihood (Platt, 1999), by Newton's method.

    Targets are softened as Platt proposes, so that there is always an answer.

    Args:
        scores: ``(M,)``.
        correct: ``(M,)``.
        prior: Slope and offset to stay near where points are few (:data:`PRIOR_WEIGHT`).

    Raises:
        InputError: all points are correct, or none is, or there are too few to tell.
    """
    # Both kinds of keypoints are needed to tell where the border between them lies.
    right = int(correct.sum())
    wrong = int((~correct).sum())
    if prior is None and min(right, wrong) < MIN_OF_EACH:
        raise InputError(
            f"calibration needs at least {MIN_OF_EACH} correct and {MIN_OF_EACH} wrong keypoints,"
            f" and found {right} and {wrong}: take more images, or harder ones"
        )

    # Likelihood of the softened targets, and the squared distance from the prior.
    # The columns of x are multiplied by slope and offset, (M, 2).
    x = np.stack([scores.astype(np.float64), np.ones(len(scores))], axis=1)
    target = np.where(correct, (right + 1) / (right + 2), 1 / (wrong + 2))
    center = np.array(prior if prior is not None else (0.0, 0.0))
    prior_weight = np.eye(2) * (PRIOR_WEIGHT if prior is not None else NO_PRIOR)

    def loss(weights: NDArray[np.float64]) -> float:
        logits = x @ weights
        from_center = weights - center
        penalty = 0.5 * from_center @ prior_weight @ from_center
        return float(np.logaddexp(0, logits).sum() - target @ logits + penalty)

    # Newton's method: two unknowns, a convex loss.
    weights = center.copy()
    best = loss(weights)
    for _ in range(MAX_NEWTON_STEPS):
        probability = 0.5 * (1 + np.tanh(x @ weights / 2))  # the logistic, by tanh: no overflow
        gradient = x.T @ (probability - target) + prior_weight @ (weights - center)

        # The weight of each point in the second derivative.
        curvature = (probability * (1 - probability))[:, None]
        hessian = x.T @ (x * curvature) + prior_weight + NO_PRIOR * np.eye(2)
        step = np.linalg.solve(hessian, gradient)

        # Halve the step until it improves the fit.
        scale = 1.0
        while loss(weights - scale * step) > best and scale > MIN_STEP_SCALE:
            scale /= 2
        weights = weights - scale * step
        now = loss(weights)
        if best - now < TOLERANCE * max(1.0, best):  # nothing left to gain
            break
        best = now
    return float(np.clip(weights[0], -MAX_SLOPE, MAX_SLOPE)), float(weights[1])


def fit_calibration(points: KeypointScores, keypoints: int = 0, data: str = "") -> Calibration:
    """One calibration of all keypoints, or one of each.

    Args:
        points: Labeled keypoints.
        keypoints: Number of keypoints of the model for a slope and offset of each, shrunk toward
            those of all where labels are few; 0 for one pair of numbers.
        data: What the points are from.

    Raises:
        InputError: there are too few points.
    """
    # One calibration for all, which is also the prior of each keypoint's.
    overall = fit_logistic(points.scores, points.correct)
    if not keypoints:
        return Calibration((overall[0],), (overall[1],), CORRECT_OKS, data)
    # Keypoints without a label take the calibration of all.
    slopes: list[float] = []
    offsets: list[float] = []
    for k in range(keypoints):
        slope, offset = overall
        rows = points.keypoints == k
        if rows.any():
            slope, offset = fit_logistic(points.scores[rows], points.correct[rows], overall)
        slopes.append(slope)
        offsets.append(offset)
    return Calibration(tuple(slopes), tuple(offsets), CORRECT_OKS, data)


# ---- its test


def ece(probabilities: FloatArray, correct: Flags, bins: int = ECE_BINS) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over bins of equal
    width, by their size.

    Args:
        probabilities: ``(M,)`` in 0..1.
        correct: ``(M,)``.
        bins: Number of bins.
    """
    if not len(correct):
        return 0.0
    # Difference of confidence and accuracy, summed by bin.
    bin_index = np.clip((probabilities * bins).astype(int), 0, bins - 1)
    # Per bin: sum of confidence less accuracy.
    gap = np.bincount(bin_index, probabilities.astype(np.float64) - correct, bins)
    return float(np.abs(gap).sum() / len(correct))


def probabilities_of(calibration: Calibration, points: KeypointScores) -> FloatArray:
    """``(M,)`` probabilities of labeled keypoints."""
    # One pair of numbers for all keypoints, or one of each.
    slope = np.asarray(calibration.slope)
    offset = np.asarray(calibration.offset)
    index = points.keypoints if len(slope) > 1 else np.zeros(len(points), np.int64)
    logits = slope[index] * points.scores + offset[index]
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))


def cross_validated(
    points: KeypointScores, fit: Callable[[KeypointScores], Calibration], seed: int = 0
) -> FloatArray:
    """``(M,)`` probabilities from two calibrations, each fitted to the images of the other half.

    Raises:
        InputError: all keypoints are in one image.
    """
    # Keypoints of one image are alike: it must not be in both halves.
    images = np.unique(points.images)
    if len(images) < 2:
        raise InputError("cross-validation needs keypoints in two images or more")
    first_half = np.random.default_rng(seed).permutation(images)[: len(images) // 2]
    in_first = np.isin(points.images, first_half)
    probabilities = np.zeros(len(points), np.float64)

    # Fitted on one half, applied to the other, both ways round.
    for fitted_on in (in_first, ~in_first):
        calibration = fit(points[fitted_on])
        probabilities[~fitted_on] = probabilities_of(calibration, points[~fitted_on])
    return np.asarray(probabilities)


def calibrate(
    points: KeypointScores, *, keypoints: int = 0, data: str = "", seed: int = 0
) -> CalibrationReport:
    """Fit and test.

    Args:
        points: From :func:`keypoint_scores`.
        keypoints: As in :func:`fit_calibration`.
        data: Goes into the card.
        seed: Of the halves.

    Raises:
        InputError: there are too few points or images.
    """
    # Cross-validated first: the error that can be expected on other images.
    halves = cross_validated(points, lambda half: fit_calibration(half, keypoints), seed)
    ece_cross_validated = ece(halves, points.correct)

    # The calibration that is kept is fitted on everything.
    fitted = fit_calibration(points, keypoints, data)
    probabilities = probabilities_of(fitted, points)

    # How well one calibration suits each keypoint.
    weighted = 0.0
    for k in np.unique(points.keypoints):
        rows = points.keypoints == k
        weighted += ece(probabilities[rows], points.correct[rows]) * rows.sum()

    # The cross-validated error goes into the card: the honest one.
    rounded = round(ece_cross_validated, 5)
    return CalibrationReport(
        calibration=Calibration(fitted.slope, fitted.offset, CORRECT_OKS, data, rounded),
        ece_raw=ece(np.clip(points.scores, 0, 1), points.correct),
        ece_fitted=ece(probabilities, points.correct),
        ece_cross_validated=ece_cross_validated,
        ece_per_keypoint=float(weighted / len(points)),
        points=len(points),
        images=len(np.unique(points.images)),
        fraction_correct=float(points.correct.mean()),
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
        per_keypoint: A slope and offset for each keypoint; the set must label all the model's
            keypoints.
        data: Goes into the card.
        seed: Of the halves.

    Raises:
        InputError: no annotated boxes were used, the set does not label the model's keypoints, or
            too few of them.
    """
    if result.pairs is None:
        raise InputError("calibration needs an evaluation with annotated boxes")

    # Pairs of annotated people and their poses, as scores and whether they are right.
    point_map = keypoint_map(dataset, skeleton)
    sigmas = sigmas_of(dataset, skeleton, point_map) or get_skeleton("coco17").sigmas
    points = keypoint_scores(result.pairs, sigmas)
    if not per_keypoint:
        return calibrate(points, data=data, seed=seed)

    # The numbers belong to the model's keypoints, of which the set must label each.
    model_keypoints = np.array([sources[0] for _, sources in point_map])  # of each scored keypoint
    if len({sources for _, sources in point_map}) != len(skeleton):
        raise InputError(
            f"{dataset.path} labels {len(point_map)} of the model's {len(skeleton)} keypoints: one"
            " calibration for all of them can be fitted, not one for each (leave out"
            " --per-keypoint)"
        )
    points = KeypointScores(
        points.scores, points.correct, model_keypoints[points.keypoints], points.images
    )
    return calibrate(points, keypoints=len(skeleton), data=data, seed=seed)
