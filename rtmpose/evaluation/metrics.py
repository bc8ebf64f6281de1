"""Keypoint metrics on pairs of predicted and true points: PCK, AUC, EPE, NME."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtmpose.types import FloatArray

Mask = NDArray[np.bool_]


def normalized_distances(predicted: FloatArray, true: FloatArray, norm: FloatArray) -> FloatArray:
    """Distances ``(N, K)`` after dividing x and y of ``(N, K, 2)`` by ``norm`` ``(N, 2)``."""
    return np.asarray(np.linalg.norm((predicted - true) / norm[:, None, :], axis=2))


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
    counted = mask & np.all(norm > 0, axis=1, keepdims=True)
    right = (
        normalized_distances(predicted, true, np.where(norm > 0, norm, 1)) < threshold
    ) & counted
    number = counted.sum(axis=0)
    accuracy = np.where(number > 0, right.sum(axis=0) / np.maximum(number, 1), -1.0)
    valid = accuracy >= 0
    return accuracy, float(accuracy[valid].mean()) if valid.any() else 0.0, int(valid.sum())


def auc(
    predicted: FloatArray, true: FloatArray, mask: Mask, norm: float = 30.0, steps: int = 20
) -> float:
    """Area under the PCK curve: the mean PCK at ``steps`` thresholds 0, 1/steps, ... of ``norm``
    pixels.
    """
    sizes = np.full((len(predicted), 2), norm, np.float32)
    return sum(pck(predicted, true, mask, i / steps, sizes)[1] for i in range(steps)) / steps


def epe(predicted: FloatArray, true: FloatArray, mask: Mask) -> float:
    """End point error: mean distance in pixels over the labeled points."""
    distances = np.linalg.norm(predicted - true, axis=2)[mask]
    return float(distances.mean()) if len(distances) else 0.0


def nme(predicted: FloatArray, true: FloatArray, mask: Mask, norm: FloatArray) -> float:
    """Normalized mean error: mean distance over the labeled points in units of ``norm`` ``(N, 2)``.

    An instance with a norm of 0 does not count.
    """
    counted = mask & np.all(norm > 0, axis=1, keepdims=True)
    distances = normalized_distances(predicted, true, np.where(norm > 0, norm, 1))[counted]
    return float(distances.mean()) if len(distances) else 0.0


def pckh(
    predicted: FloatArray, true: FloatArray, mask: Mask, threshold: float, sizes: FloatArray
) -> float:
    """PCKh (Andriluka et al., 2014): share of the labeled points no farther than ``threshold`` head
    sizes.

    All points of all people are one pool, unlike in :func:`pck`, which is the mean over the
    keypoints.

    Args:
        predicted: ``(N, K, 2)``, the keypoints that count: MPII leaves out pelvis and thorax.
        true: ``(N, K, 2)``.
        mask: ``(N, K)``, the labeled points.
        threshold: In units of ``sizes``.
        sizes: ``(N, 2)`` head sizes; people with 0 do not count.
    """
    counted = mask & np.all(sizes > 0, axis=1, keepdims=True)
    right = normalized_distances(predicted, true, np.where(sizes > 0, sizes, 1)) <= threshold
    return float(right[counted].mean()) if counted.any() else 0.0
