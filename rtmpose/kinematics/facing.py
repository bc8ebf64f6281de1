"""Which way a person faces: angles are measured as if everybody faced right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtmpose.kinematics.body import Body, Points, mean_of_known
from rtmpose.kinematics.smoothing import moving_sum

log = logging.getLogger(__name__)

WINDOW_S = 0.5
"""Time over which the evidence is summed, so that one bad frame turns nobody around."""
FRONTAL = 0.15
"""Median evidence below which somebody looks into the camera or away from it: the feet of a person
seen from the side have a third to a half of it.
"""
FACINGS = ("auto", "right", "left")


@dataclass(frozen=True, eq=False)
class Facing:
    """Which way somebody faces.

    Attributes:
        signs: ``(F,)`` 1 to the right, -1 to the left, as if the person stood upright.
        rule: What told it: ``feet``, ``face``, ``knees``, or ``given``; empty where nothing did.
        frontal: The evidence is weak: the camera sees the person from the front or from behind.
    """

    signs: NDArray[np.int64]
    rule: str
    frontal: bool = False


def facing_of(body: Body, rate: float, given: str = "auto") -> Facing:
    """Which way somebody faces in each frame.

    The toes lie in front of the shank whatever the pose, upside down too. Without feet the nose
    lies in front of the ears, seen along the trunk; without a face knees bend backward.

    Args:
        body: y down.
        rate: Frames per second.
        given: ``auto``, or ``right`` or ``left`` for all frames.
    """
    if given != "auto":
        sign = 1 if given == "right" else -1
        return Facing(np.full(body.length, sign, np.int64), "given")
    half = max(round(WINDOW_S * rate / 2), 0)
    for rule, evidence in RULES.items():
        values = evidence(body)
        if not np.isfinite(values).any():
            continue
        sums = moving_sum(values, min(half, body.length))
        if not sums.any():
            continue
        weak = rule == "feet" and float(np.nanmedian(np.abs(values))) < FRONTAL
        return Facing(_spread(np.sign(sums).astype(np.int64)), rule, weak)
    return Facing(np.ones(body.length, np.int64), "")


def _spread(signs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Frames without evidence take the sign of the nearest that has some."""
    known = np.flatnonzero(signs)
    middles = (known[1:] + known[:-1]) / 2
    return signs[known[np.searchsorted(middles, np.arange(len(signs)))]]


def _feet(body: Body) -> Points:
    """Positive where the toes lie on the right of a shank that points down."""
    both: list[Points] = []
    for side in ("left", "right"):
        shank = body.at(f"{side}_ankle") - body.at(f"{side}_knee")
        toe, heel = body.at(f"{side}_toe"), body.at(f"{side}_heel")
        foot = toe - np.where(np.isfinite(heel), heel, body.at(f"{side}_ankle"))
        both.append(_turn(shank, foot))
    return mean_of_known(np.stack(both))


def _face(body: Body) -> Points:
    trunk = body.at("neck") - body.at("hip")
    ears = mean_of_known(np.stack([body.at("left_ear"), body.at("right_ear")]))
    return -_turn(trunk, body.at("nose") - ears)


def _knees(body: Body) -> Points:
    both: list[Points] = []
    for side in ("left", "right"):
        thigh = body.at(f"{side}_knee") - body.at(f"{side}_hip")
        shank = body.at(f"{side}_ankle") - body.at(f"{side}_knee")
        both.append(-_turn(thigh, shank))
    return mean_of_known(np.stack(both))


def _turn(first: Points, second: Points) -> Points:
    """``(F,)`` how far the second vector lies to the left of the first, seen with y up, as a share
    of the first's length.
    """
    cross = first[:, 1] * second[:, 0] - first[:, 0] * second[:, 1]
    square = (first**2).sum(axis=1)
    return np.where(square > 0, cross / np.where(square > 0, square, 1.0), np.nan)


RULES: dict[str, Callable[[Body], Points]] = {"feet": _feet, "face": _face, "knees": _knees}
