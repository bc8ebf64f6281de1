"""Augmentation of one person's crop: where it is cut (one affine map) and how its pixels change.

Every function draws from the generator it is given and from nothing else, so a sample of a seed is
always the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.ops.crop import box_to_center_scale, crop_matrices
from rtmpose.types import FloatArray, Skeleton

LOWER_BODY = ("hip", "knee", "ankle", "toe", "heel", "foot")


@dataclass(frozen=True)
class Augmentation:
    """How crops are varied. The defaults are those of the published recipe's first stage (RTMPose,
    section 3.4).

    Attributes:
        flip: Probability of mirroring.
        half_body: Probability that only the upper or the lower body is cut out, where enough points
            are labeled.
        scale: Smallest and largest factor on the crop's size.
        rotate: Largest turn in degrees.
        rotate_prob: Probability of a turn.
        shift: Largest shift, as a share of the crop's size.
        shift_prob: Probability of a shift.
        color: ``hsv`` (hue, saturation and value moved by up to 5, 30, 30), ``photometric``
            (brightness, contrast, saturation, hue and channel order) or ``none``.
        blur: Probability of a box blur, and again of a median blur, of 3 to 7 pixels.
        dropout: Probability of a black rectangle of 0.2 to 0.4 of each side.
    """

    flip: float = 0.5
    half_body: float = 0.3
    scale: tuple[float, float] = (0.6, 1.4)
    rotate: float = 80.0
    rotate_prob: float = 0.6
    shift: float = 0.16
    shift_prob: float = 0.3
    color: str = "hsv"
    blur: float = 0.1
    dropout: float = 1.0


NO_AUGMENTATION = Augmentation(
    flip=0,
    half_body=0,
    scale=(1, 1),
    rotate=0,
    rotate_prob=0,
    shift=0,
    shift_prob=0,
    color="none",
    blur=0,
    dropout=0,
)


@dataclass(frozen=True)
class Halves:
    """Which keypoints belong to the upper and to the lower body."""

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]

    @classmethod
    def of(cls, skeleton: Skeleton) -> Halves:
        """By the names: hips, knees and what is below them are the lower body."""
        low = np.array([any(word in name for word in LOWER_BODY) for name in skeleton.keypoints])
        return cls(np.flatnonzero(~low), np.flatnonzero(low))


def place(
    rng: np.random.Generator,
    augmentation: Augmentation,
    box: FloatArray,
    points: FloatArray,
    input_wh: tuple[int, int],
    halves: Halves,
    *,
    udp: bool = False,
) -> tuple[NDArray[np.float64], bool]:
    """The affine map of one crop.

    Args:
        rng: Source of chance.
        augmentation: How far it may go.
        box: ``(4,)`` xyxy in image pixels.
        points: ``(K, 3)`` x, y, weight in image pixels, for the half-body crops.
        input_wh: Crop size.
        halves: See :class:`Halves`.
        udp: See :func:`rtmpose.ops.crop.crop_matrices`.

    Returns:
        The map ``(2, 3)`` from image to crop pixels, and whether it mirrors.
    """
    a = augmentation
    # One draw each, whether it is used or not: turning one kind off leaves the others as they were.
    chances = rng.random(6)
    center, scale = box_to_center_scale(box[None], input_wh)
    half = _half_body(chances[1], chances[2], points, halves) if chances[0] < a.half_body else None
    if half is not None:
        center, size = half[None, :2], half[None, 2:]
        aspect = input_wh[0] / input_wh[1]
        w, h = size[0]
        scale = np.array([[w, w / aspect] if w > h * aspect else [h * aspect, h]], np.float32)
    normal = _truncated_normal(rng, 4)
    low, high = a.scale
    if chances[3] < a.shift_prob:
        center = center + normal[:2] * a.shift * scale[0]
    scale = scale * ((high + low) / 2 + normal[2] * (high - low) / 2)
    rotation = normal[3] * a.rotate if chances[4] < a.rotate_prob else 0.0
    matrix = crop_matrices(center, scale, input_wh, float(rotation), udp=udp)[0]
    flipped = bool(chances[5] < a.flip)
    if flipped:
        # The box's center stays where it is: at w / 2, or between the pixel centers for the
        # unbiased map.
        matrix = np.array([-matrix[0], matrix[1]])
        matrix[0, 2] += input_wh[0] - 1 if udp else input_wh[0]
    return matrix, flipped


def transform(
    points: FloatArray, matrix: NDArray[np.float64], flipped: bool, flip_indices: NDArray[np.int64]
) -> FloatArray:
    """Points ``(K, 3)`` x, y, weight under the map of :func:`place`; left and right change names
    when mirrored.
    """
    out = points.astype(np.float32, copy=True)
    out[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return out[flip_indices] if flipped else out


def recolor(rng: np.random.Generator, augmentation: Augmentation, crop: NDArray[np.uint8]) -> None:
    """Color, blur and dropout, in place on BGR ``(h, w, 3)``."""
    a = augmentation
    if a.color == "hsv":
        _hsv(rng, crop)
    elif a.color == "photometric":
        _photometric(rng, crop)
    chances = rng.random(2)
    kernels = rng.integers(1, 4, 2) * 2 + 1
    if chances[0] < a.blur:
        crop[...] = cv2.blur(crop, (int(kernels[0]), int(kernels[0])))
    if chances[1] < a.blur:
        crop[...] = cv2.medianBlur(crop, int(kernels[1]))
    chance, high, wide, top, left = rng.random(5)
    if chance < a.dropout:
        height, width = crop.shape[:2]
        h, w = int((0.2 + 0.2 * high) * height), int((0.2 + 0.2 * wide) * width)
        y, x = int(top * (height - h + 1)), int(left * (width - w + 1))
        crop[y : y + h, x : x + w] = 0


def _half_body(
    chance: float, other: float, points: FloatArray, halves: Halves
) -> FloatArray | None:
    """Center and padded size ``(4,)`` of the chosen half's labeled points; None where too few are
    labeled.
    """
    labeled = points[:, 2] > 0
    upper, lower = halves.upper[labeled[halves.upper]], halves.lower[labeled[halves.lower]]
    enough_upper, enough_lower = len(upper) >= 2, len(lower) >= 3
    if labeled.sum() < 9 or not (enough_upper or enough_lower):
        return None
    if enough_upper and enough_lower:
        chosen = upper if chance < 0.7 else lower
    else:
        chosen = upper if enough_upper else lower
    low, high = points[chosen, :2].min(axis=0), points[chosen, :2].max(axis=0)
    size = (high - low) * 1.5
    if size.max() < 2:
        return None
    return np.concatenate([(low + high) / 2, np.maximum(size, 1)]).astype(np.float32)


def _truncated_normal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Standard normal numbers between -1 and 1."""
    edge = math.erf(1 / math.sqrt(2))
    return np.array([_inverse_erf(u) for u in (2 * rng.random(n) - 1) * edge]) * math.sqrt(2)


