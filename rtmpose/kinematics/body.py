"""Points of the body over time, under one name for all keypoint sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtmpose.kinematics.definitions import BODY_POINTS, MIDPOINTS
from rtmpose.types import Skeleton

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Body:
    """One person over F frames.

    Attributes:
        points: Name of :data:`BODY_POINTS` to ``(F, 2)`` float64 x, y in image pixels, y down;
            NaN where unknown. Points that a keypoint set lacks are left out.
        length: F.
        derived: Names of points that the keypoint set lacks, so that others stand for them.
    """

    points: dict[str, Points]
    length: int
    derived: frozenset[str] = frozenset()

    def at(self, name: str) -> Points:
        """``(F, 2)`` of a point; NaN where unknown."""
        point = self.points.get(name)
        return np.full((self.length, 2), np.nan) if point is None else point


def used_keypoints(skeleton: Skeleton) -> dict[str, int]:
    """Points of the body that a keypoint set has, to their index in it."""
    index = {name: i for i, name in enumerate(skeleton.keypoints)}
    used: dict[str, int] = {}
    for point, names in BODY_POINTS.items():
        found = [index[name] for name in names if name in index]
        if found:
            used[point] = found[0]
    return used


def make_body(names: list[str], values: Points) -> Body:
    """A body of ``(F, N, 2)`` points; neck, middle of the hips and head are added where they are
    not seen: between left and right, or where one of them is hidden, at the other.
    """
    points = {name: values[:, i] for i, name in enumerate(names)}
    for name, pair in MIDPOINTS.items():
        both = [f"{side}_{pair}" for side in ("left", "right")]
        sides = [points[key] for key in both if key in points]
        if not sides:
            continue
        middle = mean_of_known(np.stack(sides))
        own = points.get(name)
        points[name] = middle if own is None else np.where(np.isfinite(own), own, middle)
    return Body(points, len(values), frozenset(set(points) - set(names)))


def mean_of_known(values: Points) -> Points:
    """Mean over the first axis of what is not NaN; NaN where all is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
