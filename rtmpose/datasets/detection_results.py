"""Files of boxes that a detector found: COCO detection results."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypeAlias

from rtmpose.datasets.annotation_files import read_json
from rtmpose.datasets.coco_entries import is_number_list, is_real, short, whole_number
from rtmpose.datasets.coco_types import Json
from rtmpose.errors import InputError
from rtmpose.types import Detections

log = logging.getLogger(__name__)

MAX_NAMED = 8


Row: TypeAlias = tuple[int, Sequence[float], float, int | None]
"""Image id, box x, y, w, h, score, and category where there is one."""


def load_boxes(path: Path, categories: Collection[int] | None = None) -> dict[int, Detections]:
    """Boxes by image id from COCO detection results (image_id, bbox x y w h, score).

    Args:
        path: The file.
        categories: Take the boxes of these only, where the file says of which category they are;
            a file of one category is taken whole. None takes all.

    Raises:
        InputError: the file is missing or something else, or it has no box of the categories.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(
            f"{path} does not hold COCO detection results: it should be a list of objects with"
            f" image_id, bbox and score, not {short(entries)}"
        )

    rows: list[Row] = []
    for position, entry in enumerate(entries):
        try:
            rows.append(_row(entry))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(
                f"{path} does not hold COCO detection results (image_id, bbox, score): entry"
                f" {position}: {reason}"
            ) from error

    # By image, in the order of the file.
    boxes: dict[int, list[list[float]]] = {}
    scores: dict[int, list[float]] = {}
    for image_id, (x, y, w, h), score, _ in _of_categories(rows, categories, path):
        boxes.setdefault(image_id, []).append([x, y, x + w, y + h])
        scores.setdefault(image_id, []).append(score)
    return {i: Detections.from_boxes(boxes[i], scores[i]) for i in boxes}


def _row(entry: Json) -> Row:
    """An entry of the file.

    Raises:
        ValueError: a field holds something else.
        KeyError: a field is missing.
        TypeError: it is no object.
    """
    if not isinstance(entry, dict):
        raise TypeError(f"{short(entry)} is not an object")
    box = entry["bbox"]
    if not is_number_list(box) or len(box) != 4:
        raise ValueError(f"the box {short(box)} is not four finite numbers x, y, w, h")
    score = entry.get("score", 1)
    if not is_real(score) or not math.isfinite(score):
        raise ValueError(f"the score {short(score)} is not a finite number")
    category = entry.get("category_id")
    return (
        whole_number(entry["image_id"], "image_id"),
        box,
        float(score),
        None if category is None else whole_number(category, "category_id"),
    )


def _of_categories(rows: list[Row], categories: Collection[int] | None, path: Path) -> list[Row]:
    """The rows of these categories, and those without a category; says what is left out.

    Raises:
        InputError: nothing is left.
    """
    if categories is None:
        return rows
    kept = [row for row in rows if row[3] is None or row[3] in categories]
    dropped = Counter(row[3] for row in rows if row[3] is not None and row[3] not in categories)
    if not dropped:
        return rows

    # A detector of one class may number it as it likes.
    wanted = ", ".join(map(str, sorted(categories)[:MAX_NAMED]))
    named = ", ".join(f"{category} ({n})" for category, n in dropped.most_common(MAX_NAMED))
    named += " and others" if len(dropped) > MAX_NAMED else ""
    if not kept and len(dropped) == 1:
        log.warning(
            "%s: all boxes are of category %s, where the set has %s; they are taken for it",
            path,
            named,
            wanted,
        )
        return rows
    if not kept:
        raise InputError(
            f"{path} has no box of the set's category {wanted}; it has boxes of category {named}."
            " Number its categories as the annotations do"
        )
    log.warning(
        "%s: %d boxes of category %s were kept, %d of other categories were left out: %s",
        path,
        len(kept),
        wanted,
        sum(dropped.values()),
        named,
    )
    return kept
