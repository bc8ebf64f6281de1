"""Complete the fields of annotations, and repair what would spoil a training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.errors import InputError

BOX_TO_AREA = 0.53
"""Area of a person as a fraction of the box, where a set has no segmentation (as in mmpose)."""


def complete_annotation(annotation: JsonObject, path: Path) -> bool:
    """Add missing fields to an annotation, in place, and repair what would spoil a training.

    Where they are missing, ``num_keypoints`` is counted, ``area`` is estimated as 0.53 of the box
    and ``iscrowd`` is 0. Points that are not finite lose their label. A box that is not finite or
    has no area is put around the labeled points; where there are none, the instance counts as
    without keypoints.

    Args:
        annotation: A COCO annotation; changed.
        path: The annotation file, for errors.

    Returns:
        Whether something was repaired.

    Raises:
        InputError: keypoints or box do not hold numbers.
    """
    points = annotation.get("keypoints") or []
    try:
        total = sum(points)  # any NaN or infinity shows in the sum
        box = [float(v) for v in annotation.get("bbox") or ()]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: annotation {annotation.get('id')} does not hold numbers (keypoints, bbox):"
            f" {error}"
        ) from error

    # Points that are not finite lose their label.
    repaired = not math.isfinite(total)
    if repaired:
        points = _finite_points(points)
        annotation["keypoints"] = points
        annotation.pop("num_keypoints", None)
    if points and "num_keypoints" not in annotation:
        annotation["num_keypoints"] = count_labeled(points)

    # Boxes that cannot be used are put around the points.
    if annotation.get("num_keypoints") and not _is_usable_box(box):
        repaired = True
        box = box_around(points)
        annotation["bbox"] = box
        if min(box[2:]) <= 0:  # all labeled points on a line: nothing to crop
            annotation["num_keypoints"] = 0

    # What evaluations and trainings count on.
    annotation.setdefault("iscrowd", 0)
    if "area" not in annotation and len(box) == 4:
        annotation["area"] = BOX_TO_AREA * box[2] * box[3]
    return repaired


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
        flat += triple if math.isfinite(sum(triple)) else (0, 0, 0)
    return flat


def _is_usable_box(box: Sequence[float]) -> bool:
    return len(box) == 4 and math.isfinite(sum(box)) and min(box[2:]) > 0
