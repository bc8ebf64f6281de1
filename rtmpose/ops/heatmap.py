"""UDP heat maps: a keypoint as a Gaussian bump on a small map (Huang et al., CVPR 2020).

Locations here are in crop pixels measured between pixel centers, 0 .. w - 1, as the ``udp`` crops
of :mod:`rtmpose.ops.crop` have them; those of :func:`decode_quarter_shift` are measured in whole
pixels, 0 .. w, as the plain crops have them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.model_card import ModelCard
from rtmpose.types import FloatArray, Outputs, Shapes


def encode(
    keypoints: FloatArray,
    visible: FloatArray,
    input_wh: tuple[int, int],
    heatmap_wh: tuple[int, int],
    sigma: float = 2.0,
) -> tuple[FloatArray, FloatArray]:
    """Keypoints as heat maps.

    Args:
        keypoints: ``(N, K, 2)`` in crop pixels.
        visible: ``(N, K)``; below 0.5 the map stays empty.
        input_wh: Network input size.
        heatmap_wh: Size of the maps.
        sigma: Spread in map pixels; the bump is cut at 3 sigma.

    Returns:
        Maps ``(N, K, h, w)`` float32 peaking at 1, and weights ``(N, K)``, 0 where the bump lies
        outside.
    """
    # From crop pixels to map pixels, both measured between pixel centers (UDP).
    scale = (np.array(input_wh, np.float64) - 1) / (np.array(heatmap_wh) - 1)
    centers = np.asarray(keypoints, np.float64) / scale
    middle = (centers + 0.5).astype(np.int64)  # nearest map pixel
    radius = sigma * 3
    size = np.array(heatmap_wh)

    # A bump that lies wholly outside the map is no target.
    low = middle - radius
    high = middle + radius + 1
    inside = ((low < size) & (high >= 0)).all(axis=-1)
    weights = np.where((visible >= 0.5) & ~inside, 0, visible).astype(np.float32)

    # A bump is the product of two rows; it is cut to a square around its middle.
    grids = [np.arange(s, dtype=np.float64) for s in heatmap_wh]
    rows = []
    for axis, grid in enumerate(grids):
        near = np.abs(grid - middle[..., axis, None]) <= radius
        rows.append(np.exp(-((grid - centers[..., axis, None]) ** 2) / (2 * sigma**2)) * near)
    # (N, K, h, w)
    maps = rows[1][..., :, None] * rows[0][..., None, :] * (weights >= 0.5)[..., None, None]
    return maps.astype(np.float32), weights


def decode(
    heatmaps: FloatArray, input_wh: tuple[int, int], blur_kernel: int = 11
) -> tuple[FloatArray, FloatArray]:
    """Locations and confidences from heat maps, refined to fractions of a map pixel (DARK, Zhang et
    al., CVPR 2020).

    Args:
        heatmaps: ``(N, K, h, w)``.
        input_wh: Network input size.
        blur_kernel: Odd size of the smoothing before the refinement: 11 for sigma 2, 17 for sigma
            3.

    Returns:
        Keypoints ``(N, K, 2)`` float32 in crop pixels and scores ``(N, K)`` float32: the peaks.
    """
    n, k, h, w = heatmaps.shape
    x, y, scores = _peaks(heatmaps)

    # The peak, refined, from map pixels to crop pixels: between pixel centers.
    peaks = np.stack([x, y], axis=1).astype(np.float64)
    peaks[scores <= 0] = -1
    refined = _refine(heatmaps.reshape(n * k, h, w), peaks, blur_kernel)
    refined *= (np.array(input_wh, np.float64) - 1) / np.array([w - 1, h - 1])
    return refined.reshape(n, k, 2).astype(np.float32), scores.reshape(n, k).astype(np.float32)


def decode_quarter_shift(
    heatmaps: FloatArray, input_wh: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Locations and confidences from heat maps whose labels are plain Gaussians (MSRA).

    Args:
        heatmaps: ``(N, K, h, w)``.
        input_wh: Network input size.

    Returns:
        Keypoints ``(N, K, 2)`` float32 in crop pixels and scores ``(N, K)`` float32: the peaks.
    """
    n, k, h, w = heatmaps.shape
    x, y, scores = _peaks(heatmaps)
    places = np.stack([x, y], axis=1).astype(np.float32)

    # A quarter of a map pixel toward the higher neighbor, where there are neighbors.
    maps = heatmaps.reshape(n * k, h, w)
    rows = np.flatnonzero((x > 1) & (x < w - 1) & (y > 1) & (y < h - 1))

    # A plain gradient sign, as in the published evaluation; the step does not depend on its size.
    x = x[rows]
    y = y[rows]
    places[rows, 0] += 0.25 * np.sign(maps[rows, y, x + 1] - maps[rows, y, x - 1])
    places[rows, 1] += 0.25 * np.sign(maps[rows, y + 1, x] - maps[rows, y - 1, x])
    places[scores <= 0] = -1

    # Plain crops are measured in whole pixels, so the factor has no "- 1" (see decode).
    places[:, 0] *= input_wh[0] / w
    places[:, 1] *= input_wh[1] / h
    return places.reshape(n, k, 2), scores.reshape(n, k).astype(np.float32)


