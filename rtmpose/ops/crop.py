"""Cut people out of a frame for a top-down network, and map keypoints back.

A box becomes a center and a scale (its size with some padding, grown to the network's aspect);
center and scale define one affine map from image to crop. Everything is float: no rounding to whole
pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.types import FloatArray, Image

# ---- from boxes to affine maps


PADDING = 1.25
MAX_OVERSAMPLING = 8
"""Upper limit of the factor by which a crop is cut larger, to be averaged."""
FOUR_CHANNELS_PAY = 12
"""Image pixels per crop pixel up to which adding a fourth channel to the image saves time."""


def box_to_center_scale(
    boxes: FloatArray, input_wh: tuple[int, int], padding: float = PADDING
) -> tuple[FloatArray, FloatArray]:
    """Boxes as center and padded size at the network's aspect ratio.

    Args:
        boxes: ``(N, 4)`` xyxy in image pixels.
        input_wh: Network input size.
        padding: Factor by which the box grows.

    Returns:
        Centers ``(N, 2)`` and scales ``(N, 2)`` (width, height of the cropped region), both float32
        in image pixels.
    """
    # The padding grows the box around its center, which therefore stays where it is.
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    center = (boxes[:, :2] + boxes[:, 2:]) * np.float32(0.5)
    w, h = ((boxes[:, 2:] - boxes[:, :2]) * np.float32(padding)).T

    # The shorter side grows until the box has the network's aspect ratio.
    aspect = input_wh[0] / input_wh[1]
    wide = w > h * aspect
    scale = np.stack([np.where(wide, w, h * aspect), np.where(wide, w / aspect, h)], axis=1)
    return center, scale.astype(np.float32)


def crop_matrices(
    center: FloatArray,
    scale: FloatArray,
    input_wh: tuple[int, int],
    rotation: float = 0.0,
    *,
    udp: bool = False,
) -> NDArray[np.float64]:
    """Affine maps ``(N, 2, 3)`` from image pixels to crop pixels.

    Args:
        center: ``(N, 2)``.
        scale: ``(N, 2)``; only the width counts unless ``udp``, whose two axes scale apart.
        input_wh: Network input size.
        rotation: Degrees by which the cropped region is turned.
        udp: The unbiased variant (Huang et al., CVPR 2020): sizes are measured between pixel
            centers.
    """
    width, height = input_wh
    if not udp and rotation == 0:
        return _upright_maps(center, scale, input_wh)

    # The rotation is about the center of the box.
    theta = np.deg2rad(rotation)
    sin = np.sin(theta)
    cos = np.cos(theta)
    if not udp:
        # Three corresponding points, in float32 as the networks were trained: their rounding is
        # part of the map.
        middle = np.array([[width, height]]) * 0.5
        left = np.array([[width * -0.5, 0.0]])
        target = _three_points(middle, left)
        source = _three_points(center, np.array([cos, sin]) * np.asarray(scale)[:, :1] * -0.5)

        # Homogeneous coordinates of the three points, (N, 3, 3); solved in float64.
        corners = np.concatenate([source, np.ones_like(source[..., :1])], axis=2).astype(np.float64)

        # A box without extent has no map: its crop is one pixel all over.
        nothing = np.linalg.det(corners) == 0
        corners[nothing] = np.eye(3)

        # Solve source @ map.T = target for all boxes at once.
        maps = np.linalg.solve(
            corners, np.broadcast_to(target, source.shape).astype(np.float64)
        ).transpose(0, 2, 1)
        maps[nothing] = 0
        return maps

    # Unbiased: both axes scale by themselves, from pixel center to pixel center.
    x, y = np.asarray(center, np.float64).T
    w, h = np.asarray(scale, np.float64).T
    sx = (width - 1) / w
    sy = (height - 1) / h

    # Rotate about (x, y), scale, and move the center to the middle of the crop.
    rows = [
        [cos * sx, -sin * sx, sx * (-x * cos + y * sin + 0.5 * w)],
        [sin * sy, cos * sy, sy * (-x * sin - y * cos + 0.5 * h)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)  # (N, 2, 3)


def _upright_maps(
    center: FloatArray, scale: FloatArray, input_wh: tuple[int, int]
) -> NDArray[np.float64]:
    """The maps without rotation: the same three points, solved by hand. A solver's last bit depends
    on the processor, and over many frames of a followed person it would grow.
    """
    width, height = input_wh
    source = _three_points(center, np.array([1.0, 0.0]) * np.asarray(scale)[:, :1] * -0.5)
    first, second, third = source.astype(np.float64).transpose(1, 0, 2)  # each (N, 2)
    span = np.stack([first[:, 0] - second[:, 0], third[:, 1] - second[:, 1]], axis=1)

    # A box without extent has no map: its crop is one pixel all over.
    nothing = (span == 0).any(axis=1)
    span[nothing] = 1
    factor = width * 0.5 / span
    maps = np.zeros((len(factor), 2, 3))
    maps[:, 0, 0] = factor[:, 0]
    maps[:, 1, 1] = factor[:, 1]
    maps[:, 0, 2] = -factor[:, 0] * second[:, 0]
    maps[:, 1, 2] = height * 0.5 - factor[:, 1] * second[:, 1]
    maps[nothing] = 0
    return maps


def _three_points(center: NDArray[np.floating], offset: NDArray[np.floating]) -> FloatArray:
    """Points, neighbors at the offsets, and the neighbors' neighbors at right angles; float32 ``(N,
    3, 2)``.
    """
    first = center.astype(np.float32)
    second = (center + offset).astype(np.float32)

    # The third point completes a right angle, which rules out shear.
    back = first - second
    return np.stack([first, second, second + np.stack([-back[:, 1], back[:, 0]], axis=1)], axis=1)


# ---- cutting crops, and the way back


def crop_people(
    image: Image,
    boxes: FloatArray,
    input_wh: tuple[int, int],
    out: NDArray[np.uint8] | None = None,
    *,
    udp: bool = False,
    antialias: bool = False,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cut every box out of the image.

    Args:
        image: BGR uint8 ``(H, W, 3)``.
        boxes: ``(N, 4)`` xyxy in image pixels; parts outside the image come out black.
        input_wh: Network input size.
        out: Reusable buffer of shape ``(>= N, h, w, 3)``.
        udp: See :func:`crop_matrices`.
        antialias: See :func:`warp`.

    Returns:
        Crops ``(N, h, w, 3)`` BGR uint8 (a view of ``out`` if given) and the maps ``(N, 2, 3)``
        that made them.
    """
    center, scale = box_to_center_scale(boxes, input_wh)
    matrices = crop_matrices(center, scale, input_wh, udp=udp)  # (N, 2, 3)

    # Without a caller's buffer the crops are newly allocated.
    n = len(matrices)
    crops = np.empty((n, input_wh[1], input_wh[0], 3), np.uint8) if out is None else out[:n]
    warp(image, matrices, crops, antialias=antialias)
    return crops, matrices


