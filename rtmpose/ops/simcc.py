"""SimCC: a keypoint as two 1-d classifications, one over x bins and one over y bins (Li et al.,
ECCV 2022).

Encode and decode are inverse to each other up to the bin width, 1 / ``split_ratio`` of an input
pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rtmpose.model_card import ModelCard
from rtmpose.types import FloatArray, Outputs, Shapes


def encode(
    keypoints: FloatArray,
    visible: FloatArray,
    input_wh: tuple[int, int],
    sigma: Sequence[float] | None = (4.9, 5.66),
    split_ratio: float = 2.0,
    *,
    normalize: bool = False,
    label_smoothing: float = 0.0,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Keypoints as target distributions over x and y bins.

    Args:
        keypoints: ``(N, K, 2)`` in input pixels.
        visible: ``(N, K)``; below 0.5 the point has no target.
        input_wh: Network input size.
        sigma: Gaussian spread in bins (x, y); None for one-hot labels.
        split_ratio: Bins per pixel.
        normalize: Whether the Gaussians sum to 1 rather than peak at 1.
        label_smoothing: For one-hot labels: the mass spread evenly over the other bins.

    Returns:
        x targets ``(N, K, W)``, y targets ``(N, K, H)`` and weights ``(N, K)``, 0 where there is no
        target.
    """
    bins = [round(size * split_ratio) for size in input_wh]
    n, k = keypoints.shape[:2]
    targets = [np.zeros((n, k, size), np.float32) for size in bins]
    weights = np.asarray(visible, np.float32).copy()

    # A point whose Gaussian, cut at 3 sigma, lies wholly outside the bins has no target.
    centers = np.around(np.asarray(keypoints, np.float64) * split_ratio).astype(np.int64)  # bins
    reach = np.zeros(2) if sigma is None else np.asarray(sigma, np.float64) * 3
    inside = np.ones((n, k), bool)
    for axis in range(2):
        low = centers[..., axis] - reach[axis]
        high = centers[..., axis] + reach[axis] + (sigma is not None)
        inside &= (low < bins[axis]) & (high >= 0)

    # Points that are labeled but outside the crop must not train the network toward an edge.
    weights[(weights >= 0.5) & ~inside] = 0

    # One row of bins per axis for each point that has a target.
    drawn = (weights >= 0.5) & inside
    for axis, target in enumerate(targets):
        middle = centers[..., axis][drawn][:, None]  # (points, 1)
        if sigma is None:
            one_hot = np.arange(bins[axis]) == middle
            target[drawn] = np.where(
                one_hot, 1 - label_smoothing, label_smoothing / (bins[axis] - 1)
            )
            continue

        # A Gaussian over the bins, or a normal density where the labels should sum to 1.
        spread = float(sigma[axis])
        values = np.exp(
            -((np.arange(bins[axis], dtype=np.float64) - middle) ** 2) / (2 * spread**2)
        )
        target[drawn] = values / (spread * np.sqrt(np.pi * 2)) if normalize else values
    return targets[0], targets[1], weights


