"""Keypoint metrics on pairs of predicted and true points: PCK, AUC, EPE, NME."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtmpose.types import FloatArray

Mask = NDArray[np.bool_]


def normalized_distances(predicted: FloatArray, true: FloatArray, norm: FloatArray) -> FloatArray:
    """Distances ``(N, K)`` after dividing x and y of ``(N, K, 2)`` by ``norm`` ``(N, 2)``."""
    return np.asarray(np.linalg.norm((predicted - true) / norm[:, None, :], axis=2))  # (N, K)


def pck(
    predicted: FloatArray, true: FloatArray, mask: Mask, threshold: float, norm: FloatArray
) -> tuple[FloatArray, float, int]:
    """Percentage of correct keypoints (Yang & Ramanan, 2013).

    Args:
        predicted: ``(N, K, 2)``.
        true: ``(N, K, 2)``.
        mask: ``(N, K)``, the labeled points.
        threshold: A point is correct nearer than this, in units of ``norm``.
        norm: ``(N, 2)`` size of each instance, such as its box; an instance with a size of 0 does
            not count.

    Returns:
        Accuracy per keypoint ``(K,)`` (-1 where none is labeled), their mean, and the number of
        keypoints in it.
    """
    counted = _counted(mask, norm)  # (N, K)
    distances = normalized_distances(predicted, true, _without_zeros(norm))
    # First per keypoint, then their mean: rare keypoints count as much as frequent ones.
    correct = ((distances < threshold) & counted).sum(axis=0)
    total = counted.sum(axis=0)  # labeled points per keypoint, (K,)
    accuracy = np.where(total > 0, correct / np.maximum(total, 1), -1.0)
    valid = accuracy >= 0
    mean = float(accuracy[valid].mean()) if valid.any() else 0.0
    return accuracy, mean, int(valid.sum())


def auc(
    predicted: FloatArray, true: FloatArray, mask: Mask, norm: float = 30.0, steps: int = 20
) -> float:
    """Area under the PCK curve: the mean PCK at ``steps`` thresholds 0, 1/steps, ... of ``norm``
    pixels.

    Args:
        predicted: ``(N, K, 2)``.
        true: ``(N, K, 2)``.
        mask: ``(N, K)``, the labeled points.
        norm: Pixels at which the curve ends.
        steps: Number of thresholds.
    """
    norms = np.full((len(predicted), 2), norm, np.float32)  # one radius for all instances
    return sum(pck(predicted, true, mask, i / steps, norms)[1] for i in range(steps)) / steps


def epe(predicted: FloatArray, true: FloatArray, mask: Mask) -> float:
    """End point error: mean distance in pixels over the labeled points.

    Args:
        predicted: ``(N, K, 2)``.
        true: ``(N, K, 2)``.
        mask: ``(N, K)``, the labeled points.
    """
    distances = np.linalg.norm(predicted - true, axis=2)[mask]  # (labeled points,)
    return float(distances.mean()) if len(distances) else 0.0


def nme(predicted: FloatArray, true: FloatArray, mask: Mask, norm: FloatArray) -> float:
    """Normalized mean error: mean distance over the labeled points in units of ``norm``.

    Args:
        predicted: ``(N, K, 2)``.
        true: ``(N, K, 2)``.
        mask: ``(N, K)``, the labeled points.
        norm: ``(N, 2)``; an instance with a norm of 0 does not count.
    """
    counted = _counted(mask, norm)
    distances = normalized_distances(predicted, true, _without_zeros(norm))[counted]
    return float(distances.mean()) if len(distances) else 0.0


def pckh(
    predicted: FloatArray, true: FloatArray, mask: Mask, threshold: float, norm: FloatArray
) -> float:
    """PCKh (Andriluka et al., 2014): fraction of the labeled points no farther than ``threshold``
    head sizes.

    All points of all people are one pool, unlike in :func:`pck`, which is the mean over the
    keypoints.

    Args:
        predicted: ``(N, K, 2)``, the keypoints that count: MPII leaves out pelvis and thorax.
        true: ``(N, K, 2)``.
        mask: ``(N, K)``, the labeled points.
        threshold: In units of ``norm``.
        norm: ``(N, 2)`` head sizes; people with 0 do not count.
    """
    counted = _counted(mask, norm)
    correct = normalized_distances(predicted, true, _without_zeros(norm)) <= threshold
    return float(correct[counted].mean()) if counted.any() else 0.0


def _counted(mask: Mask, norm: FloatArray) -> Mask:
    """``(N, K)``: labeled points of instances with a size."""
    return mask & np.all(norm > 0, axis=1, keepdims=True)  # (N, 1) against (N, K)


def _without_zeros(norm: FloatArray) -> FloatArray:
    """Sizes that may be divided by; instances without a size do not count anyway."""
    return np.where(norm > 0, norm, 1)
