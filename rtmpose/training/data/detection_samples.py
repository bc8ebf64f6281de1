"""Annotated sets as photos with boxes, for a detector's training; a stronger detector finds who is
not annotated.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.datasets import KeypointDataset, load_boxes
from rtmpose.errors import InputError
from rtmpose.ops.boxes import box_iou
from rtmpose.training.data.mosaic import DetectionSample
from rtmpose.training.data.pose_samples import MOST_UNREADABLE, read_crop_image
from rtmpose.types import Detections, FloatArray

log = logging.getLogger(__name__)

SAME_BOX = 0.5
"""Overlap from which a detection is an annotated person."""
IN_CROWD = 0.5
"""Share of a detection's area in crowd regions from which nothing is said of it."""


def read_photos(dataset: KeypointDataset, category: str = "person") -> list[DetectionSample]:
    """The photos of a set that have at least one usable box; what is left out is counted in a
    warning.

    Args:
        dataset: In COCO form. Crowd regions become regions in which nothing is known.
        category: Whose boxes, where the set has several categories.

    Raises:
        InputError: there is no such category, most images are missing, or no photo is left.
    """
    wanted = _category(dataset, category)
    sizes = {
        int(i["id"]): (int(i.get("width") or 0), int(i.get("height") or 0))
        for i in dataset.content["images"]
    }
    photos: list[DetectionSample] = []
    missing: list[Path] = []
    faults = crowd_only = empty = 0
    for image_id, path in dataset.images.items():
        boxes, crowds, bad = _boxes(dataset.annotations[image_id], wanted)
        faults += bad
        if not len(boxes):
            crowd_only += len(crowds) > 0
            empty += not len(crowds)
            continue
        if not path.is_file():
            missing.append(path)
            continue
        number = len(boxes)
        size = sizes[image_id]
        if min(size) < 1:
            image = read_crop_image(path)
            size = (1, 1) if image is None else (image.shape[1], image.shape[0])
        photos.append(
            DetectionSample(
                image_id,
                path,
                size,
                boxes,
                np.zeros(number, np.int64),
                np.ones(number, np.float32),
                crowds,
            )
        )
    _complain(dataset, photos, missing, faults, crowd_only, empty)
    return photos


def _category(dataset: KeypointDataset, category: str) -> int | None:
    """Id of the category; None takes all, where the set has only one."""
    categories = {
        str(c.get("name", "")): int(c.get("id", 1)) for c in dataset.content["categories"]
    }
    if len(categories) <= 1:
        return None
    if category not in categories:
        raise InputError(
            f"{dataset.path} has no category {category!r}, only"
            f" {', '.join(sorted(categories)[:8])}; choose one (--set detector.category=NAME)"
        )
    return categories[category]


def _boxes(
    annotations: Sequence[Mapping[str, Any]], category: int | None
) -> tuple[FloatArray, FloatArray, int]:
    """Boxes and crowd regions xyxy, and the number of annotations that make no box."""
    boxes: list[tuple[float, ...]] = []
    crowds: list[tuple[float, ...]] = []
    faults = 0
    for a in annotations:
        if category is not None and a.get("category_id") != category:
            continue
        try:
            x, y, w, h = (float(v) for v in a["bbox"])
        except (KeyError, TypeError, ValueError):
            faults += 1
            continue
        if not all(map(math.isfinite, (x, y, w, h))) or w <= 0 or h <= 0:
            faults += 1
            continue
        (crowds if a.get("iscrowd") else boxes).append((x, y, x + w, y + h))
    return (
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(crowds, np.float32).reshape(-1, 4),
        faults,
    )


def _complain(
    dataset: KeypointDataset,
    photos: list[DetectionSample],
    missing: list[Path],
    faults: int,
    crowd_only: int,
    empty: int,
) -> None:
    number = len(dataset.images)
    if missing:
        text = (
            f"{dataset.path}: {len(missing)} of {number} images are missing, such as {missing[0]}"
        )
        if len(missing) > MOST_UNREADABLE * number:
            raise InputError(f"{text}; is the image folder right? `rtmpose data check` lists them")
        log.warning("%s; training goes on without them", text)
    counts = (
        f"{faults} boxes without area or numbers, {crowd_only} photos with crowds only, {empty}"
        " without any box"
    )
    if not photos:
        raise InputError(f"{dataset.path} holds no photo with a box to train on: {counts}")
    if faults or crowd_only or empty:
        log.warning("%s: left out %s", dataset.path, counts)


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
    photos: Sequence[DetectionSample],
    source: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[int, Detections]:
    """What a stronger detector finds in the photos, by image id.

    Args:
        photos: Any.
        source: Model of the zoo or its file; or a COCO results file (``.json``) made before.
        on_progress: Called with photos done and total.
    """
    if source.endswith(".json"):
        return load_boxes(Path(source))
    from rtmpose.detector import Detector

    detector = Detector(source, box_thr=0.05)
    found = {}
    for done, photo in enumerate(photos, 1):
        image = read_crop_image(photo.path)
        if image is not None:
            found[photo.id] = detector(image)
        if on_progress:
            on_progress(done, len(photos))
    return found


def with_detections(
    photo: DetectionSample, found: Detections, *, partial: bool, sure: float, doubt: float
) -> DetectionSample:
    """A photo with what a stronger detector found besides its annotations.

    In completely annotated photos every further detection is an unknown region: a person nobody
    labeled, or none. In partly annotated ones the sure detections are people that count by their
    score.

    Args:
        photo: The photo.
        found: In its pixels.
        partial: Whether people are missing from its annotations.
        sure: Lowest score of a person.
        doubt: Lowest score of an unknown region.
    """
    found = found[found.scores >= doubt]
    new = box_iou(found.boxes, photo.boxes).max(axis=1, initial=0) < SAME_BOX
    new &= _share_in(found.boxes, photo.crowds) < IN_CROWD
    found = found[new]
    people = (found.scores >= sure) & partial
    boxes, scores = found.boxes[people], found.scores[people]
    return replace(
        photo,
        boxes=np.concatenate([photo.boxes, boxes]),
        labels=np.concatenate([photo.labels, np.zeros(len(boxes), np.int64)]),
        weights=np.concatenate([photo.weights, scores]),
        crowds=np.concatenate([photo.crowds, found.boxes[~people]]),
    )


def _share_in(boxes: FloatArray, regions: FloatArray) -> FloatArray:
    """The largest share of each box ``(N, 4)`` that lies in one of the regions ``(R, 4)``."""
    size = np.minimum(boxes[:, None, 2:], regions[None, :, 2:]) - np.maximum(
        boxes[:, None, :2], regions[None, :, :2]
    )
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
    return np.asarray(np.maximum(size, 0).prod(axis=2).max(axis=1, initial=0) / area, np.float32)
