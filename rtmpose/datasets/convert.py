"""From one keypoint set to another: one table, by names.

Points of the same name are the same point among the sets of people; :data:`RENAMED` and
:data:`FACES` say the rest. What a set does not label stays without a label (v = 0) in the result,
so that a training leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtmpose.datasets.coco_content import category_of
from rtmpose.datasets.keypoint_dataset import AREA_OF_BOX, KeypointDataset, box_around
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton, skeleton_names
from rtmpose.types import Skeleton

Source = str | tuple[str, str]
"""A source point, or two whose middle is taken."""

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
_HEADS: Mapping[str, Mapping[str, Source]] = {
    "aic14": {"head": "head_top"},
    "mpii16": {"head": "head_top", "neck": "upper_neck"},
    "posetrack18": {"head": "head_top"},
}
RENAMED: Mapping[tuple[str, str], Mapping[str, Source]] = {
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
"""What goes by another name in the target, beside the points of the same name."""


def _run(target: int, source: int, count: int) -> dict[str, Source]:
    return {f"kpt-{target + i}": f"kpt-{source + i}" for i in range(count)}


def _68_to_106() -> dict[str, Source]:
    """Every other point of the jaw; upper edges of the brows; eyes by corners and middles of the
    lids.
    """
    middles: dict[str, Source] = {
        "kpt-68": ("kpt-37", "kpt-38"),
        "kpt-72": ("kpt-40", "kpt-41"),
        "kpt-77": ("kpt-43", "kpt-44"),
        "kpt-81": ("kpt-46", "kpt-47"),
    }
    corners: dict[str, Source] = {
        "kpt-66": "kpt-36",
        "kpt-70": "kpt-39",
        "kpt-75": "kpt-42",
        "kpt-79": "kpt-45",
    }
    jaw: dict[str, Source] = {f"kpt-{2 * i}": f"kpt-{i}" for i in range(17)}
    brows = _run(33, 17, 5) | _run(42, 22, 5)
    return jaw | brows | _run(51, 27, 4) | _run(58, 31, 5) | corners | middles | _run(84, 48, 20)


def _98_to_106() -> dict[str, Source]:
    """The jaw, brows and nose ridge have the same numbers; the rest moves up."""
    return (
        _run(0, 0, 55)
        | _run(58, 55, 5)
        | _run(66, 60, 8)
        | _run(75, 68, 8)
        | _run(84, 76, 20)
        | _run(104, 96, 2)
    )


# Pairs of COFW and LaPa numbers. The published face6 configuration sends the eyes (8 to 15) to
# numbers 60 to 75, which are those of WFLW; in LaPa they lie on the nose and the wrong eye. Here
# they go to the eyes, and the pupils along.
_COFW = (
    *((0, 33), (4, 35), (2, 38), (5, 40), (1, 46), (6, 44), (3, 50), (7, 48)),
    *(
        (8, 66),
        (12, 68),
        (10, 70),
        (13, 72),
        (9, 79),
        (14, 77),
        (11, 75),
        (15, 81),
        (16, 104),
        (17, 105),
    ),
    *((18, 57), (19, 63), (20, 54), (21, 60)),
    *((22, 84), (23, 90), (24, 87), (25, 98), (26, 102), (27, 93), (28, 16)),
)
_FACE_OF_BODY: dict[str, Source] = {f"kpt-{i}": f"face-{i}" for i in range(68)}


def _through(outer: Mapping[str, Source], inner: Mapping[str, Source]) -> dict[str, Source]:
    """First ``inner``, then ``outer``: the inner one has single sources."""
    single = {k: v for k, v in inner.items() if isinstance(v, str)}
    return {
        t: single[s] if isinstance(s, str) else (single[s[0]], single[s[1]])
        for t, s in outer.items()
    }


def _hand(side: str) -> dict[str, Source]:
    names = get_skeleton("hand21").keypoints
    return {n: f"{side}_hand_root" if n == "wrist" else f"{side}_{n}" for n in names}


@dataclass(frozen=True)
class Conversion:
    """How points of one set become those of another.

    Attributes:
        source: Keypoint set.
        target: Keypoint set.
        points: Target point to source point, or to two whose middle it is.
        part: ``face``, ``lefthand`` or ``righthand`` where the target is a part of the source:
            instances get boxes of their own, and a body with two hands becomes two instances.
    """

    source: str
    target: str
    points: Mapping[str, Source]
    part: str = ""

    def indices(
        self, source: Sequence[str], target: Sequence[str]
    ) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Index pairs for sets with these names: target, and one or two sources."""
        found = ((t, (s,) if isinstance(s, str) else s) for t, s in self.points.items())
        pairs = [(target.index(t), tuple(source.index(n) for n in names)) for t, names in found]
        return tuple(sorted(pairs))