def warp(
    image: Image, matrices: NDArray[np.float64], out: NDArray[np.uint8], *, antialias: bool = False
) -> None:
    """Bilinear warps of one image; what lies outside the image is black.

    OpenCV 5 warps four channels three times as fast as three, to the same numbers. Where the crops
    are not too small a part of the image, it gets a fourth first.

    Args:
        image: BGR uint8 ``(H, W, 3)``.
        matrices: ``(N, 2, 3)``, image to crop.
        out: ``(N, h, w, 3)``, overwritten.
        antialias: Count every pixel of people who are larger than their crops. A bilinear warp
            looks at four pixels around each place and passes over the rest when it shrinks: fine
            stripes turn into coarse ones. Such a crop is first cut a whole number of times as
            large, then averaged.
    """
    height, width = out.shape[1:3]

    # A fourth channel costs a pass over the image, and saves time in every crop.
    four = len(out) * height * width * FOUR_CHANNELS_PAY > image.shape[0] * image.shape[1]
    source = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA) if four else image
    buffer = np.empty((height, width, 4), np.uint8) if four else None
    for matrix, crop in zip(matrices, out, strict=True):
        warped = crop if buffer is None else buffer

        # A person larger than the crop: cut larger, then averaged.
        times = _oversampling(matrix) if antialias else 1
        if times > 1:
            finer = matrix * times
            finer[:, 2] += (times - 1) / 2  # a pixel's middle is the middle of its parts
            large = cv2.warpAffine(
                source, finer, (width * times, height * times), flags=cv2.INTER_LINEAR
            )
            cv2.resize(large, (width, height), dst=warped, interpolation=cv2.INTER_AREA)
        else:
            cv2.warpAffine(source, matrix, (width, height), dst=warped, flags=cv2.INTER_LINEAR)
        if buffer is not None:
            cv2.cvtColor(buffer, cv2.COLOR_BGRA2BGR, dst=crop)


def _oversampling(matrix: NDArray[np.float64]) -> int:
    """Image pixels per crop pixel, along one side, as a whole number."""
    # The determinant is the factor on areas; its root the factor on lengths.
    scale = np.sqrt(abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]))
    return min(int(np.ceil(1 / scale)), MAX_OVERSAMPLING) if scale > 0 else 1


def uncrop(points: FloatArray, matrices: NDArray[np.float64]) -> FloatArray:
    """Map points from crop pixels back to image pixels: the inverse of the maps of
    :func:`crop_people`.

    Args:
        points: ``(N, K, 2)`` in crop pixels.
        matrices: ``(N, 2, 3)`` image to crop.

    Returns:
        ``(N, K, 2)`` float32 in image pixels.
    """
    if not len(points):
        return np.asarray(points, np.float32)

    # Invert the linear part only; the translation is undone first.
    inverse = np.linalg.inv(matrices[:, :, :2])
    shifted = np.asarray(points, np.float64) - matrices[:, None, :, 2]
    return np.einsum("nij,nkj->nki", inverse, shifted).astype(np.float32)  # (N, K, 2)
