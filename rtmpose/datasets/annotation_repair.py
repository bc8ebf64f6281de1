"""Complete the fields of annotations, and repair what would spoil a training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rtmpose.datasets.coco_entries import (
    are_real,
    as_list,
    is_crowd,
    is_number_list,
    is_real,
    short,
    usable_area,
)
from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.errors import InputError

BOX_TO_AREA = 0.53
"""Area of a person as a fraction of the box, where a set has no segmentation (as in mmpose)."""


def complete_annotation(annotation: JsonObject, path: Path) -> bool:
    """Add missing fields to an annotation, in place, and repair what would spoil a training.

    ``num_keypoints`` is counted where it is missing or cannot be right. Where they are missing,
    ``area`` is estimated as 0.53 of the box and ``iscrowd`` is 0; an area of 0, or one that is no
    number, counts as missing. Points that are not finite lose their label. A box that is not finite
    or has no area is put around the labeled points; where there are none, the instance counts as
    without keypoints.

    Args:
        annotation: A COCO annotation; changed.
        path: The annotation file, for errors.

    Returns:
        Whether something was repaired.

    Raises:
        InputError: keypoints or box do not hold numbers.
    """
    points = _numbers(annotation, "keypoints", path)
    if len(points) % 3:
        raise InputError(
            f"{path}: annotation {annotation.get('id')} has {len(points)} keypoint numbers, which"
            " are no triples x, y, v; `rtmpose data check` lists all such annotations"
        )
    box = [float(v) for v in _numbers(annotation, "bbox", path)]

    # Points that are not finite lose their label.
    repaired = not is_number_list(points)
    if repaired:
        points = _finite_points(points)
        annotation.pop("num_keypoints", None)
    if points or "keypoints" in annotation:
        annotation["keypoints"] = points
    annotation["num_keypoints"] = _num_keypoints(annotation, points)

    # Boxes that cannot be used are put around the points.
    if annotation["num_keypoints"] and not _is_usable_box(box):
        repaired = True
        box = box_around(points)
        annotation["bbox"] = box
        if min(box[2:]) <= 0:  # all labeled points on a line: nothing to crop
            annotation["num_keypoints"] = 0

    # What evaluations and trainings count on.
    annotation["iscrowd"] = int(is_crowd(annotation))
    if usable_area(annotation) is None:
        annotation["area"] = BOX_TO_AREA * box[2] * box[3] if _is_usable_box(box) else 0.0
    return repaired


def _num_keypoints(annotation: JsonObject, points: Sequence[float]) -> int:
    """What the file says, where that can be: some sets count the points of the body only, and 0
    leaves an instance out.
    """
    said: Json = annotation.get("num_keypoints")
    is_count = is_real(said) and said >= 0 and said == said // 1
    labeled = count_labeled(points)
    return int(said) if is_count and labeled else labeled


def _numbers(annotation: JsonObject, field: str, path: Path) -> list[float]:
    """The numbers of a field, finite or not; none where it is missing.

    Raises:
        InputError: it holds something else.
    """
    values = as_list(annotation.get(field))
    if values is None:
        return []
    if not isinstance(values, list | tuple) or not are_real(values):
        raise InputError(
            f"{path}: annotation {short(annotation.get('id'))} does not hold numbers ({field}):"
            f" {short(values)}; `rtmpose data check` lists all such annotations"
        )
    return list(values)


def count_labeled(keypoints: Sequence[float]) -> int:
    """Number of labeled points among flat x, y, v triples."""
    return sum(1 for v in keypoints[2::3] if v > 0)


def box_around(keypoints: Sequence[float]) -> list[float]:
    """The smallest box x, y, w, h around labeled points (flat x, y, v triples).

    All zeros where no point is labeled.
    """
    triples = zip(keypoints[::3], keypoints[1::3], keypoints[2::3], strict=True)
    labeled = [(float(x), float(y)) for x, y, v in triples if v > 0]
    if not labeled:
        return [0.0, 0.0, 0.0, 0.0]
    left = min(x for x, _ in labeled)
    top = min(y for _, y in labeled)
    right = max(x for x, _ in labeled)
    bottom = max(y for _, y in labeled)
    return [left, top, right - left, bottom - top]


def check_keypoint_counts(
    annotations: Iterable[Mapping[str, Json]], keypoints: int, path: Path
) -> None:
    """Every annotation with keypoints must have the same number of them.

    Args:
        annotations: COCO annotations.
        keypoints: Their number; 0 takes that of the first annotation that has any.
        path: The annotation file, for errors.

    Raises:
        InputError: an annotation has another number.
    """
    # Without a number the first annotation with keypoints says it.
    for annotation in annotations:
        count = len(annotation.get("keypoints") or ())
        if not count:
            continue
        keypoints = keypoints or count // 3
        if count != 3 * keypoints:
            raise InputError(
                f"{path}: annotation {annotation.get('id')} has {count} keypoint numbers, not"
                f" {3 * keypoints} (x, y, v of {keypoints} points); `rtmpose data check` lists all"
                " such annotations"
            )


def _finite_points(points: Sequence[float]) -> list[float]:
    """Flat x, y, v triples; those that are not finite become 0, 0, 0."""
    flat: list[float] = []
    for start in range(0, len(points), 3):
        triple = points[start : start + 3]
        flat += triple if is_number_list(triple) else (0, 0, 0)[: len(triple)]
    return flat


def _is_usable_box(box: Sequence[float]) -> bool:
    return len(box) == 4 and is_number_list(box) and min(box[2:]) > 0