def _faces() -> list[Conversion]:
    table = [
        Conversion("300w68", "lapa106", _68_to_106()),
        Conversion("wflw98", "lapa106", _98_to_106()),
        Conversion("cofw29", "lapa106", {f"kpt-{t}": f"kpt-{s}" for s, t in _COFW}),
    ]
    for body in ("coco-wholebody133", "halpe136"):
        table += [
            Conversion(body, "300w68", _FACE_OF_BODY, "face"),
            Conversion(body, "lapa106", _through(_68_to_106(), _FACE_OF_BODY), "face"),
        ]
    return table


def _hands() -> list[Conversion]:
    same: dict[str, Source] = {n: n for n in get_skeleton("hand21").keypoints}
    parts = [
        Conversion(body, "hand21", _hand(side), f"{side}hand")
        for body in ("coco-wholebody133", "halpe136")
        for side in ("left", "right")
    ]
    return [Conversion("rhd21", "hand21", same), Conversion("hand21", "rhd21", same), *parts]


def conversions(source: str | Sequence[str], target: str) -> tuple[Conversion, ...]:
    """The conversions between two sets: one, or two for the hands of a body.

    Args:
        source: A set's name, or the names of the points.
        target: A set's name.

    Raises:
        InputError: a set is unknown, or there is no way from one to the other.
    """
    target = ALIASES.get(target, target)
    names, known = _named(source)
    points = get_skeleton(target).keypoints
    if known == target or names == points:
        return (Conversion(known, target, {n: n for n in points}),)
    table = tuple(c for c in (*_faces(), *_hands()) if (c.source, c.target) == (known, target))
    if table:
        return table
    same: dict[str, Source] = {n: n for n in points if n in names}
    if not known or (known in PEOPLE and target in PEOPLE):
        same |= RENAMED.get((known, target), {})
    elif set(points) != set(names):
        same = {}
    if not same:
        raise InputError(
            "there is no conversion from"
            f" {known or 'points named ' + ', '.join(names[:4]) + ', ...'} to {target}: no point of"
            " one is known to be one of the other; `rtmpose data formats` lists the conversions"
        )
    return (Conversion(known, target, same),)


def conversion(source: str | Sequence[str], target: str) -> tuple[tuple[int, tuple[int, ...]], ...]:
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
    return found[0].indices(_named(source)[0], get_skeleton(ALIASES.get(target, target)).keypoints)


