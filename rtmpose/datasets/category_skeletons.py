"""Keypoint sets as COCO categories describe them, and categories from keypoint sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from rtmpose.datasets.coco_entries import keypoint_lists, own_sigmas
from rtmpose.datasets.coco_types import CocoCategory, CocoContent, Json
from rtmpose.datasets.keypoint_guess import are_unnamed, unknown_points
from rtmpose.skeletons import SIDE_COLORS, generic_skeleton, get_skeleton, skeleton_names
from rtmpose.types import Skeleton


def category_keypoints(content: CocoContent) -> tuple[str, ...]:
    """Keypoint names of the first category that has any; empty where none has."""
    return next(iter(keypoint_lists(content).values()), ())


@cache
def skeleton_with_keypoints(names: tuple[str, ...]) -> Skeleton | None:
    """The set of the package with exactly these keypoints in this order, or None."""
    skeletons = map(get_skeleton, skeleton_names())
    return next((s for s in skeletons if s.keypoints == names), None)


def category_of(skeleton: Skeleton, name: str = "person", number: int = 1) -> CocoCategory:
    """The COCO category of a keypoint set; its links count from 1, as in COCO.

    Sigmas that are not those of a set of the package are in it.
    """
    links = [[a + 1, b + 1] for a, b in skeleton.links]
    category: CocoCategory = {
        "id": number,
        "name": name,
        "keypoints": list(skeleton.keypoints),
        "skeleton": links,
    }
    published = skeleton_with_keypoints(skeleton.keypoints)
    if skeleton.sigmas and (published is None or published.sigmas != skeleton.sigmas):
        category["sigmas"] = list(skeleton.sigmas)
    return category


def skeleton_from_category(category: Mapping[str, Json], keypoints: int) -> Skeleton:
    """A keypoint set from what a COCO category says: names, links, left and right by name, or
    mirror images as ``flip_idx``.

    Args:
        category: With ``keypoints`` (names) and perhaps ``skeleton`` (pairs counted from 1) and
            ``flip_idx`` (index of each point's mirror image, as in YOLO sets).
        keypoints: Number of keypoints, for a category without names.
    """
    # Names that occur twice cannot say which point is meant.
    listed = category.get("keypoints")
    names = tuple(map(str, listed)) if isinstance(listed, list | tuple) else ()
    if not names or len(set(names)) != len(names):
        return unknown_points(keypoints or len(names))
    told = _told_flip(category.get("flip_idx"), len(names))
    if are_unnamed(names):
        plain = unknown_points(len(names))
        return replace(plain, keypoints=names, flip_indices=told or plain.flip_indices)

    # Left and right: a point has a partner when the name with the other side is in the set.
    partners: dict[str, str] = {}
    for name in names:
        _, other = _side_of(name)
        if other in names and other != name:
            partners[name] = other
    flip_indices = tuple(names.index(partners.get(name, name)) for name in names)
    sides = tuple(_side_of(name)[0] if name in partners else "center" for name in names)

    # Where no name has a side, what the data says itself counts.
    if told and not partners:
        flip_indices = told

    # Links and colors; the name is that of the category.
    plain = generic_skeleton(len(names))
    return _colored(
        str(category.get("name", plain.name)),
        names,
        flip_indices,
        sides,
        _links(category.get("skeleton"), len(names)),
    )


def _told_flip(flip: Json, keypoints: int) -> tuple[int, ...]:
    """Index of each point's mirror image, where it is given and pairs up; else empty."""
    if not isinstance(flip, list | tuple) or len(flip) != keypoints:
        return ()
    if not all(isinstance(i, int) and 0 <= i < keypoints for i in flip):
        return ()
    return tuple(flip) if all(flip[flip[i]] == i for i in range(keypoints)) else ()


def with_own_sigmas(skeleton: Skeleton, content: CocoContent) -> Skeleton:
    """The keypoint set with the ``sigmas`` that the first category with keypoints gives, if any."""
    sigmas = own_sigmas(content)
    if len(sigmas) != len(skeleton) or sigmas == skeleton.sigmas:
        return skeleton
    return replace(skeleton, sigmas=sigmas)


def sigmas_by_name(
    content: CocoContent, names: tuple[str, ...], skeleton: Skeleton
) -> tuple[float, ...]:
    """The sigmas of a keypoint set, those that a data set gives for the same points first.

    Args:
        content: Of the data set.
        names: Its keypoints.
        skeleton: The keypoint set, perhaps without sigmas of its own.

    Returns:
        One for each point of ``skeleton``; none where one is missing.
    """
    told = own_sigmas(content)
    if len(told) != len(names):
        return skeleton.sigmas
    known = dict(zip(skeleton.keypoints, skeleton.sigmas, strict=False))
    known |= dict(zip(names, told, strict=True))
    if any(name not in known for name in skeleton.keypoints):
        return ()
    return tuple(known[name] for name in skeleton.keypoints)


def _links(pairs: Json, keypoints: int) -> tuple[tuple[int, int], ...]:
    """Pairs counted from 0; those that are not of two keypoints of the set are left out."""
    # COCO counts from 1, some tools from 0.
    usable, first = usable_links(pairs, keypoints)
    return tuple((a - first, b - first) for a, b in usable)


def usable_links(pairs: Json, keypoints: int) -> tuple[list[tuple[int, int]], int]:
    """The links of a category that are pairs of two of its keypoints, and the number that its first
    keypoint has in them: 1 as in COCO, or 0 where a link says so.
    """
    if not isinstance(pairs, list | tuple):
        return [], 1
    numbers = [
        (p[0], p[1])
        for p in pairs
        if isinstance(p, list | tuple) and len(p) == 2 and set(map(type, p)) == {int}
    ]
    used = {number for pair in numbers for number in pair}
    first = 0 if 0 in used and keypoints not in used else 1
    inside = range(first, keypoints + first)
    return [(a, b) for a, b in numbers if a != b and a in inside and b in inside], first


def _colored(
    name: str,
    names: tuple[str, ...],
    flip_indices: tuple[int, ...],
    sides: tuple[str, ...],
    links: tuple[tuple[int, int], ...],
) -> Skeleton:
    """A keypoint set whose left, right and central parts have a color each."""
    # A limb has the color of its side; one that joins both sides that of the center.
    link_colors = []
    for a, b in links:
        lateral = {sides[a], sides[b]} - {"center"}  # one side, both, or none
        link_colors.append(SIDE_COLORS[lateral.pop() if len(lateral) == 1 else "center"])
    return Skeleton(
        name=name,
        keypoints=names,
        flip_indices=flip_indices,
        links=links,
        sides=sides,
        link_colors=tuple(link_colors),
        keypoint_colors=tuple(SIDE_COLORS[side] for side in sides),
        description="as in the annotation file",
    )


# How names tell left from right: a pattern around the word, and the two words. The first that is
# found counts.
SIDE_RULES = (
    ("{}", "left", "right"),
    ("{}", "Left", "Right"),
    ("{}", "LEFT", "RIGHT"),
    (r"^{}(?=[_. ])", "L", "R"),
    (r"^{}(?=[_. ])", "l", "r"),
    (r"(?<=[_. ]){}$", "L", "R"),
    (r"(?<=[_. ]){}$", "l", "r"),
    (r"(?<=[a-z]){}(?=\d*$)", "L", "R"),
)


def _side_of(name: str) -> tuple[str, str]:
    """``left``, ``right`` or ``center`` by a point's name, and what its partner would be called."""
    for template, left, right in SIDE_RULES:
        for side, word, opposite in (("left", left, right), ("right", right, left)):
            pattern = template.replace("{}", word)
            if re.search(pattern, name):
                return side, re.sub(pattern, opposite, name)
    return "center", name
