"""Objects whose keypoints have names, as labeling tools hold them, and COCO content from them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtmpose.datasets.category_skeletons import category_of, skeleton_from_category
from rtmpose.datasets.coco_content import Annotations, Instance, build_annotations
from rtmpose.datasets.coco_types import JsonObject
from rtmpose.datasets.keypoint_guess import are_unnamed, guess_and_tell, spelled
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton, skeleton_names
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

HIDDEN = 1
VISIBLE = 2

BOX_MARGIN = 0.1
"""Part of the longer side that a box around points is larger on each side."""
MIN_MARGIN = 2.0
"""Least margin in pixels: a box around one point needs an area."""

UNKNOWN_CLASS = "object"

MAX_DIGITS = 3
"""Digits of a label that is the number of a point; longer ones are names."""

Point = tuple[float, float, int]
"""x, y in image pixels and v (1 hidden, 2 visible)."""
Box = tuple[float, float, float, float]
"""x, y, width, height in image pixels."""


@dataclass
class LabeledObject:
    """One person, animal or thing in an image.

    Attributes:
        image: Name of its image below the folder of the images.
        points: Labeled keypoints by name.
        box: None puts it around the points.
        category: Its class; empty where the tool does not say.
    """

    image: str
    points: dict[str, Point] = field(default_factory=dict)
    box: Box | None = None
    category: str = ""

    def add(self, name: str, point: Point, where: str) -> None:
        """Add a keypoint.

        Raises:
            InputError: it has one of that name.
        """
        if name in self.points:
            raise InputError(
                f"{where} has two points {name!r} in one object: give the points of each object a"
                " group (or a box around them)"
            )
        self.points[name] = point


def content_from_objects(
    data: Path,
    folder: Path | None,
    objects: Sequence[LabeledObject],
    sizes: Mapping[str, tuple[int, int]],
    skeleton: Skeleton | None = None,
    *,
    names: Sequence[str] = (),
    links: Sequence[tuple[str, str]] = (),
    pairs: Sequence[tuple[str, str]] = (),
) -> Annotations:
    """COCO content from objects with named keypoints.

    Args:
        data: Where they came from.
        folder: The folder of the images.
        objects: In the order of the result.
        sizes: Width and height of all images by name, (0, 0) where unknown.
        skeleton: The keypoints, whose names those of the objects must be; None takes theirs.
        names: Keypoint names in the tool's order; those that only objects have come after them.
        links: Pairs of names that the tool draws as limbs.
        pairs: Left and right points, where the tool says which these are.

    Raises:
        InputError: nothing has a keypoint, or a name is not in ``skeleton``.
    """
    # All names, in the tool's order or as they come.
    used = list(dict.fromkeys([*names, *(name for o in objects for name in o.points)]))
    if not any(o.points for o in objects):
        raise InputError(f"{data} holds no keypoints")
    classes = list(dict.fromkeys(o.category or UNKNOWN_CLASS for o in objects))
    keypoint_classes = list(dict.fromkeys(o.category for o in objects if o.points))
    rename: Mapping[str, str]
    if skeleton is not None:
        rename = _names_in(skeleton, used, data)
    elif all(name.isdecimal() and len(name) <= MAX_DIGITS for name in used):
        skeleton, rename = _numbered(data, used, keypoint_classes)
    else:
        category = keypoint_classes[0] or UNKNOWN_CLASS
        skeleton, rename = _named(category, used, links, pairs)

    # Points by number; boxes as they are or around the points.
    index_of = {name: i for i, name in enumerate(skeleton.keypoints)}
    instances = []
    for labeled in objects:
        points = np.zeros((len(skeleton), 3))
        for name, point in labeled.points.items():
            points[index_of[rename[name]]] = point
        box = labeled.box or _box_around([p[:2] for p in labeled.points.values()])
        number = classes.index(labeled.category or UNKNOWN_CLASS) + 1
        instances.append(Instance(labeled.image, points, box, {"category_id": number}))
    result = build_annotations(data, folder, skeleton, instances, sizes)
    told: JsonObject = {"flip_idx": list(skeleton.flip_indices)} if pairs else {}
    categories = [
        {**category_of(skeleton, name, number), **told} for number, name in enumerate(classes, 1)
    ]
    content: JsonObject = {**result.content, "categories": categories}
    return Annotations(data, content, folder, skeleton)


def put_in_boxes(
    points: Sequence[tuple[str, Point]], boxes: Sequence[LabeledObject], image: str, where: str
) -> list[LabeledObject]:
    """Points without a group: each belongs to the smallest box around it.

    Args:
        points: Names and places.
        boxes: Objects with boxes; points are added to them.
        image: Name of the image.
        where: The image in words, for errors.

    Returns:
        New objects for the points in no box: none or one.

    Raises:
        InputError: an object gets two points of one name.
    """
    rest = LabeledObject(image)
    for name, point in points:
        around = [o for o in boxes if o.box is not None and _contains(o.box, point)]
        # Where boxes overlap, one that has the point already cannot be meant.
        free = [o for o in around if name not in o.points] or around
        target = min(free, key=_area, default=rest)
        if target is rest and len(boxes) == 1 and name not in boxes[0].points:
            target = boxes[0]
        target.add(name, point, where)
    return [rest] if rest.points else []


def box_of_corners(corners: Iterable[tuple[float, float]]) -> Box:
    """The smallest upright box around corners in any order."""
    places = np.array(list(corners), np.float64)
    low = places.min(axis=0)
    high = places.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def _contains(box: Box, point: Point) -> bool:
    x, y, w, h = box
    return x <= point[0] <= x + w and y <= point[1] <= y + h


def _area(labeled: LabeledObject) -> float:
    return labeled.box[2] * labeled.box[3] if labeled.box else float("inf")


def _box_around(points: Sequence[tuple[float, float]]) -> Box | None:
    """A box around points with a margin; None without any."""
    if not points:
        return None
    x, y, w, h = box_of_corners(points)
    margin = max(BOX_MARGIN * max(w, h), MIN_MARGIN)
    return x - margin, y - margin, w + 2 * margin, h + 2 * margin


# ---- what the points are


def _names_in(skeleton: Skeleton, used: Sequence[str], data: Path) -> dict[str, str]:
    """Names as the given keypoint set spells them.

    Raises:
        InputError: one is not in it.
    """
    ours = {spelled(name): name for name in skeleton.keypoints}
    unknown = [name for name in used if spelled(name) not in ours]
    if unknown:
        raise InputError(
            f"{data} has keypoints that are not in {skeleton.name}: {', '.join(unknown[:6])}; it"
            f" has {', '.join(skeleton.keypoints[:6])}, ..."
        )
    return {name: ours[spelled(name)] for name in used}


def _numbered(
    data: Path, used: Sequence[str], classes: Sequence[str]
) -> tuple[Skeleton, dict[str, str]]:
    """Points that are called by their number, from 0 or 1."""
    numbers = sorted(int(name) for name in used)
    first = 0 if numbers[0] == 0 else 1
    skeleton = guess_and_tell(data, numbers[-1] + 1 - first, classes)
    return skeleton, {name: skeleton.keypoints[int(name) - first] for name in used}


def _named(
    category: str,
    used: Sequence[str],
    links: Sequence[tuple[str, str]],
    pairs: Sequence[tuple[str, str]],
) -> tuple[Skeleton, dict[str, str]]:
    """The set of the package with these names in any order, else one of its own."""
    by_spelling = {spelled(name): name for name in used}
    for set_name in () if are_unnamed(list(by_spelling)) else skeleton_names():
        known = get_skeleton(set_name)
        theirs = {spelled(name): name for name in known.keypoints}
        if set(theirs) == set(by_spelling) and len(used) == len(theirs):
            return known, {name: theirs[spelled(name)] for name in used}

    # COCO counts the points of links from 1.
    index_of = {name: i for i, name in enumerate(used)}
    links_by_number = [[index_of[a] + 1, index_of[b] + 1] for a, b in links]
    flip = list(range(len(used)))
    for a, b in pairs:
        flip[index_of[a]] = index_of[b]
        flip[index_of[b]] = index_of[a]
    description: JsonObject = {
        "name": category,
        "keypoints": list(used),
        "skeleton": links_by_number,
        "flip_idx": flip if pairs else None,
    }
    return skeleton_from_category(description, len(used)), {name: name for name in used}