def convert(dataset: KeypointDataset, target: str | Skeleton) -> KeypointDataset:
    """A set in another keypoint set.

    Boxes stay, except where the target is a part of the source (face, hands): there they are those
    of the part in the annotation (``face_box``, ``lefthand_box``), or tight around its points, and
    parts without points are left out. A middle of two points has a label where both have.

    Args:
        dataset: The set.
        target: The set's name, or a keypoint set of one's own, whose points are matched by name.

    Raises:
        InputError: there is no conversion, or the points of the source are unknown.
    """
    names = dataset.skeleton.keypoints if dataset.skeleton else dataset.keypoint_names
    if not names:
        raise InputError(
            f"{dataset.path} does not say what its keypoints are; read it with skeleton=..."
        )
    skeleton = target if isinstance(target, Skeleton) else get_skeleton(ALIASES.get(target, target))
    source: str | Sequence[str] = names
    if dataset.skeleton and dataset.skeleton.name in skeleton_names():
        source = dataset.skeleton.name
    found = (
        _own(names, skeleton)
        if isinstance(target, Skeleton)
        else conversions(source, skeleton.name)
    )
    rows: list[dict[str, Any]] = []
    for c in found:
        pairs = c.indices(names, skeleton.keypoints)
        rows += [
            a
            for old in _annotations(dataset)
            if (a := _converted(old, pairs, len(skeleton), c.part))
        ]
    if found[0].part:
        rows.sort(key=lambda a: a["id"])
        rows = [{**a, "id": number} for number, a in enumerate(rows, 1)]
    categories = [
        category_of(skeleton, str(c.get("name", "person")), c.get("id", 1))
        for c in _categories(dataset)
    ]
    content = {**dataset.content, "annotations": rows, "categories": categories}
    annotations: dict[int, list[dict[str, Any]]] = {i: [] for i in dataset.images}
    for a in rows:
        annotations[int(a["image_id"])].append(a)
    return KeypointDataset(
        dataset.path, content, dataset.images, annotations, skeleton.keypoints, skeleton
    )


def _named(source: str | Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Names of the points, and of the set where it is a known one."""
    if isinstance(source, str):
        known = ALIASES.get(source, source)
        return get_skeleton(known).keypoints, known
    names = tuple(source)
    return names, next((n for n in skeleton_names() if get_skeleton(n).keypoints == names), "")


def _own(names: Sequence[str], skeleton: Skeleton) -> tuple[Conversion, ...]:
    same: dict[str, Source] = {n: n for n in skeleton.keypoints if n in names}
    if not same:
        raise InputError(
            f"none of the points of {skeleton.name} ({', '.join(skeleton.keypoints[:4])}, ...) is"
            f" among those of the set ({', '.join(names[:4])}, ...)"
        )
    return (Conversion("", skeleton.name, same),)


def _annotations(dataset: KeypointDataset) -> Iterable[Mapping[str, Any]]:
    return (a for rows in dataset.annotations.values() for a in rows)


def _categories(dataset: KeypointDataset) -> list[Mapping[str, Any]]:
    return list(dataset.content.get("categories") or [{"id": 1, "name": "person"}])


PART_FIELDS = (
    "segmentation",
    "face_box",
    "lefthand_box",
    "righthand_box",
    "foot_valid",
    "face_valid",
)


def _converted(
    old: Mapping[str, Any], pairs: Sequence[tuple[int, tuple[int, ...]]], k: int, part: str
) -> dict[str, Any] | None:
    """One annotation with new keypoints; None for a part without any."""
    source = old.get("keypoints") or []
    points: list[float] = [0] * (3 * k)
    for target, sources in pairs if source else ():
        triples = [source[3 * s : 3 * s + 3] for s in sources]
        v = min(t[2] for t in triples)
        if v > 0:
            n = len(triples)
            x, y = triples[0][:2] if n == 1 else (sum(t[i] for t in triples) / n for i in range(2))
            points[3 * target : 3 * target + 3] = [x, y, v]
    count = sum(1 for v in points[2::3] if v > 0)
    a = dict(old)
    if source:
        a |= {"keypoints": points, "num_keypoints": count}
    if not part:
        return a
    if not count or old.get("iscrowd"):
        return None
    box = old.get(f"{part}_box")
    if old.get(f"{part}_valid") is False or not box or min(box[2:]) <= 0:
        box = box_around(points)
    if min(box[2:]) <= 0:
        return None
    a = {
        name: value
        for name, value in a.items()
        if name not in PART_FIELDS and not name.endswith("hand_valid")
    }
    side = {"hand_type": part.removesuffix("hand")} if part != "face" else {}
    return {
        **a,
        "bbox": list(box),
        "area": AREA_OF_BOX * box[2] * box[3],
        "source_id": old.get("id"),
        **side,
    }
