"""Augmentation of one person's crop: where it is cut (one affine map) and how its pixels change.

Every function draws from the generator it is given and from nothing else, so a sample of a seed is
always the same. The order of the draws is part of that: it must not change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.ops.crop import box_to_center_scale, crop_matrices
from rtmpose.ranges import FRACTION, Range, check_fields, check_order
from rtmpose.types import FloatArray, Skeleton

LOWER_BODY = ("hip", "knee", "ankle", "toe", "heel", "foot")


@dataclass(frozen=True)
class Augmentation:
    """How crops are augmented. The defaults are those of the published recipe's first stage
    (RTMPose, section 3.4).

    Attributes:
        flip: Probability of mirroring.
        half_body: Probability that only the upper or the lower body is cut out, where enough points
            are labeled.
        scale: Smallest and largest factor on the crop's size.
        rotate: Largest rotation in degrees.
        rotate_prob: Probability of a rotation.
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
    color: Literal["hsv", "photometric", "none"] = "hsv"
    blur: float = 0.1
    dropout: float = 1.0

    def __post_init__(self) -> None:
        chances = ("flip", "half_body", "rotate_prob", "shift_prob", "blur", "dropout")
        check_fields(
            self,
            "augment",
            scale=Range(0.01, 100),
            rotate=Range(0, 360),
            shift=Range(0, 10),
            **dict.fromkeys(chances, FRACTION),
        )
        check_order(self, "scale", "augment")


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
class BodyHalves:
    """Which keypoints belong to the upper and to the lower body."""

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]

    @classmethod
    def of(cls, skeleton: Skeleton) -> BodyHalves:
        """By the names: hips, knees and what is below them are the lower body."""
        low = np.array([any(word in name for word in LOWER_BODY) for name in skeleton.keypoints])
        return cls(np.flatnonzero(~low), np.flatnonzero(low))


def crop_transform(
    rng: np.random.Generator,
    augmentation: Augmentation,
    box: FloatArray,
    points: FloatArray,
    input_wh: tuple[int, int],
    halves: BodyHalves,
    *,
    udp: bool = False,
) -> tuple[NDArray[np.float64], bool]:
    """The affine map of one crop.

    Args:
        rng: Random generator.
        augmentation: Ranges and probabilities.
        box: ``(4,)`` xyxy in image pixels.
        points: ``(K, 3)`` x, y, weight in image pixels, for the half-body crops.
        input_wh: Crop size.
        halves: See :class:`BodyHalves`.
        udp: See :func:`rtmpose.ops.crop.crop_matrices`.

    Returns:
        The map ``(2, 3)`` from image to crop pixels, and whether it mirrors.
    """
    # One draw each, whether it is used or not: turning one kind off leaves the others as they were.
    chances = rng.random(6)

    # The box, or only the upper or lower half of the body in it.
    center, scale = box_to_center_scale(box[None], input_wh)
    half = None
    if chances[0] < augmentation.half_body:
        half = _half_body(chances[1], chances[2], points, halves)
    if half is not None:
        center = half[None, :2]
        width, height = half[2:]
        aspect = input_wh[0] / input_wh[1]
        if width > height * aspect:
            scale = np.array([[width, width / aspect]], np.float32)
        else:
            scale = np.array([[height * aspect, height]], np.float32)

    # Shift, scale and rotation.
    normal = _truncated_normal(rng, 4)
    if chances[3] < augmentation.shift_prob:
        center = center + normal[:2] * augmentation.shift * scale[0]
    low, high = augmentation.scale
    scale = scale * ((high + low) / 2 + normal[2] * (high - low) / 2)
    rotation = normal[3] * augmentation.rotate if chances[4] < augmentation.rotate_prob else 0.0
    matrix = crop_matrices(center, scale, input_wh, float(rotation), udp=udp)[0]

    # The box's center stays where it is: at w / 2, or between the pixel centers for the unbiased
    # map.
    flipped = bool(chances[5] < augmentation.flip)
    if flipped:
        matrix = np.array([-matrix[0], matrix[1]])
        matrix[0, 2] += input_wh[0] - 1 if udp else input_wh[0]
    return matrix, flipped


def transform_points(
    points: FloatArray, matrix: NDArray[np.float64], flipped: bool, flip_indices: NDArray[np.int64]
) -> FloatArray:
    """Points ``(K, 3)`` x, y, weight under the map of :func:`crop_transform`; left and right are
    exchanged when mirrored.
    """
    out = points.astype(np.float32, copy=True)
    out[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]  # (K, 2) = A p + t
    return out[flip_indices] if flipped else out


@dataclass(frozen=True)
class PixelDraws:
    """What was drawn for the pixels of one crop, besides its colors.

    Attributes:
        box_kernel: Side of the box blur in pixels; 0 for none.
        median_kernel: Likewise of the median blur, which follows.
        rectangle: Top, left, height and width of the black rectangle; None for none.
    """

    box_kernel: int
    median_kernel: int
    rectangle: tuple[int, int, int, int] | None


def draw_pixels(
    rng: np.random.Generator, augmentation: Augmentation, wh: tuple[int, int]
) -> PixelDraws:
    """Draw blur and dropout for a crop of that size."""
    # Box blur, then median blur.
    chances = rng.random(2)
    kernels = rng.integers(1, 4, 2) * 2 + 1
    box, median = (
        int(k) if c < augmentation.blur else 0 for k, c in zip(kernels, chances, strict=True)
    )

    # One black rectangle.
    chance, tall, wide, top, left = rng.random(5)
    rectangle = None
    if chance < augmentation.dropout:
        width, height = wh
        h = int((0.2 + 0.2 * tall) * height)
        w = int((0.2 + 0.2 * wide) * width)
        rectangle = (int(top * (height - h + 1)), int(left * (width - w + 1)), h, w)
    return PixelDraws(box, median, rectangle)


