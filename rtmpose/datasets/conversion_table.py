"""Which point of one keypoint set is which point of another: one table, by names.

Points of the same name are the same point among the sets of people; :data:`RENAMED` and the tables
of faces and hands say the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton, skeleton_names

SourcePoint = str | tuple[str, str]
"""A source point, or two whose middle is taken."""

IndexPairs = tuple[tuple[int, tuple[int, ...]], ...]
"""Target point, and the source point or the two whose middle it is."""

PEOPLE = (
    "aic14",
    "coco-wholebody133",
    "coco17",
    "crowdpose14",
    "halpe136",
    "halpe26",
    "humanart21",
    "jhmdb15",
    "mpii16",
    "posetrack18",
)
"""Sets of people: points of the same name are the same."""

ALIASES = {
    "ochuman": "coco17",
    "humanart": "coco17",
    "humanart17": "coco17",
    "macaque17": "coco17",
    "face68": "300w68",
    "coco-wholebody-face68": "300w68",
    "coco-wholebody-hand21": "hand21",
    "freihand21": "hand21",
    "onehand10k21": "hand21",
    "panoptic21": "hand21",
    "posetrack17": "posetrack18",
}
"""Other names of sets."""

# Target point: source point. As in the published mixtures: the upper neck is the neck, the top of
# the head is the head; hips and pelvises that are labeled in the middle are not taken over.
_HEADS: Mapping[str, Mapping[str, SourcePoint]] = {
    "aic14": {"head": "head_top"},
    "mpii16": {"head": "head_top", "neck": "upper_neck"},
    "posetrack18": {"head": "head_top"},
}
RENAMED: Mapping[tuple[str, str], Mapping[str, SourcePoint]] = {
    (source, target): names
    for source, names in _HEADS.items()
    for target in ("halpe26", "halpe136", "crowdpose14")
} | {
    ("crowdpose14", "mpii16"): {"head_top": "head", "upper_neck": "neck"},
    ("crowdpose14", "aic14"): {"head_top": "head"},
    ("halpe26", "mpii16"): {"head_top": "head", "upper_neck": "neck", "pelvis": "hip"},
    ("halpe26", "aic14"): {"head_top": "head"},
    ("halpe26", "posetrack18"): {"head_top": "head", "head_bottom": "neck"},
}
"""Points with another name in the target, in addition to those of the same name."""


@dataclass(frozen=True)
class Conversion:
    """How points of one set become those of another.

    Attributes:
        source: Keypoint set.
        target: Keypoint set.
        points: Target point to source point, or to two whose middle it is.
        part: ``face``, ``lefthand`` or ``righthand`` where the target is a part of the source:
            instances get boxes of the part, and a body with two hands becomes two instances.
    """

    source: str
    target: str
    points: Mapping[str, SourcePoint]
    part: str = ""

    def indices(self, source: Sequence[str], target: Sequence[str]) -> IndexPairs:
        """Index pairs for sets with these names, sorted by the target."""
        # A source is a point, or two whose middle is taken.
        pairs = []
        for target_name, names in self.points.items():
            source_names = (names,) if isinstance(names, str) else names
            pairs.append((target.index(target_name), tuple(map(source.index, source_names))))
        return tuple(sorted(pairs))


# ---- faces


def _run(target: int, source: int, count: int) -> dict[str, SourcePoint]:
    """``count`` points in a row."""
    return {f"kpt-{target + i}": f"kpt-{source + i}" for i in range(count)}


def _68_to_106() -> dict[str, SourcePoint]:
    """Every other point of the jaw; upper edges of the brows; eyes by corners and middles of the
    lids.
    """
    # LaPa's 106 points lie more densely than the 68 of 300-W.
    jaw: dict[str, SourcePoint] = {f"kpt-{2 * i}": f"kpt-{i}" for i in range(17)}
    brows = _run(33, 17, 5) | _run(42, 22, 5)
    nose = _run(51, 27, 4) | _run(58, 31, 5)

    # Where 300-W has two points of a lid, LaPa has the one in its middle.
    eye_corners: dict[str, SourcePoint] = {
        "kpt-66": "kpt-36",
        "kpt-70": "kpt-39",
        "kpt-75": "kpt-42",
        "kpt-79": "kpt-45",
    }
    lid_middles: dict[str, SourcePoint] = {
        "kpt-68": ("kpt-37", "kpt-38"),
        "kpt-72": ("kpt-40", "kpt-41"),
        "kpt-77": ("kpt-43", "kpt-44"),
        "kpt-81": ("kpt-46", "kpt-47"),
    }
    mouth = _run(84, 48, 20)
    return jaw | brows | nose | eye_corners | lid_middles | mouth


def _98_to_106() -> dict[str, SourcePoint]:
    """The jaw, brows and nose ridge have the same numbers; the rest moves up."""
    # WFLW and LaPa share most of their order.
    jaw_brows_ridge = _run(0, 0, 55)
    nose = _run(58, 55, 5)
    eyes = _run(66, 60, 8) | _run(75, 68, 8)
    mouth = _run(84, 76, 20)
    pupils = _run(104, 96, 2)
    return jaw_brows_ridge | nose | eyes | mouth | pupils


# COFW number to LaPa number. The published face6 configuration sends the eyes (8 to 15) to numbers
# 60 to 75, which are those of WFLW; in LaPa they lie on the nose and the wrong eye. Here they go to
# the eyes, and the pupils along.
_COFW_BROWS = {0: 33, 4: 35, 2: 38, 5: 40, 1: 46, 6: 44, 3: 50, 7: 48}
_COFW_EYES = {8: 66, 12: 68, 10: 70, 13: 72, 9: 79, 14: 77, 11: 75, 15: 81, 16: 104, 17: 105}
_COFW_NOSE = {18: 57, 19: 63, 20: 54, 21: 60}
_COFW_MOUTH_AND_CHIN = {22: 84, 23: 90, 24: 87, 25: 98, 26: 102, 27: 93, 28: 16}
_COFW = _COFW_BROWS | _COFW_EYES | _COFW_NOSE | _COFW_MOUTH_AND_CHIN


def _face_of_body(points: Mapping[str, SourcePoint]) -> dict[str, SourcePoint]:
    """The same points, taken from the 68 of the face of a whole body."""

    def body_name(name: str) -> str:
        return name.replace("kpt-", "face-")

    converted: dict[str, SourcePoint] = {}
    for target, source in points.items():
        if isinstance(source, str):
            converted[target] = body_name(source)
        else:
            converted[target] = (body_name(source[0]), body_name(source[1]))
    return converted


def _faces() -> list[Conversion]:
    # To LaPa's points from the face sets, and the faces of whole bodies.
    table = [
        Conversion("300w68", "lapa106", _68_to_106()),
        Conversion("wflw98", "lapa106", _98_to_106()),
        Conversion("cofw29", "lapa106", {f"kpt-{t}": f"kpt-{s}" for s, t in _COFW.items()}),
    ]
    for body in ("coco-wholebody133", "halpe136"):
        table += [
            Conversion(body, "300w68", _face_of_body(_run(0, 0, 68)), "face"),
            Conversion(body, "lapa106", _face_of_body(_68_to_106()), "face"),
        ]
    return table


# ---- hands


def _hand_of_body(side: str) -> dict[str, SourcePoint]:
    # The sets of whole bodies call the wrist the root of the hand.
    names = get_skeleton("hand21").keypoints
    return {n: f"{side}_hand_root" if n == "wrist" else f"{side}_{n}" for n in names}


def _hands() -> list[Conversion]:
    # Between hand sets, and both hands of whole bodies.
    same: dict[str, SourcePoint] = {n: n for n in get_skeleton("hand21").keypoints}
    table = [Conversion("rhd21", "hand21", same), Conversion("hand21", "rhd21", same)]
    for body in ("coco-wholebody133", "halpe136"):
        for side in ("left", "right"):
            table.append(Conversion(body, "hand21", _hand_of_body(side), f"{side}hand"))
    return table


# ---- lookup


def conversions(source: str | Sequence[str], target: str) -> tuple[Conversion, ...]:
    """The conversions between two sets: one, or two for the hands of a body.

    Args:
        source: A set's name, or the names of the points.
        target: A set's name.

    Raises:
        InputError: a set is unknown, or there is no way from one to the other.
    """
    # Both names in the form of the table; the same points need no conversion.
    target = ALIASES.get(target, target)
    names, set_name = _points_and_name(source)
    points = get_skeleton(target).keypoints
    if set_name == target or names == points:
        return (Conversion(set_name, target, {n: n for n in points}),)

    # Faces and hands: a body has two hands, hence two conversions.
    table = [c for c in (*_faces(), *_hands()) if (c.source, c.target) == (set_name, target)]
    if table:
        return tuple(table)

    # By names: among sets of people also by the names that differ. Other sets of the package must
    # have all names in common, as the same word may mean another point.
    same: dict[str, SourcePoint] = {n: n for n in points if n in names}
    if not set_name or (set_name in PEOPLE and target in PEOPLE):
        same |= RENAMED.get((set_name, target), {})
    elif set(points) != set(names):
        same = {}
    if not same:
        described = set_name or f"points named {', '.join(names[:4])}, ..."
        raise InputError(
            f"there is no conversion from {described} to {target}: no point of one is known to be"
            " one of the other; `rtmpose data formats` lists the conversions"
        )
    return (Conversion(set_name, target, same),)


def conversion(source: str | Sequence[str], target: str) -> IndexPairs:
    """As index pairs: target point, and the source point or the two whose middle it is.

    Raises:
        InputError: as :func:`conversions`, or the source has several parts (two hands).
    """
    found = conversions(source, target)
    if len(found) > 1:
        raise InputError(
            f"{found[0].source} holds {len(found)} instances of {target}: use"
            " rtmpose.datasets.convert"
        )

    # The one conversion, as indices.
    names, _ = _points_and_name(source)
    return found[0].indices(names, get_skeleton(ALIASES.get(target, target)).keypoints)


def conversion_by_name(names: Sequence[str], target: str, points: Sequence[str]) -> Conversion:
    """To a keypoint set that does not come with the package: points of the same name.

    Args:
        names: Points of the source.
        target: Name of the target set.
        points: Points of the target.

    Raises:
        InputError: they have no name in common.
    """
    same: dict[str, SourcePoint] = {n: n for n in points if n in names}
    if not same:
        raise InputError(
            f"none of the points of {target} ({', '.join(points[:4])}, ...) is among those of the"
            f" set ({', '.join(names[:4])}, ...)"
        )
    return Conversion("", target, same)


def _points_and_name(source: str | Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Names of the points, and of the set where it is a known one."""
    # A name, or the points of a set that may be one of the package.
    if isinstance(source, str):
        set_name = ALIASES.get(source, source)
        return get_skeleton(set_name).keypoints, set_name
    names = tuple(source)
    for set_name in skeleton_names():
        if get_skeleton(set_name).keypoints == names:
            return names, set_name
    return names, ""
