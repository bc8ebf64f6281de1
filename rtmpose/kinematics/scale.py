"""From pixels to meters: a known height or length, and the line of the floor."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rtmpose.errors import InputError
from rtmpose.kinematics.body import Body, Points
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

FEET = ("left_toe", "right_toe", "left_heel", "right_heel")
ANKLES = ("left_ankle", "right_ankle")
REST_LEGS_PER_S = 0.25
"""A foot that moves slower, in lengths of the shank, is at rest."""
MIN_REST = 5
"""Places of feet at rest that a floor is drawn through."""
STEEPEST = 30.0
"""Degrees of a floor that is found in the movement."""

# Shares of the height of a standing person, after Drillis and Contini (1966).
ANKLE_SHARE = 0.039
NOSE_SHARE = 0.925
EAR_SHARE = 0.936


@dataclass(frozen=True)
class FloorLine:
    """A straight floor in the image.

    Attributes:
        x: Column of a point on it, in pixels.
        y: Row of that point, in pixels from the top.
        angle: Radians by which it rises to the right, seen with y up.
    """

    x: float
    y: float
    angle: float = 0.0

    @classmethod
    def through(cls, values: Sequence[float]) -> FloorLine:
        """The line through two points ``x1, y1, x2, y2`` in pixels.

        Raises:
            InputError: the points are the same, or not finite.
        """
        if len(values) != 4 or not all(math.isfinite(v) for v in values):
            raise InputError("a floor line is four numbers: x1, y1, x2, y2 in pixels")
        first, second = sorted([tuple(values[:2]), tuple(values[2:])])
        if first[0] == second[0]:
            raise InputError("a floor line goes from left to right: its two x must differ")
        angle = math.atan2(first[1] - second[1], second[0] - first[0])
        return cls(first[0], first[1], angle)

    def row_at(self, x: float) -> float:
        """Row of the floor at a column."""
        return self.y - math.tan(self.angle) * (x - self.x)


@dataclass(frozen=True)
class Scale:
    """How pixels become meters.

    Attributes:
        meters_per_pixel: Length of a pixel in the plane of the person.
        floor: Where height 0 is.
        origin: What the scale was measured on, in words.
    """

    meters_per_pixel: float
    floor: FloorLine
    origin: str = ""

    def to_meters(self, points: Points) -> Points:
        """``(..., 2)`` meters, x along the floor from its foot of image column 0, y up from it."""
        start = np.array([0.0, self.floor.row_at(0.0)])
        offset = (points - start) * (1.0, -1.0)
        cos, sin = math.cos(self.floor.angle), math.sin(self.floor.angle)
        along = offset[..., 0] * cos + offset[..., 1] * sin
        above = offset[..., 1] * cos - offset[..., 0] * sin
        return np.stack([along, above], axis=-1) * self.meters_per_pixel


def height_in_pixels(body: Body) -> float:
    """Height of a standing person: the sum of the lengths of shank, thigh, trunk and head, by
    their share of the height. Each length is the upper quartile over time, as segments look
    shorter when they lean to the camera.

    Raises:
        InputError: a part of the body is never seen.
    """
    shank = _longest(_length(body, f"{s}_knee", f"{s}_ankle") for s in ("left", "right"))
    thigh = _longest(_length(body, f"{s}_hip", f"{s}_knee") for s in ("left", "right"))
    trunk = _length(body, "hip", "neck")
    # Where no crown is seen, the ears or the nose are at a known share of the height.
    top, crown = 1.0, "head"
    if "head" in body.derived:
        top = EAR_SHARE
    elif "head" not in body.points:
        top, crown = NOSE_SHARE, "nose"
    head = _length(body, "neck", crown)
    height = (shank + thigh + trunk + head) / (top - ANKLE_SHARE)
    if not math.isfinite(height):
        raise InputError(
            "the height in pixels needs a leg, the trunk and the head, and one of them is never"
            " seen; give a known --length instead"
        )
    return height


def length_in_pixels(points: Points, skeleton: Skeleton, first: str, second: str) -> float:
    """Median distance of two keypoints of ``(F, K, 2)`` points.

    Raises:
        InputError: there is no such keypoint, or the two are never seen together.
    """
    for name in (first, second):
        if name not in skeleton.keypoints:
            known = ", ".join(skeleton.keypoints[:26])
            raise InputError(f"{skeleton.name} has no keypoint {name!r}; there are {known}")
    pair = [skeleton.keypoints.index(name) for name in (first, second)]
    offset = points[:, pair[0]] - points[:, pair[1]]
    lengths = np.hypot(offset[:, 0], offset[:, 1])
    lengths = lengths[np.isfinite(lengths)]
    if not len(lengths) or not np.median(lengths) > 0:
        raise InputError(f"{first} and {second} are never seen together")
    return float(np.median(lengths))


def floor_from_feet(body: Body, times: Points) -> FloorLine | None:
    """A line through the places where feet are at rest; None where there are too few.

    Where they all lie close to each other it is horizontal.
    """
    names = [name for name in FEET if name in body.points] or list(ANKLES)
    leg = _longest(_length(body, f"{s}_knee", f"{s}_ankle") for s in ("left", "right"))
    if len(times) < 2 or not math.isfinite(leg) or leg <= 0:
        return None
    places: list[Points] = []
    for name in names:
        point = body.at(name)
        velocity = np.gradient(point, times, axis=0)
        slow = np.hypot(velocity[:, 0], velocity[:, 1]) < REST_LEGS_PER_S * leg
        places.append(point[slow & np.isfinite(point[:, 0])])
    rest = np.concatenate(places)
    if len(rest) < MIN_REST:
        return None

    # A foot that rests in the air lies above the others.
    low = rest[rest[:, 1] > np.quantile(rest[:, 1], 0.9) - leg / 2]
    middle = np.median(low, axis=0)
    if np.ptp(low[:, 0]) < 2 * leg:
        return FloorLine(float(middle[0]), float(middle[1]))
    slope = float(np.polyfit(low[:, 0], low[:, 1], 1)[0])
    angle = math.atan(-slope)
    if abs(math.degrees(angle)) > STEEPEST:
        log.warning("the feet at rest lie on no floor: a horizontal one is taken")
        angle = 0.0
    return FloorLine(float(middle[0]), float(middle[1]), angle)


def _length(body: Body, first: str, second: str) -> float:
    offset = body.at(first) - body.at(second)
    lengths = np.hypot(offset[:, 0], offset[:, 1])
    known = lengths[np.isfinite(lengths)]
    return float(np.quantile(known, 0.75)) if len(known) else math.nan


def _longest(lengths: Iterable[float]) -> float:
    known = [v for v in lengths if math.isfinite(v)]
    return max(known, default=math.nan)
