"""Which angles there are: segments between points of the body, and joints between segments.

Everything is seen in the plane of the image, turned so that the person faces right, with y up.
"""

from __future__ import annotations

from dataclasses import dataclass

SIDES = ("left", "right")


@dataclass(frozen=True)
class SegmentAngle:
    """Direction of a segment: 0 forward, 90 up, -90 down, 180 backward.

    Attributes:
        name: Of its column.
        start: Point that it begins at.
        end: Point that it leads to.
    """

    name: str
    start: str
    end: str


@dataclass(frozen=True)
class JointAngle:
    """Difference of two segments: ``segment - reference + offset``, so that standing is 0.

    Attributes:
        name: Of its column.
        segment: Segment that is measured.
        reference: Segment that it is measured from.
        offset: Degrees added.
        lowest: The values lie from here to 360 degrees more.
    """

    name: str
    segment: str
    reference: str
    offset: float = 0.0
    lowest: float = -180.0


def _segments() -> tuple[SegmentAngle, ...]:
    rows: list[SegmentAngle] = []
    for side in SIDES:
        rows += [
            SegmentAngle(f"{side}_foot", f"{side}_heel", f"{side}_toe"),
            SegmentAngle(f"{side}_shank", f"{side}_knee", f"{side}_ankle"),
            SegmentAngle(f"{side}_thigh", f"{side}_hip", f"{side}_knee"),
            SegmentAngle(f"{side}_arm", f"{side}_shoulder", f"{side}_elbow"),
            SegmentAngle(f"{side}_forearm", f"{side}_elbow", f"{side}_wrist"),
        ]
    return (*rows, SegmentAngle("trunk", "hip", "neck"), SegmentAngle("head", "neck", "head"))


def _joints() -> tuple[JointAngle, ...]:
    rows: list[JointAngle] = []
    for side in SIDES:
        foot, shank, thigh = f"{side}_foot", f"{side}_shank", f"{side}_thigh"
        arm, forearm = f"{side}_arm", f"{side}_forearm"
        rows += [
            JointAngle(f"{side}_ankle_dorsiflexion", foot, shank, -90),
            JointAngle(f"{side}_knee_flexion", thigh, shank),
            JointAngle(f"{side}_hip_flexion", thigh, "trunk", 180),
            # An arm over the head is at 180 degrees, and goes on behind it.
            JointAngle(f"{side}_shoulder_flexion", arm, "trunk", 180, -90),
            JointAngle(f"{side}_elbow_flexion", forearm, arm),
        ]
    return tuple(rows)


SEGMENTS = _segments()
JOINTS = _joints()
ANGLES: tuple[str, ...] = (
    *(joint.name for joint in JOINTS),
    *(segment.name for segment in SEGMENTS),
)
"""Names of all angles, in the order of the columns."""

BODY_POINTS: dict[str, tuple[str, ...]] = {
    "neck": ("neck", "thorax", "head_bottom"),
    "hip": ("hip", "pelvis"),
    "head": ("head", "head_top"),
    "nose": ("nose",),
    **{
        f"{side}_{part}": tuple(f"{side}_{name}" for name in names)
        for side in SIDES
        for part, names in (
            ("toe", ("big_toe", "toe")),
            ("heel", ("heel",)),
            ("ankle", ("ankle",)),
            ("knee", ("knee",)),
            ("hip", ("hip",)),
            ("shoulder", ("shoulder",)),
            ("elbow", ("elbow",)),
            ("wrist", ("wrist",)),
            ("ear", ("ear",)),
        )
    },
}
"""Points of the body to their names in keypoint sets; the first that a set has is taken."""

MIDPOINTS: dict[str, str] = {"neck": "shoulder", "hip": "hip", "head": "ear"}
"""Points that lie between a left and a right one where they are not seen themselves."""