def flip_back(
    heatmaps: FloatArray, flip_indices: Sequence[int], *, shift: bool = False
) -> FloatArray:
    """The maps ``(N, K, h, w)`` of a mirrored crop as maps of the crop itself.

    Args:
        heatmaps: Network output for the mirrored crop.
        flip_indices: See :class:`rtmpose.types.Skeleton`.
        shift: Move by one pixel to the right, for maps that are not aligned at pixel centers (not
            for UDP).
    """
    # A mirrored crop: reverse x, then exchange left and right keypoints.
    flipped = heatmaps[:, list(flip_indices), :, ::-1].copy()
    if shift:
        # Without the shift mirrored maps are one map pixel off, because strides align at edges.
        flipped[..., 1:] = flipped[..., :-1].copy()
    return flipped


def _peaks(
    heatmaps: FloatArray,
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """Column, row and value of the highest value of each map, ``(N * K,)`` each."""
    n, k, h, w = heatmaps.shape
    flat = heatmaps.reshape(n * k, h * w)
    best = flat.argmax(axis=1)
    return best % w, best // w, flat[np.arange(n * k), best]


def _refine(maps: FloatArray, peaks: NDArray[np.float64], kernel: int) -> NDArray[np.float64]:
    """One Newton step on the logarithm of the blurred maps."""
    blurred = np.empty_like(maps)
    border = (kernel - 1) // 2

    # Blurring takes the noise out of the derivatives; the maps keep their height.
    for i, plane in enumerate(maps):
        padded = cv2.copyMakeBorder(
            plane, border, border, border, border, cv2.BORDER_CONSTANT, value=0
        )
        smooth = cv2.GaussianBlur(padded, (kernel, kernel), 0)[border:-border, border:-border]
        highest = smooth.max()
        blurred[i] = smooth * (plane.max() / highest if highest > 0 else 1)

    # First and second derivatives of the logarithm at the peaks.
    logs = np.pad(
        np.log(np.clip(blurred, 1e-3, 50.0)), ((0, 0), (2, 2), (2, 2)), mode="edge"
    ).astype(np.float64)
    rows = np.arange(len(maps))
    x, y = (peaks.astype(np.int64) + 2).T

    def at(dx: int, dy: int) -> NDArray[np.float64]:
        return logs[rows, y + dy, x + dx]

    # The mixed derivative uses the published one-sided stencil, not the four corners.
    dx = 0.5 * (at(1, 0) - at(-1, 0))
    dy = 0.5 * (at(0, 1) - at(0, -1))
    dxx = at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    dyy = at(0, 1) - 2 * at(0, 0) + at(0, -1)
    dxy = 0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1))

    # The step to the maximum of the parabola; the small diagonal keeps flat maps solvable.
    hessian = np.stack([np.stack([dxx, dxy], -1), np.stack([dxy, dyy], -1)], -2)
    hessian = hessian + np.finfo(np.float32).eps * np.eye(2)
    step = np.linalg.solve(hessian, np.stack([dx, dy], -1)[..., None])[..., 0]
    return np.asarray(peaks - step)


# ---- for the table of decoders: the same with a network's outputs and its card


def decode_outputs(outputs: Outputs, card: ModelCard) -> tuple[FloatArray, FloatArray]:
    """Keypoints ``(N, K, 2)`` in crop pixels and scores ``(N, K)``; see :func:`decode`."""
    # The smoothing before the refinement belongs to the spread of the labels.
    sigma = card.codec.sigma[0] if card.codec.sigma else 2.0
    return decode(np.asarray(outputs[0], np.float32), card.input_wh, 17 if sigma >= 3 else 11)


def decode_plain_outputs(outputs: Outputs, card: ModelCard) -> tuple[FloatArray, FloatArray]:
    """The same for labels without UDP; see :func:`decode_quarter_shift`."""
    return decode_quarter_shift(np.asarray(outputs[0], np.float32), card.input_wh)


def flip_outputs_back(outputs: Outputs, flip_indices: Sequence[int]) -> Sequence[FloatArray]:
    """Outputs of mirrored crops as those of the crops; see :func:`flip_back`."""
    return (flip_back(np.asarray(outputs[0], np.float32), flip_indices),)


def flip_plain_outputs_back(outputs: Outputs, flip_indices: Sequence[int]) -> Sequence[FloatArray]:
    """The same for labels without UDP, whose maps are not aligned at pixel centers."""
    return (flip_back(np.asarray(outputs[0], np.float32), flip_indices, shift=True),)


def expected_outputs(shapes: Shapes, card: ModelCard) -> str:
    """What the outputs should be, in words; empty if they are."""
    right = len(shapes) == 1 and len(shapes[0]) == 4
    return "" if right else "one heat map (N, K, h, w)"
