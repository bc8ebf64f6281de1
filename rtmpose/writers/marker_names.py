"""Names of markers as Pose2Sim and its OpenSim models have them."""

from __future__ import annotations

from rtmpose.types import Skeleton
from rtmpose.writers.openpose_layouts import HALPE26

SIDES = {"left": "L", "right": "R"}


def marker_names(skeleton: Skeleton) -> list[str]:
    """``left_big_toe`` becomes ``LBigToe``, for the points of a body; others keep their names."""
    return [
        marker_name(name) if name in HALPE26 else _one_word(name) for name in skeleton.keypoints
    ]


def marker_name(name: str) -> str:
    """The marker of a point of a body."""
    first, *rest = name.split("_")
    words = [SIDES.get(first, first.capitalize())]
    return "".join(words + [word.capitalize() for word in rest])


def _one_word(name: str) -> str:
    """Tabs and blanks would end the name."""
    return "_".join(name.split())