def _inverse_erf(y: float) -> float:
    """By Newton's method from the series' first terms; exact to 1e-12 for the |y| < 0.69 needed
    here.
    """
    x = math.sqrt(math.pi) / 2 * (y + math.pi / 12 * y**3 + 7 * math.pi**2 / 480 * y**5)
    for _ in range(3):
        x -= (math.erf(x) - y) * math.sqrt(math.pi) / 2 * math.exp(x * x)
    return x


def _hsv(rng: np.random.Generator, crop: NDArray[np.uint8]) -> None:
    gains = (rng.uniform(-1, 1, 3) * (5, 30, 30) * rng.integers(0, 2, 3)).astype(np.int16)
    if not gains.any():
        return
    values = np.arange(256, dtype=np.int16)
    table = np.stack(
        [(values + gains[0]) % 180, *(np.clip(values + g, 0, 255) for g in gains[1:])], axis=-1
    )
    hsv = cv2.cvtColor(crop, cv2.COLOR_BGR2HSV)
    cv2.LUT(hsv, table[None].astype(np.uint8), dst=hsv)
    cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=crop)


def _photometric(rng: np.random.Generator, crop: NDArray[np.uint8]) -> None:
    """Brightness, contrast (before or after the colors), saturation, hue, channel order; each every
    other time.
    """
    use = rng.random(6) < 0.5
    values = np.arange(256, dtype=np.float64)
    brightness, contrast, saturation = (
        rng.uniform(-32, 32),
        rng.uniform(0.5, 1.5),
        rng.uniform(0.5, 1.5),
    )
    hue, order = rng.uniform(-18, 18), rng.permutation(3)
    light = values + brightness if use[0] else values
    early, late = use[1] and use[2], use[1] and not use[2]
    light = np.clip(light * contrast if early else light, 0, 255).astype(np.uint8)
    crop[...] = cv2.LUT(crop, light)
    if use[3] or use[4]:
        table = np.stack(
            [
                (values + (hue if use[4] else 0)) % 180,
                np.clip(values * (saturation if use[3] else 1), 0, 255),
                values,
            ],
            axis=-1,
        )
        hsv = cv2.LUT(cv2.cvtColor(crop, cv2.COLOR_BGR2HSV), table[None].astype(np.uint8))
        cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=crop)
    if late:
        crop[...] = cv2.LUT(crop, np.clip(values * contrast, 0, 255).astype(np.uint8))
    if use[5]:
        crop[...] = crop[..., order]
