"""Values and entries of COCO content that may hold anything: what is usable of them, and how to
name what is not.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TypeGuard

import numpy as np

from rtmpose.datasets.coco_types import CocoContent, Json, JsonObject
from rtmpose.errors import InputError

LARGEST_ID = 2**63 - 1
"""Ids go through numpy, whose integers end there."""
MAX_ID_LENGTH = 30
LARGEST_COORDINATE = 1e7
"""Pixels; no image is nearly as wide, and larger numbers overflow where they are squared."""
MAX_NAMED = 8

LABEL_STUDIO = "Label Studio"


# ---- values


def short(value: Json) -> str:
    """A value for a message: however long it is and however deeply nested, on one short line."""
    return reprlib.repr(value)


def whole_number(value: Json, name: str = "it") -> int:
    """An id as an int: a number without a fraction, or its digits as text.

    Args:
        value: The id.
        name: What it is called, for the error.

    Raises:
        ValueError: it is something else.
    """
    # Nearly all are plain numbers.
    if type(value) is int and -LARGEST_ID <= value <= LARGEST_ID:
        return value
    if isinstance(value, str):
        is_whole = value.isascii() and value.strip().isdecimal() and len(value) < MAX_ID_LENGTH
    else:
        is_whole = is_real(value) and math.isfinite(value) and value == int(value)
    if not is_whole:
        raise ValueError(f"{name} is {short(value)}, which is not a whole number")
    number = int(value)
    if abs(number) > LARGEST_ID:
        raise ValueError(f"{name} is {short(value)}, which is too large for an id")
    return number


def is_real(value: Json) -> TypeGuard[float]:
    """Whether it is a number, NaN and infinity too, of Python or numpy; true and false are none."""
    kind = type(value)
    return kind is float or kind is int or (isinstance(value, Real) and kind is not bool)


def are_real(values: Sequence[Json]) -> TypeGuard[Sequence[float]]:
    """Whether all of them are numbers; quicker than one by one."""
    types = set(map(type, values))
    return types <= {int, float} or (bool not in types and all(issubclass(t, Real) for t in types))


def is_usable_number(value: Json) -> TypeGuard[float]:
    """Whether it is a number that pixels can have: finite and not too large."""
    return is_real(value) and abs(value) <= LARGEST_COORDINATE


def is_number_list(values: Json) -> TypeGuard[Sequence[float]]:
    """Whether it is a list of usable numbers."""
    if not isinstance(values, list | tuple) or not are_real(values):
        return False
    # NaN survives a sum, which is quicker than a look at each number.
    return not values or (
        not math.isnan(sum(values))
        and max(values) <= LARGEST_COORDINATE
        and min(values) >= -LARGEST_COORDINATE
    )


def as_list(values: Json) -> Json:
    """An array as a list, anything else as it is."""
    return values.tolist() if isinstance(values, np.ndarray) else values


def usable_area(annotation: Mapping[str, Json]) -> float | None:
    """``area`` of an annotation; None where it is missing, 0, or no number."""
    area = annotation.get("area")
    if is_real(area) and 0 < area < LARGEST_COORDINATE**2:
        return float(area)
    return None


def is_crowd(annotation: Mapping[str, Json]) -> bool:
    """Whether ``iscrowd`` says so: a number or its digits as text, or true."""
    value = annotation.get("iscrowd")
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false")
    return bool(value)


# ---- lists of entries


def entries(content: CocoContent, name: str) -> list[Json]:
    """One of the three lists of COCO content; empty where it is none."""
    values = content.get(name)
    return values if isinstance(values, list) else []


def usable_categories(content: CocoContent) -> list[JsonObject]:
    """The categories that are objects with an id; their ids are whole numbers."""
    found: list[JsonObject] = []
    for entry in entries(content, "categories"):
        try:
            found.append({**entry, "id": whole_number(entry["id"])})
        except (TypeError, KeyError, ValueError):
            continue
    return found


def category_name(category: Mapping[str, Json]) -> str:
    """What a category is called; its id where it has no name."""
    name = category.get("name", category.get("id"))
    return name if isinstance(name, str) else short(name)


def default_category(content: CocoContent) -> int:
    """The category of annotations that name none: the first with keypoints, else the first."""
    categories = usable_categories(content)
    with_points = [c for c in categories if isinstance(c.get("keypoints"), list) and c["keypoints"]]
    chosen = (with_points or categories or [{"id": 1}])[0]
    return int(chosen["id"])


def keypoint_lists(content: CocoContent) -> dict[str, tuple[str, ...]]:
    """Category name to its keypoint names, for the categories that have any."""
    found: dict[str, tuple[str, ...]] = {}
    for category in usable_categories(content):
        points = category.get("keypoints")
        if isinstance(points, list) and points:
            found[category_name(category)] = tuple(map(str, points))
    return found


def own_sigmas(content: CocoContent) -> tuple[float, ...]:
    """Those of the first category with keypoints, where it gives any that can be used."""
    category = next((c for c in usable_categories(content) if c.get("keypoints")), {})
    return () if sigmas_fault(category) else tuple(map(float, category.get("sigmas") or ()))


def sigmas_fault(category: Mapping[str, Json]) -> str:
    """What is wrong with the ``sigmas`` of a category; empty where nothing is."""
    sigmas = category.get("sigmas")
    points = category.get("keypoints")
    if sigmas is None or not isinstance(points, list):
        return ""
    if is_number_list(sigmas) and len(sigmas) == len(points) and min(sigmas, default=1) > 0:
        return ""
    return f"not {len(points)} positive numbers but {short(sigmas)}"


# ---- whole files


def check_content(content: Json, path: Path) -> None:
    """Refuse what is no COCO content at all, or cannot be told apart any more.

    Raises:
        InputError: see above.
    """
    if not isinstance(content, Mapping):
        raise InputError(
            f"{path} is not a COCO keypoint set: it holds {short(content)}, not an object with"
            " images, annotations and categories"
        )
    for name in ("images", "annotations", "categories"):
        if name not in content:
            raise InputError(
                f"{path} is not a COCO keypoint set (images, annotations, categories): it has no"
                f" {name!r}"
            )

    # Label Studio makes one annotation of all the people of an image.
    info = content.get("info")
    is_theirs = isinstance(info, Mapping) and info.get("contributor") == LABEL_STUDIO
    rows = entries(content, "annotations")
    if is_theirs and any(isinstance(a, Mapping) and a.get("keypoints") for a in rows):
        raise InputError(
            f"{path} is Label Studio's COCO export, which joins the points of all people of an"
            " image into one annotation: export the project as JSON (not JSON-MIN) instead, and"
            " convert that with `rtmpose data convert`"
        )


def select_category(content: CocoContent, name: str, path: Path) -> JsonObject:
    """The content with the annotations of one category only.

    Args:
        content: COCO content.
        name: Of the category, or its id.
        path: The file, for errors.

    Raises:
        InputError: there is no such category.
    """
    check_content(content, path)
    categories = usable_categories(content)
    chosen = [c for c in categories if name in (category_name(c), str(c["id"]))]
    if not chosen:
        names = ", ".join(category_name(c) for c in categories[:MAX_NAMED])
        raise InputError(f"{path} has no category {name!r}; it has {names or 'none'}")
    ids = {c["id"] for c in chosen}
    fallback = default_category(content)
    rows = []
    for row in entries(content, "annotations"):
        try:
            category = whole_number(row.get("category_id", fallback))
        except (AttributeError, ValueError):
            continue
        if category in ids:
            rows.append(row)
    return {**content, "annotations": rows, "categories": chosen}


def check_one_skeleton(content: CocoContent, path: Path) -> None:
    """Refuse a file whose categories have different keypoints, or sigmas that do not fit them.

    Raises:
        InputError: see above.
    """
    found = keypoint_lists(content)
    if len(set(found.values())) > 1:
        named = ", ".join(f"{n} ({len(points)})" for n, points in list(found.items())[:MAX_NAMED])
        raise InputError(
            f"{path} has categories with different keypoints: {named}; choose one with"
            " --category NAME (for a training: `rtmpose data convert` with it writes that one)"
        )
    for category in usable_categories(content):
        if fault := sigmas_fault(category):
            raise InputError(f"{path}: the sigmas of {category_name(category)} are {fault}")
