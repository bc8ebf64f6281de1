"""Issues of single annotations: their box and their keypoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets.annotation_repair import box_around
from rtmpose.datasets.box_forms import (
    image_size_of,
    is_centered,
    is_corners,
    is_relative,
    labeled_points,
)
from rtmpose.datasets.check_report import IssueCollector
from rtmpose.datasets.coco_entries import (
    is_crowd,
    is_number_list,
    is_usable_number,
    short,
    usable_area,
)
from rtmpose.datasets.coco_types import Json, JsonObject

EDGE_TOLERANCE = 2.0
"""Pixels that points and boxes may lie outside of the image: rounding, and pixel edges against
pixel centers.
"""
FAR_FROM_BOX = 0.5
"""Points farther outside of the box than this fraction of its longer side count as mistakes."""


@dataclass(frozen=True)
class _Context:
    """Where an annotation is, for the examples in the report."""

    annotation_id: int
    where: str  # annotation and image, for people
    image_wh: tuple[float, float] | None
    issues: IssueCollector

    def add(self, kind: str, text: str = "") -> None:
        example = f"{self.where}: {text}" if text else self.where
        self.issues.add(kind, example, self.annotation_id)


def check_annotation(
    annotation: JsonObject, image: Mapping[str, Json], keypoints: int, issues: IssueCollector
) -> None:
    """Look for issues of one annotation.

    Args:
        annotation: With ``id``.
        image: The entry of its image.
        keypoints: Number of keypoints of the set; 0 where unknown.
        issues: What is found is added to it.
    """
    where = f"annotation {annotation['id']} in {image['file_name']}"
    context = _Context(annotation["id"], where, image_size_of(image), issues)

    # The box. One that cannot be used says nothing of the points either.
    box = annotation.get("bbox")
    if is_box(box):
        _check_box(box, annotation, context)
    else:
        context.add("box-not-numbers", short(box))
        box = None
    _check_counts(annotation, context)

    # The keypoints. Crowd regions and instances for detectors need none.
    points = annotation.get("keypoints")
    if points is None or points == []:
        if not annotation.get("iscrowd"):
            context.add("without-keypoints")
        return
    if not isinstance(points, list | tuple):
        context.add("keypoints-not-numbers", short(points))
        return
    if not _fits(points, keypoints):
        hint = " (x, y without v?)" if len(points) == 2 * keypoints else ""
        context.add("wrong-keypoint-count", f"{len(points)} values, not {3 * keypoints}{hint}")
        return
    if not is_number_list(points):
        wrong = next((v for v in points if not is_usable_number(v)), None)
        context.add("keypoints-not-numbers", short(wrong))
        return
    _check_points(annotation, points, box, context)


def is_usable(annotation: Mapping[str, Json], keypoints: int) -> bool:
    """Whether a training would take the instance.

    Args:
        annotation: A COCO annotation.
        keypoints: Number of keypoints of the set; 0 where unknown.
    """
    # Finite keypoints in the set's number, a usable box, one labeled point.
    points = annotation.get("keypoints") or []
    if not points or not is_number_list(points) or not _fits(points, keypoints):
        return False
    if is_crowd(annotation) or annotation.get("num_keypoints") == 0:
        return False
    if not is_box(annotation.get("bbox")):
        return False
    return any(v > 0 for v in points[2::3])


def with_box(annotation: JsonObject, keypoints: int) -> JsonObject:
    """The annotation as reading completes it: a box that is missing is put around the points.

    Args:
        annotation: A COCO annotation.
        keypoints: Number of keypoints of the set; 0 where unknown.
    """
    points = annotation.get("keypoints") or []
    missing = annotation.get("bbox") is None
    if not missing or not is_number_list(points) or not points or not _fits(points, keypoints):
        return annotation
    return {**annotation, "bbox": box_around(points)}


def is_box(values: Json) -> TypeGuard[Sequence[float]]:
    """Whether it is a list of four finite numbers."""
    return is_number_list(values) and len(values) == 4


def _check_counts(annotation: JsonObject, context: _Context) -> None:
    """Fields that are estimated where they are missing, but should not be wrong."""
    if annotation.get("area") is not None and usable_area(annotation) is None:
        context.add("area-without-use", f"area {short(annotation['area'])}")
    if annotation.get("category_id") is None:
        context.add("without-category")


def _fits(points: Sequence[Json], keypoints: int) -> bool:
    """Whether the values are triples, and as many as the set has keypoints."""
    return len(points) % 3 == 0 and (not keypoints or len(points) == 3 * keypoints)


def _check_box(box: Sequence[float], annotation: JsonObject, context: _Context) -> None:
    x, y, w, h = box
    text = str([round(float(v), 1) for v in box])
    values = annotation.get("keypoints")
    is_readable = is_number_list(values) and len(values) % 3 == 0
    points = labeled_points(values if is_readable and values else [])

    # Each box has one issue, the worst.
    if w <= 0 or h <= 0:
        context.add("box-without-area", text)
        return
    if is_relative(points, box):
        context.add("relative-coordinates", text)
        return
    if is_corners(points, box, context.image_wh):
        context.add("box-corners", text)
        return
    if is_centered(points, box):
        context.add("box-centered", text)
        return
    if context.image_wh is None:
        return
    width, height = context.image_wh
    text = f"{text} in {width} x {height}"

    # Nothing of the box is in the image.
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        context.add("box-outside-image", text)
        return
    # People at the edge of the image are often boxed beyond it.
    past_left_top = min(x, y) < -EDGE_TOLERANCE
    past_right_bottom = x + w > width + EDGE_TOLERANCE or y + h > height + EDGE_TOLERANCE
    if past_left_top or past_right_bottom:
        context.add("box-past-edge", text)


def _check_points(
    annotation: JsonObject, points: Sequence[float], box: Sequence[float] | None, context: _Context
) -> None:
    # Visibility.
    wrong = sorted(set(points[2::3]) - {0, 1, 2})
    if wrong:
        context.add("wrong-visibility", f"v = {', '.join(f'{v:g}' for v in wrong[:3])}")
    triples = np.array(points, np.float64).reshape(-1, 3)
    labeled = triples[triples[:, 2] > 0, :2]
    if not len(labeled):
        if not annotation.get("iscrowd"):
            context.add("without-keypoints")
        return
    if annotation.get("num_keypoints", 1) == 0:
        context.add("num-keypoints-of-zero", f"has {len(labeled)} labeled points")
    elif "num_keypoints" in annotation and annotation["num_keypoints"] != len(labeled):
        text = f"says {short(annotation['num_keypoints'])}, has {len(labeled)}"
        context.add("wrong-num-keypoints", text)

    # Places.
    if context.image_wh is not None:
        _check_inside_image(labeled, context.image_wh, context)
    if box is not None and min(box[2:]) > 0:
        _check_near_box(labeled, box, context)


def _check_inside_image(
    labeled: NDArray[np.float64], image_wh: tuple[float, float], context: _Context
) -> None:
    # Pixel centers lie at whole numbers: the last one is at width - 1.
    last_pixel = np.array(image_wh) - 1
    past_left_top = (labeled < -EDGE_TOLERANCE).any(axis=1)
    past_right_bottom = (labeled > last_pixel + EDGE_TOLERANCE).any(axis=1)
    outside = past_left_top | past_right_bottom
    if outside.any():
        width, height = image_wh
        text = f"{_rounded(labeled[outside][0])} in {width} x {height}"
        context.add("point-outside-image", text)


def _check_near_box(labeled: NDArray[np.float64], box: Sequence[float], context: _Context) -> None:
    low = np.array(box[:2])
    high = low + box[2:]
    # How far each point lies outside; negative inside.
    distances = np.maximum(low - labeled, labeled - high).max(axis=1)  # (labeled points,)
    if distances.max() > FAR_FROM_BOX * max(box[2:]):
        text = f"{_rounded(labeled[distances.argmax()])}, box {_rounded(box)}"
        context.add("point-far-from-box", text)


def _rounded(values: Iterable[float]) -> str:
    return "(" + ", ".join(f"{float(v):.0f}" for v in values) + ")"