def change_pixels(
    rng: np.random.Generator, augmentation: Augmentation, crop: NDArray[np.uint8]
) -> None:
    """Color, blur and dropout, in place on BGR ``(h, w, 3)``."""
    if augmentation.color == "hsv":
        _shift_hsv(draw_hsv(rng), crop)
    elif augmentation.color == "photometric":
        _photometric_distortion(rng, crop)

    draws = draw_pixels(rng, augmentation, (crop.shape[1], crop.shape[0]))
    if draws.box_kernel:
        crop[...] = cv2.blur(crop, (draws.box_kernel, draws.box_kernel))
    if draws.median_kernel:
        crop[...] = cv2.medianBlur(crop, draws.median_kernel)
    if draws.rectangle:
        y, x, h, w = draws.rectangle
        crop[y : y + h, x : x + w] = 0


def _half_body(
    chance: float, other: float, points: FloatArray, halves: BodyHalves
) -> FloatArray | None:
    """Center and padded size ``(4,)`` of the chosen half's labeled points; None where too few are
    labeled.
    """
    labeled = points[:, 2] > 0
    upper = halves.upper[labeled[halves.upper]]
    lower = halves.lower[labeled[halves.lower]]
    enough_upper = len(upper) >= 2
    enough_lower = len(lower) >= 3
    if labeled.sum() < 9 or not (enough_upper or enough_lower):
        return None

    # The upper half more often, where there is a choice.
    if enough_upper and enough_lower:
        chosen = upper if chance < 0.7 else lower
    else:
        chosen = upper if enough_upper else lower

    # The box of the chosen points, padded by a quarter of its size on each side.
    low = points[chosen, :2].min(axis=0)
    high = points[chosen, :2].max(axis=0)
    size = (high - low) * 1.5
    if size.max() < 2:  # pixels: the points are all in one place
        return None
    return np.concatenate([(low + high) / 2, np.maximum(size, 1)]).astype(np.float32)


def _truncated_normal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Standard normal numbers between -1 and 1."""
    # By the inverse of the distribution function, from uniform numbers.
    edge = math.erf(1 / math.sqrt(2))
    uniform = (2 * rng.random(n) - 1) * edge
    return np.array([_inverse_erf(u) for u in uniform]) * math.sqrt(2)


def _inverse_erf(y: float) -> float:
    """By Newton's method from the series' first terms; exact to 1e-12 for the |y| < 0.69 needed
    here.
    """
    # Three terms of the Maclaurin series of the inverse.
    x = math.sqrt(math.pi) / 2 * (y + math.pi / 12 * y**3 + 7 * math.pi**2 / 480 * y**5)
    for _ in range(3):
        # The step is f / f', with f = erf(x) - y.
        x -= (math.erf(x) - y) * math.sqrt(math.pi) / 2 * math.exp(x * x)
    return x


def draw_hsv(rng: np.random.Generator) -> NDArray[np.int16]:
    """Shifts ``(3,)`` of hue (of 180), saturation and value (of 255), each 0 in half of all
    crops.
    """
    # Three shifts within their ranges, each switched on by a coin.
    return (rng.uniform(-1, 1, 3) * (5, 30, 30) * rng.integers(0, 2, 3)).astype(np.int16)


def _shift_hsv(shifts: NDArray[np.int16], crop: NDArray[np.uint8]) -> None:
    """Move hue, saturation and value."""
    if not shifts.any():
        return

    # One table (256, 3) for the three channels; hue is a circle of 180 steps in OpenCV.
    values = np.arange(256, dtype=np.int16)
    hue = (values + shifts[0]) % 180
    others = [np.clip(values + shift, 0, 255) for shift in shifts[1:]]
    table = np.stack([hue, *others], axis=-1)
    hsv = cv2.cvtColor(crop, cv2.COLOR_BGR2HSV)
    cv2.LUT(hsv, table[None].astype(np.uint8), dst=hsv)
    cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=crop)


def _photometric_distortion(rng: np.random.Generator, crop: NDArray[np.uint8]) -> None:
    """Brightness, contrast (before or after the colors), saturation, hue, channel order; each in
    half of all crops.
    """
    # All draws come first, used or not, so that one change leaves the others as they were.
    use = rng.random(6) < 0.5
    brightness = rng.uniform(-32, 32)
    contrast = rng.uniform(0.5, 1.5)
    saturation = rng.uniform(0.5, 1.5)
    hue = rng.uniform(-18, 18)
    order = rng.permutation(3)
    values = np.arange(256, dtype=np.float64)

    # Brightness and early contrast in one table.
    light = values + brightness if use[0] else values
    early_contrast = use[1] and use[2]
    light = np.clip(light * contrast if early_contrast else light, 0, 255).astype(np.uint8)
    crop[...] = cv2.LUT(crop, light)

    # Saturation and hue.
    if use[3] or use[4]:
        hues = (values + (hue if use[4] else 0)) % 180
        saturations = np.clip(values * (saturation if use[3] else 1), 0, 255)
        table = np.stack([hues, saturations, values], axis=-1)
        hsv = cv2.LUT(cv2.cvtColor(crop, cv2.COLOR_BGR2HSV), table[None].astype(np.uint8))
        cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=crop)

    # Contrast after the colors, where it was not applied before them.
    late_contrast = use[1] and not use[2]
    if late_contrast:
        crop[...] = cv2.LUT(crop, np.clip(values * contrast, 0, 255).astype(np.uint8))

    # Channels in another order.
    if use[5]:
        crop[...] = crop[..., order]
