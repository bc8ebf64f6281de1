"""Keypoint sets as data: one TOML file per set in this folder, read by :func:`get_skeleton`.

``docs/skeletons.md`` lists the sets and says how to add one.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from rtmpose.errors import InputError, ModelError
from rtmpose.model_card import ModelCard
from rtmpose.text_files import parse_toml, read_text
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

Color = tuple[int, int, int]

# Blue against orange stays apart for the color-blind; all three are bright enough for a dark
# outline.
SIDE_COLORS: dict[str, Color] = {
    "left": (255, 176, 56),
    "right": (31, 138, 255),
    "center": (110, 232, 190),
}
"""BGR of the subject's left and right side and of the middle, where a set names no colors of its
own.
"""

# The published sets with that many points; 17 is ambiguous (AP-10K animals) and means people.
_BY_COUNT = {17: "coco17", 21: "hand21", 26: "halpe26", 106: "lapa106", 133: "coco-wholebody133"}


# ---- finding a set


def skeleton_names() -> tuple[str, ...]:
    """The keypoint sets that come with the package, sorted by name."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(f.name[: -len(".toml")] for f in files if f.name.endswith(".toml")))


@cache
def get_skeleton(name: str) -> Skeleton:
    """The keypoint set of that name, such as ``coco17``; read once.

    Raises:
        InputError: there is no such set; the message offers near names.
        ModelError: the file of the set is damaged.
    """
    names = skeleton_names()
    # The name of a set that is not there is mostly a misspelled one.
    if name not in names:
        near = difflib.get_close_matches(str(name).lower(), names, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
        raise InputError(f"there is no keypoint set named {name!r}; {hint}")
    text = resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return _parse(text, f"{name}.toml")


def load_skeleton(path: str | Path) -> Skeleton:
    """A keypoint set from a TOML file written like those of this package.

    Raises:
        InputError: the file cannot be read.
        ModelError: the file is not a valid keypoint set.
    """
    try:
        text = read_text(Path(path))
    except InputError as error:
        raise InputError(f"cannot read the keypoint set: {error}") from error
    return _parse(text, str(path))


def skeleton_of(card: ModelCard) -> Skeleton | None:
    """The keypoint set of a model; None for detectors and classifiers.

    Raises:
        InputError: the card names a set that does not come with the package, and does not hold it.
    """
    # A set inside the card counts more than its name.
    if card.own_skeleton is not None:
        return card.own_skeleton
    return get_skeleton(card.skeleton) if card.skeleton else None


def skeleton_for_count(k: int) -> Skeleton | None:
    """The published set of the RTMPose models with ``k`` keypoints (17, 21, 26, 106, 133), or None.

    17 points are taken for a person (``coco17``), not an animal (``ap10k17``).
    """
    name = _BY_COUNT.get(k)
    return None if name is None else get_skeleton(name)


def skeleton_of_outputs(card: ModelCard, count: int, source: str | Path) -> Skeleton:
    """The keypoint set of a model's outputs: its card's, else the one that their number is
    published with, else points of unknown meaning; with a warning where it is a guess.

    Args:
        card: Of the model.
        count: Number of keypoints that it returns.
        source: The file, for the warning.
    """
    named = skeleton_of(card)
    if named is not None:
        return named

    # A number says little: 17 points may be an animal's.
    guessed = skeleton_for_count(count)
    taken = guessed or generic_skeleton(count)
    log.warning(
        "%s does not name its %d keypoints: %s; --skeleton NAME or FILE.toml says otherwise",
        source,
        count,
        f"taken for {taken.name}, by their number" if guessed else "called keypoint_0 and so on",
    )
    return taken


@cache
def generic_skeleton(k: int) -> Skeleton:
    """``k`` points of unknown meaning: ``keypoint_0`` ..., no links, no left and right, no sigmas.

    Raises:
        InputError: ``k`` is below 1.
    """
    # Without left and right, every point is its own mirror image.
    if k < 1:
        raise InputError(f"a keypoint set needs at least one point, not {k}")
    return Skeleton(
        name=f"generic{k}",
        keypoints=tuple(f"keypoint_{i}" for i in range(k)),
        flip_indices=tuple(range(k)),
        links=(),
        sides=("center",) * k,
        link_colors=(),
        keypoint_colors=(SIDE_COLORS["center"],) * k,
        description=f"{k} points of unknown meaning",
    )


# ---- reading TOML


def _parse(text: str, source: str) -> Skeleton:
    """Build a skeleton from TOML text; every fault becomes a ModelError that names ``source``."""
    try:
        table = parse_toml(text, source)
    except InputError as error:
        raise ModelError(f"the keypoint set {error}; see docs/skeletons.md") from error
    try:
        return _build(table)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        fault = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"the keypoint set {source} is not valid: {fault}; see docs/skeletons.md"
        ) from error


