"""The orders of keypoints that readers of OpenPose's JSON expect, filled by keypoint name.

Orders as documented by OpenPose (BODY_25, COCO 18, face 70, hand 21) and Halpe Full-Body (26).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtmpose.errors import InputError
from rtmpose.types import FloatArray, Skeleton

LAYOUTS = ("auto", "body25", "coco18", "halpe26", "native", "pose2sim")
"""Names that ``--openpose-format`` takes. ``native`` is the model's own order; ``pose2sim`` has
that order too, with the folder and file names of Pose2Sim.
"""

MISSING = (0.0, 0.0, 0.0)
"""x, y and score of a keypoint that the model does not have, as OpenPose writes it."""

COCO18 = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)

BODY25 = (
    *COCO18[:8],
    "hip",
    *COCO18[8:],
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
)

HALPE26 = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "head",
    "neck",
    "hip",
    "left_big_toe",
    "right_big_toe",
    "left_small_toe",
    "right_small_toe",
    "left_heel",
    "right_heel",
)

BODIES = {"body25": BODY25, "coco18": COCO18, "halpe26": HALPE26}

MIDPOINTS = {"neck": ("left_shoulder", "right_shoulder"), "hip": ("left_hip", "right_hip")}
"""Keypoints that OpenPose has and COCO has not: midway between two others."""

BODY_NEEDS = frozenset({"left_shoulder", "right_shoulder", "left_hip", "right_hip"})
FACE_POINTS = 68
FACE_PUPILS = 2
"""OpenPose's face has two pupils after the 68 points."""

HAND_PARTS = (
    "hand_root",
    *(
        f"{finger}{joint}"
        for finger in ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
        for joint in range(1, 5)
    ),
)


@dataclass(frozen=True)
class OpenPoseLayout:
    """Which keypoints of a model go where in OpenPose's JSON.

    Attributes:
        name: One of :data:`LAYOUTS`, ``auto`` resolved.
        body: For each body point the keypoints whose mean it is; empty where the model has none.
        face: The same for the face; empty without face.
        left_hand: The same for the left hand.
        right_hand: The same for the right hand.
    """

    name: str
    body: tuple[tuple[int, ...], ...]
    face: tuple[tuple[int, ...], ...] = ()
    left_hand: tuple[tuple[int, ...], ...] = ()
    right_hand: tuple[tuple[int, ...], ...] = ()

    @property
    def pose2sim(self) -> bool:
        """Whether folders and files have Pose2Sim's names."""
        return self.name == "pose2sim"


def openpose_layout(name: str, skeleton: Skeleton) -> OpenPoseLayout:
    """The layout of that name for a keypoint set.

    ``auto`` is BODY_25 where the model has feet, COCO 18 for other bodies, and the model's own
    order for hands, faces and animals.

    Raises:
        InputError: there is no such layout, or the keypoint set lacks the body it needs.
    """
    if name not in LAYOUTS:
        raise InputError(
            f"there is no OpenPose format {name!r}; choose one of {', '.join(LAYOUTS)}"
        )
    is_body = set(skeleton.keypoints) >= BODY_NEEDS
    if name == "auto":
        with_feet = "body25" if "left_heel" in skeleton.keypoints else "coco18"
        name = with_feet if is_body else "native"
    if name in ("native", "pose2sim"):
        return OpenPoseLayout(name, tuple((k,) for k in range(len(skeleton))))
    if not is_body:
        raise InputError(
            f"the OpenPose format {name} is a person's body, and {skeleton.name} has no shoulders"
            " and hips; use --openpose-format native"
        )

    # Face and hands where the model has them, each in a list of its own.
    face = _sources([f"face-{k}" for k in range(FACE_POINTS)], skeleton)
    return OpenPoseLayout(
        name,
        _sources(BODIES[name], skeleton),
        face=(*face, *[()] * FACE_PUPILS) if any(face) else (),
        left_hand=_hand("left", skeleton),
        right_hand=_hand("right", skeleton),
    )


def fill_layout(
    sources: Sequence[Sequence[int]], keypoints: FloatArray, scores: FloatArray
) -> list[float]:
    """One person's points in a layout, as x, y, score of each in turn.

    Args:
        sources: From an :class:`OpenPoseLayout`.
        keypoints: ``(K, 2)`` in image pixels.
        scores: ``(K,)``.
    """
    values: list[float] = []
    for indices in sources:
        if not indices:
            values += MISSING
            continue
        # A midpoint is as certain as the less certain of its ends.
        point = np.mean(keypoints[list(indices)], axis=0)
        score = min(float(scores[k]) for k in indices)
        values += [round(float(point[0]), 3), round(float(point[1]), 3), round(score, 4)]
    return values


def _sources(names: Sequence[str], skeleton: Skeleton) -> tuple[tuple[int, ...], ...]:
    place = {name: k for k, name in enumerate(skeleton.keypoints)}
    found: list[tuple[int, ...]] = []
    for name in names:
        ends = MIDPOINTS.get(name, ())
        if name in place:
            found.append((place[name],))
        elif ends and all(end in place for end in ends):
            found.append(tuple(place[end] for end in ends))
        else:
            found.append(())
    return tuple(found)


def _hand(side: str, skeleton: Skeleton) -> tuple[tuple[int, ...], ...]:
    hand = _sources([f"{side}_{part}" for part in HAND_PARTS], skeleton)
    return hand if any(hand) else ()
