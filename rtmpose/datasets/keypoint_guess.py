"""What the keypoints of a set are where it does not say: taken for a known set only where names,
mirror pairs or the class agree, else points of unknown meaning. Always with a line for people.
"""

from __future__ import annotations

import colorsys
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from rtmpose.datasets.coco_types import CocoContent
from rtmpose.skeletons import generic_skeleton, get_skeleton, skeleton_names
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

PERSON = "person"
HAND = "hand"
FACE = "face"
ANIMAL = "animal"

CLASS_WORDS: Mapping[str, frozenset[str]] = {
    PERSON: frozenset({"person", "persons", "people", "pedestrian", "human", "humans"})
    | {"man", "men", "woman", "women", "child", "children", "body", "player", "athlete"},
    HAND: frozenset({"hand", "hands", "lefthand", "righthand", "palm"}),
    FACE: frozenset({"face", "faces", "facial", "head"}),
    ANIMAL: frozenset({"animal", "animals"}),
}
"""Words in the name of a class, and what it then is."""

SETS_BY_COUNT: Mapping[int, tuple[str, str]] = {
    17: ("coco17", PERSON),
    19: ("aflw19", FACE),
    21: ("hand21", HAND),
    26: ("halpe26", PERSON),
    29: ("cofw29", FACE),
    68: ("300w68", FACE),
    98: ("wflw98", FACE),
    106: ("lapa106", FACE),
    133: ("coco-wholebody133", PERSON),
    136: ("halpe136", PERSON),
}
"""Number of keypoints to the set that is published with it, and the class that it is of."""

OVERRIDE = "--skeleton NAME or FILE.toml says otherwise"
UNNAMED_POINT = re.compile(r"(kpt|keypoint)_\d+")


# ---- names


def spelled(name: str) -> str:
    """A keypoint's name without what tools differ in: ``Left Eye`` and ``left-eye`` are
    ``left_eye``.
    """
    # A capital after a small letter begins a word: leftEye.
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


@cache
def set_with_names(names: tuple[str, ...]) -> Skeleton | None:
    """The set of the package with these keypoints in this order, however they are spelled."""
    plain = tuple(spelled(name) for name in names)
    if are_unnamed(plain):
        return None
    for set_name in skeleton_names():
        skeleton = get_skeleton(set_name)
        if len(skeleton) == len(plain) and tuple(map(spelled, skeleton.keypoints)) == plain:
            return skeleton
    return None


def are_unnamed(names: Sequence[str]) -> bool:
    """Whether names are only numbers that this package gave: ``keypoint_0`` ..., or ``kpt_0`` ...,
    as older versions wrote.
    """
    return all(UNNAMED_POINT.fullmatch(name) for name in names)


# ---- points of unknown meaning


@cache
def unknown_points(count: int) -> Skeleton:
    """The set ``points-K``: ``keypoint_0`` ..., each with a color of its own, no links, no sides.

    Raises:
        InputError: ``count`` is below 1.
    """
    return replace(
        generic_skeleton(count),
        name=f"points-{count}",
        keypoints=tuple(f"keypoint_{i}" for i in range(count)),
        keypoint_colors=tuple(_hue(i / count) for i in range(count)),
    )


def _hue(turn: float) -> tuple[int, int, int]:
    """A bright BGR color; ``turn`` 0 to 1 goes once through all hues."""
    red, green, blue = colorsys.hsv_to_rgb(turn, 0.75, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


# ---- the guess


def class_agrees(set_name: str, classes: Iterable[str]) -> bool:
    """Whether all classes are of what a known set is of, such as ``face`` for ``300w68``."""
    kinds = dict(SETS_BY_COUNT.values())
    names = list(classes)
    return bool(names) and all(_kind_of(name) == kinds.get(set_name) for name in names)


def guess_set(
    count: int, classes: Iterable[str] = (), flip: Sequence[int] | None = None
) -> tuple[Skeleton | None, str]:
    """The known set that unnamed keypoints are most likely of, and why.

    Args:
        count: Number of keypoints.
        classes: Names of the classes that have these keypoints.
        flip: Index of each point's mirror image, where the data says it.

    Returns:
        The set, and the reason in words; None where nothing but the number speaks for one.
    """
    # A class that is not what the set is of speaks against it, whatever its number of points.
    set_name, kind = SETS_BY_COUNT.get(count, ("", ""))
    names = list(classes)
    if not set_name:
        return None, ""
    skeleton = get_skeleton(set_name)

    # Mirror pairs outweigh the class; a set without any pair says nothing.
    if flip is not None:
        if tuple(flip) != skeleton.flip_indices:
            return None, ""
        has_pairs = any(i != j for i, j in enumerate(flip))
        if has_pairs and not any(_kind_of(name) not in (kind, "") for name in names):
            return skeleton, "as its mirror pairs are the same"
    if class_agrees(set_name, names):
        return skeleton, f"as the class is {', '.join(map(repr, names))}"
    return None, ""


def guess_and_tell(
    path: Path, count: int, classes: Iterable[str] = (), flip: Sequence[int] | None = None
) -> Skeleton:
    """The set that unnamed keypoints are taken for, with a warning that says so.

    Args:
        path: The annotations, for the warning.
        count: Number of keypoints.
        classes: Names of the classes that have these keypoints.
        flip: Index of each point's mirror image, where the data says it.

    Returns:
        A known set, or ``points-K``.
    """
    # Classes are shown in their order, once each.
    names = list(dict.fromkeys(str(name) for name in classes))
    skeleton, reason = guess_set(count, names, flip)
    if skeleton is not None:
        log.warning(
            "%s does not name its %d keypoints: taken for %s, %s; %s",
            path,
            count,
            skeleton.name,
            reason,
            OVERRIDE,
        )
        return skeleton

    # Nothing speaks for a known set.
    skeleton = unknown_points(count)
    of_class = f" of {', '.join(map(repr, names[:3]))}" if names else ""
    log.warning(
        "%s does not name its %d keypoints%s: called %s to %s, not taken for a known set; %s",
        path,
        count,
        of_class,
        skeleton.keypoints[0],
        skeleton.keypoints[-1],
        OVERRIDE,
    )
    return skeleton


def _kind_of(class_name: str) -> str:
    """What a class is by a word in its name: person, hand, face, animal; its name where none is;
    empty for a number or nothing.
    """
    words = set(spelled(str(class_name)).split("_"))
    for kind, known in CLASS_WORDS.items():
        if words & known:
            return kind
    # Tools without class names write `0`, `class 0`, `object`.
    is_placeholder = all(
        word.isdigit() or word in ("", "class", "object", "item", "keypoints", "pose", "default")
        for word in words
    )
    return "" if is_placeholder else str(class_name)


# ---- left and right


def mirror_is_known(skeleton: Skeleton, content: CocoContent | None = None) -> bool:
    """Whether it is known what a mirrored image does to the points.

    It is for the sets of the package, where points have partners, and where the data has
    ``flip_idx``. Without it a training must not mirror: each mirrored image would teach left as
    right.

    Args:
        skeleton: What the keypoints are.
        content: The COCO content of the set, whose categories may have ``flip_idx``.
    """
    # Points of a set of one's own that all lie in the middle cannot be told from unknown ones.
    if skeleton.name in skeleton_names():
        return True
    if any(i != j for i, j in enumerate(skeleton.flip_indices)):
        return True
    categories = (content or {}).get("categories") or ()
    return any(isinstance(c, Mapping) and c.get("flip_idx") for c in categories)