def _build(table: dict[str, Any]) -> Skeleton:
    # Names first: everything else refers to them.
    names = tuple(str(name) for name in table["keypoints"])
    if not names or len(set(names)) != len(names):
        raise ValueError("keypoints must be one or more different names")

    # Pairs of sides, limbs, and the tolerances of the evaluation.
    flip, sides = _flip(table.get("flip", []), names)
    links = tuple(
        pair
        for chain in table.get("links", [])
        for pair in _pairs([_index(p, names) for p in chain])
    )
    sigmas = tuple(float(s) for s in table.get("sigmas", []))

    # None at all (no OKS for this set), or one for each point.
    if sigmas and len(sigmas) != len(names):
        raise ValueError(f"{len(names)} keypoints but {len(sigmas)} sigmas")

    # Colors of groups of points; others have the color of their side.
    groups: dict[int, Color] = {}
    for group in table.get("groups", []):
        color = _bgr(group["colour"] if "colour" in group else group["color"])
        groups.update((_index(point, names), color) for point in group["keypoints"])

    # Colors of links follow from those of their ends.
    return Skeleton(
        name=str(table["name"]),
        keypoints=names,
        flip_indices=flip,
        links=links,
        sides=sides,
        link_colors=tuple(_link_color(a, b, sides, groups) for a, b in links),
        keypoint_colors=tuple(groups.get(i, SIDE_COLORS[side]) for i, side in enumerate(sides)),
        sigmas=sigmas,
        description=str(table.get("description", "")),
    )


def _index(point: int | str, names: Sequence[str]) -> int:
    # Points are written as names or as indices.
    if isinstance(point, str):
        if point not in names:
            raise ValueError(f"{point!r} is not among its keypoints")
        return names.index(point)

    # True and False are integers in Python, but no indices.
    if isinstance(point, bool) or not isinstance(point, int) or not 0 <= point < len(names):
        raise ValueError(f"{point!r} is neither a keypoint's name nor an index below {len(names)}")
    return point


def _flip(pairs: Any, names: Sequence[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Flip indices and sides from (left, right) pairs; points in no pair lie in the middle."""
    flip = list(range(len(names)))
    sides = ["center"] * len(names)
    for pair in pairs:
        left, right = (_index(point, names) for point in pair)
        if left == right or sides[left] != "center" or sides[right] != "center":
            raise ValueError(f"the flip pair {pair} repeats a keypoint")
        # Mirroring exchanges the two; all others keep their index.
        flip[left] = right
        flip[right] = left
        sides[left] = "left"
        sides[right] = "right"
    return tuple(flip), tuple(sides)


def _pairs(chain: Sequence[int]) -> list[tuple[int, int]]:
    if len(chain) < 2:
        raise ValueError("a chain of links needs two or more keypoints")
    return list(pairwise(chain))


def _link_color(a: int, b: int, sides: Sequence[str], groups: dict[int, Color]) -> Color:
    """The group's color where an end is in one, else that of the side both ends share or one end
    has.
    """
    # The far end decides, so that an arm has one color down to the hand.
    grouped = groups.get(b, groups.get(a))
    if grouped is not None:
        return grouped

    # A link across the middle belongs to neither side.
    lateral = {sides[a], sides[b]} - {"center"}
    return SIDE_COLORS[lateral.pop() if len(lateral) == 1 else "center"]


def _bgr(hex_color: str) -> Color:
    """``#rrggbb`` as a BGR triple."""
    digits = hex_color.removeprefix("#")
    if len(digits) != 6:
        raise ValueError(f"{hex_color!r} is not a color like '#ff9f43'")
    red, green, blue = bytes.fromhex(digits)  # BGR, as OpenCV draws
    return blue, green, red
