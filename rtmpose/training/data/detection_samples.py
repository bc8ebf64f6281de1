"""Annotated sets as images with boxes, for a detector's training; a stronger detector finds the
people without annotations.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets import KeypointDataset, load_boxes
from rtmpose.errors import InputError
from rtmpose.ops.boxes import box_iou
from rtmpose.paths import is_existing_file
from rtmpose.training.data.images import read_image_or_none, warn_of_missing
from rtmpose.training.data.mosaic import DetectionSample
from rtmpose.types import Detections, FloatArray

log = logging.getLogger(__name__)

SAME_BOX = 0.5
"""Overlap from which a detection is an annotated person."""

IN_CROWD = 0.5
"""Share of a detection's area in crowd regions from which it is left out."""

MIN_DETECTION_SCORE = 0.05

ALL_CATEGORIES = "all"
"""Stands for every category of the data."""


def class_names(datasets: Sequence[KeypointDataset], category: str = "person") -> tuple[str, ...]:
    """The classes that a detector learns, in the order of its outputs.

    Args:
        datasets: Annotated sets.
        category: A name, several with commas, or ``all``. A set with a single category needs none.

    Raises:
        InputError: no set has one of them.
    """
    # All names, in the order of the sets.
    names = list(dict.fromkeys(name for d in datasets for name in _categories(d)))
    if category == ALL_CATEGORIES:
        return tuple(names)
    asked = tuple(name.strip() for name in category.split(",") if name.strip())
    if len(names) == 1 and len(asked) == 1:
        return tuple(names)
    unknown = [name for name in asked if name not in names]
    if unknown or not asked:
        raise InputError(
            f"{', '.join(str(d.path) for d in datasets)}: no category"
            f" {' or '.join(map(repr, unknown or asked))}, only {', '.join(sorted(names)[:8])};"
            " choose (--set detector.category=NAME, several with commas, or all)"
        )
    return asked


def read_detection_samples(
    dataset: KeypointDataset, classes: Sequence[str] = ("person",)
) -> list[DetectionSample]:
    """The images of a set that have at least one usable box; what is left out is counted in a
    warning.

    Args:
        dataset: In COCO form. Crowd regions become regions that do not count as background.
        classes: Names of the categories, in the order of the detector's outputs; a set with one
            category may call it otherwise, where there is one class.

    Raises:
        InputError: there is no such category, many images are missing, or no image is left.
    """
    # Widths and heights as the annotations give them; 0 where they do not.
    class_of = class_numbers(dataset, classes)
    sizes = {
        int(i["id"]): (int(i.get("width") or 0), int(i.get("height") or 0))
        for i in dataset.content["images"]
    }

    # What is left out is counted by reason, for one warning at the end.
    samples: list[DetectionSample] = []
    missing: list[Path] = []
    faults = 0
    crowd_only = 0
    empty = 0
    for image_id, path in dataset.images.items():
        boxes, labels, crowds, bad = _boxes(dataset.annotations[image_id], class_of)
        faults += bad
        if not len(boxes):
            crowd_only += len(crowds) > 0
            empty += not len(crowds)
            continue
        if not is_existing_file(path):
            missing.append(path)
            continue

        # Some sets do not say how large their images are.
        size = sizes[image_id]
        if min(size) < 1:
            image = read_image_or_none(path)
            size = (1, 1) if image is None else (image.shape[1], image.shape[0])

        # Human labels count in full.
        weights = np.ones(len(boxes), np.float32)
        samples.append(DetectionSample(image_id, path, size, boxes, labels, weights, crowds))

    # Many missing images are an error, a few a warning.
    warn_of_missing(dataset, missing)
    counts = (
        f"{faults} boxes without area or numbers, {crowd_only} images with crowds only, {empty}"
        " without any box"
    )
    if not samples:
        raise InputError(f"{dataset.path} holds no image with a box to train on: {counts}")
    if faults or crowd_only or empty:
        log.warning("%s: left out %s", dataset.path, counts)
    return samples


def class_numbers(dataset: KeypointDataset, classes: Sequence[str]) -> dict[int, int] | None:
    """Category id to the number of its class; None where the set has one category and the detector
    one class: all boxes are of it.

    Raises:
        InputError: the set has none of the classes.
    """
    categories = _categories(dataset)
    if len(categories) <= 1 and len(classes) == 1:
        return None
    found = {number: classes.index(name) for name, number in categories.items() if name in classes}
    if not found:
        raise InputError(
            f"{dataset.path} has no category {' or '.join(map(repr, classes))}, only"
            f" {', '.join(sorted(categories)[:8])}; choose one (--set detector.category=NAME)"
        )
    return found


def _categories(dataset: KeypointDataset) -> dict[str, int]:
    """Names of the categories and their ids."""
    return {str(c.get("name", "")): int(c.get("id", 1)) for c in dataset.content["categories"]}