def decode(
    simcc_x: FloatArray,
    simcc_y: FloatArray,
    split_ratio: float = 2.0,
    dark_sigma: Sequence[float] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Locations and confidences from the two classifications.

    Args:
        simcc_x: ``(N, K, W)`` network output, not normalized.
        simcc_y: ``(N, K, H)``.
        split_ratio: Bins per pixel.
        dark_sigma: Refine to fractions of a bin by DARK (Zhang et al., CVPR 2020), for labels of
            that spread (x, y).

    Returns:
        Keypoints ``(N, K, 2)`` float32 in input pixels and scores ``(N, K)`` float32: the smaller
        of the two maxima. Where the score is not positive there is no keypoint, and its location is
        -1 bin.
    """
    # The highest bin of each axis, and its value.
    best = (simcc_x.argmax(axis=2), simcc_y.argmax(axis=2))
    peaks = [
        np.take_along_axis(simcc, index[..., None], axis=2)[..., 0]
        for simcc, index in zip((simcc_x, simcc_y), best, strict=True)
    ]
    scores = np.minimum(*peaks).astype(np.float32)

    # The place of the peaks, in bins, then in pixels.
    locations = np.stack(best, axis=-1).astype(np.float32)  # (N, K, 2)
    locations[scores <= 0] = -1
    if dark_sigma is not None:
        # Each axis on its own: SimCC has no cross terms.
        for axis, simcc in enumerate((simcc_x, simcc_y)):
            locations[..., axis] = _refine(locations[..., axis], simcc, dark_sigma[axis])
    return locations / np.float32(split_ratio), scores


def flip_back(
    simcc_x: FloatArray, simcc_y: FloatArray, flip_indices: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """The outputs of a mirrored crop as outputs of the crop itself: x reversed, left and right
    points exchanged.

    Args:
        simcc_x: ``(N, K, W)``.
        simcc_y: ``(N, K, H)``.
        flip_indices: See :class:`rtmpose.types.Skeleton`.
    """
    # Only the x axis changes direction; y keeps its order.
    indices = list(flip_indices)
    return simcc_x[:, indices, ::-1], simcc_y[:, indices]


def _refine(location: FloatArray, simcc: FloatArray, sigma: float) -> FloatArray:
    """One Newton step on the logarithm of the blurred classification."""
    # The published size of the blur for labels of this spread; it has to be odd.
    kernel = int((sigma * 20 - 7) // 3)
    kernel -= int(kernel % 2 == 0)
    n, k, size = simcc.shape

    # Blurring takes the noise out of the derivatives; the peaks keep their height.
    border = (kernel - 1) // 2
    rows = np.zeros((n * k, size + 2 * border), np.float32)
    rows[:, border : border + size] = simcc.reshape(-1, size)
    blurred = np.stack([cv2.GaussianBlur(row[None], (kernel, 1), 0)[0] for row in rows])
    blurred = blurred[:, border : border + size].reshape(n, k, size)
    highest = blurred.max(axis=2, keepdims=True)
    blurred = blurred * (simcc.max(axis=2, keepdims=True) / np.where(highest == 0, 1, highest))

    # Derivatives of the logarithm, which is a parabola for a Gaussian.
    padded = np.pad(np.log(np.clip(blurred, 1e-3, 50.0)), ((0, 0), (0, 0), (2, 2)), mode="edge")
    index = location.astype(np.int64) + 2  # two columns of padding
    left2, left, middle, right, right2 = (
        np.take_along_axis(padded, (index + d)[..., None], axis=2)[..., 0]
        for d in (-2, -1, 0, 1, 2)
    )

    # Central differences over the neighbors; the tiny constant keeps flat rows finite.
    slope = 0.5 * (right - left)
    curvature = 1e-9 + 0.25 * (right2 - 2 * middle + left2)
    return (location - slope / curvature).astype(np.float32)


# ---- for the table of decoders: the same with a network's outputs and its card


def decode_outputs(outputs: Outputs, card: ModelCard) -> tuple[FloatArray, FloatArray]:
    """Keypoints ``(N, K, 2)`` in crop pixels and scores ``(N, K)``; see :func:`decode`."""
    x, y = (np.asarray(o, np.float32) for o in outputs)
    return decode(x, y, card.codec.split_ratio)


def flip_outputs_back(outputs: Outputs, flip_indices: Sequence[int]) -> Sequence[FloatArray]:
    """Outputs of mirrored crops as those of the crops; see :func:`flip_back`."""
    x, y = (np.asarray(o, np.float32) for o in outputs)
    return flip_back(x, y, flip_indices)


def expected_outputs(shapes: Shapes, card: ModelCard) -> str:
    """What the outputs should be, in words; empty if they are."""
    bins = [round(side * card.codec.split_ratio) for side in card.input_wh]
    right = len(shapes) == 2 and all(len(s) == 3 for s in shapes)
    if right and [s[2] for s in shapes] == bins:
        return ""
    return f"SimCC vectors (N, K, {bins[0]}) and (N, K, {bins[1]})"