def _boxes(
    annotations: Sequence[Mapping[str, object]], class_of: Mapping[int, int] | None
) -> tuple[FloatArray, NDArray[np.int64], FloatArray, int]:
    """Boxes xyxy, their classes, crowd regions xyxy, and the number of annotations without a usable
    box.
    """
    boxes: list[tuple[float, float, float, float]] = []
    labels: list[int] = []
    crowds: list[tuple[float, float, float, float]] = []
    faults = 0

    # Crowd regions are kept apart: they are neither objects nor background.
    for a in annotations:
        label = 0 if class_of is None else class_of.get(a.get("category_id"))  # type: ignore[call-overload]
        if label is None:
            continue
        try:
            # COCO boxes are x, y, width, height.
            x, y, w, h = np.asarray(a["bbox"], np.float64).tolist()
        except (KeyError, TypeError, ValueError):
            faults += 1
            continue
        if not all(map(math.isfinite, (x, y, w, h))) or w <= 0 or h <= 0:
            faults += 1
            continue
        if a.get("iscrowd"):
            crowds.append((x, y, x + w, y + h))
        else:
            boxes.append((x, y, x + w, y + h))
            labels.append(label)
    return (
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(crowds, np.float32).reshape(-1, 4),
        faults,
    )


def is_partial(dataset: KeypointDataset) -> bool:
    """Whether people are missing from the annotations: crops around one person, or labels made by a
    model.
    """
    return any(
        "crop" in a or a.get("label_source") == "teacher"
        for rows in dataset.annotations.values()
        for a in rows
    )


def detections_for(
    samples: Sequence[DetectionSample],
    source: str,
    on_progress: Callable[[int, int], None] | None = None,
    categories: Collection[int] | None = None,
) -> dict[int, Detections]:
    """What a stronger detector finds in the images, by image id.

    Args:
        samples: The images.
        source: Model of the zoo or its file; or a COCO results file (``.json``) from before.
        on_progress: Called with images done and total.
        categories: Ids of the set whose boxes are taken from a results file; None takes all.
    """
    if source.endswith(".json"):
        return load_boxes(Path(source), categories)

    # Imported here: the runtime is needed only where a detector runs.
    from rtmpose.detector import Detector

    # Many more boxes than a user would be shown: the thresholds of the recipe decide later.
    detector = Detector(source, box_thr=MIN_DETECTION_SCORE)
    found: dict[int, Detections] = {}
    for done, sample in enumerate(samples, 1):
        image = read_image_or_none(sample.path)
        if image is not None:
            found[sample.id] = detector(image)
        if on_progress:
            on_progress(done, len(samples))
    return found


def add_detections(
    sample: DetectionSample,
    found: Detections,
    *,
    partial: bool,
    pseudo_score_thr: float,
    ignore_score_thr: float,
) -> DetectionSample:
    """An image with what a stronger detector found in addition to its annotations.

    In completely annotated images every further detection is a region that does not count as
    background: it may be a person that nobody labeled, or none. In partly annotated ones the
    confident detections are people, weighted by their score.

    Args:
        sample: The image.
        found: In its pixels.
        partial: Whether people are missing from its annotations.
        pseudo_score_thr: Lowest score of a person.
        ignore_score_thr: Lowest score of a region that does not count as background.
    """
    # Only what is neither annotated nor in a crowd is new.
    found = found[found.scores >= ignore_score_thr]
    new = box_iou(found.boxes, sample.boxes).max(axis=1, initial=0) < SAME_BOX
    new &= _share_in(found.boxes, sample.crowds) < IN_CROWD
    found = found[new]

    # Confident detections are people only where people are known to be missing.
    people = (found.scores >= pseudo_score_thr) & partial
    boxes = found.boxes[people]
    return replace(
        sample,
        boxes=np.concatenate([sample.boxes, boxes]),
        labels=np.concatenate([sample.labels, np.zeros(len(boxes), np.int64)]),
        weights=np.concatenate([sample.weights, found.scores[people]]),
        crowds=np.concatenate([sample.crowds, found.boxes[~people]]),
    )


def _share_in(boxes: FloatArray, regions: FloatArray) -> FloatArray:
    """The largest share of each box ``(N, 4)`` that lies in one of the regions ``(R, 4)``."""
    # Width and height of each intersection (N, R, 2); negative where they do not meet.
    size = np.minimum(boxes[:, None, 2:], regions[None, :, 2:]) - np.maximum(
        boxes[:, None, :2], regions[None, :, :2]
    )
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
    # (N, R) -> (N,)
    return np.asarray(np.maximum(size, 0).prod(axis=2).max(axis=1, initial=0) / area, np.float32)
