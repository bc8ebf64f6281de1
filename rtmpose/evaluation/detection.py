"""Score a detector by its boxes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from rtmpose.datasets import KeypointDataset
from rtmpose.datasets.coco_types import JsonObject
from rtmpose.errors import InputError
from rtmpose.evaluation.coco import coco_box_ap, require_pycocotools
from rtmpose.evaluation.pose import Evaluation
from rtmpose.families import BoxModel
from rtmpose.ops.boxes import xyxy_to_xywh
from rtmpose.ranges import FRACTION, FRAMES, check_number, check_optional
from rtmpose.sources import read_image
from rtmpose.types import Detections

log = logging.getLogger(__name__)

BOX_THR = 0.001
"""Lowest score of a box that counts, as published: AP needs boxes of low scores too."""


def evaluate_detector(
    dataset: KeypointDataset,
    detector: BoxModel,
    *,
    box_thr: float = BOX_THR,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """COCO box AP and AR of a detector that finds one class: the set's first category, such as
    person.

    All annotations count, with keypoints or without; crowd regions take boxes without counting
    them. COCO counts the 100 highest-scoring boxes of an image.

    Args:
        dataset: The annotated set.
        detector: A :class:`rtmpose.Detector` or anything called like it.
        box_thr: Lowest score of a box.
        limit: Evaluate at most this number of images, the first ones.
        on_progress: Called with the number of images done and in total.

    Raises:
        InputError: no image can be read, or nothing is annotated.
    """
    require_pycocotools()
    # The first images of the set, in its order.
    check_number("box_thr", box_thr, FRACTION)
    check_optional("limit", limit, FRAMES)
    ids = list(dataset.images)[:limit]
    if not any(a.get("bbox") for i in ids for a in dataset.annotations[i]):
        raise InputError(
            f"{dataset.path} has no boxes in these images, so there is nothing to score a"
            " detector by"
        )
    # The detector finds one class: the first category.
    categories = dataset.content.get("categories") or [{"id": 1}]
    category = int(categories[0]["id"])

    # Detect in one image after the other.
    results: list[JsonObject] = []
    evaluated: list[int] = []
    seconds = 0.0
    for number, image_id in enumerate(ids, 1):
        try:
            image = read_image(dataset.images[image_id])
        except InputError as error:
            log.warning("skipped: %s", error)
            continue
        start = time.perf_counter()  # the detector alone is timed
        detections = detector(image, box_thr=box_thr)
        seconds += time.perf_counter() - start
        results += box_results(detections, image_id, category)
        evaluated.append(image_id)
        if on_progress:
            on_progress(number, len(ids))
    if not evaluated:
        raise InputError(f"none of the {len(ids)} images of {dataset.path} could be read")

    # Images that could not be read do not count.
    content = dict(dataset.content)
    metrics = coco_box_ap(content, results, image_ids=evaluated, category_ids=[category])
    return Evaluation(
        metrics=metrics,
        settings=_settings(dataset, detector, box_thr),
        images=len(evaluated),
        skipped=len(ids) - len(evaluated),
        people_per_image=len(results) / len(evaluated),
        ms_per_image=seconds * 1000 / len(evaluated),
        results=results,
        image_ids=tuple(evaluated),
    )


def _settings(dataset: KeypointDataset, detector: BoxModel, box_thr: float) -> dict[str, object]:
    """What the figures depend on, for the report."""
    backend = getattr(detector, "backend", None)
    return {
        "data": str(dataset.path),
        "detector": getattr(getattr(detector, "card", None), "id", None),
        **{name: getattr(backend, name, None) for name in ("engine", "device", "precision")},
        "box_thr": box_thr,
        "metrics": ["box-ap"],
    }


def box_results(detections: Detections, image_id: int, category: int = 1) -> list[JsonObject]:
    """Detections as COCO results."""
    rows = []
    # COCO boxes are x, y, width, height.
    for box, score in zip(xyxy_to_xywh(detections.boxes), detections.scores, strict=True):
        rows.append(
            {
                "image_id": image_id,
                "category_id": category,
                "bbox": [round(float(v), 3) for v in box],
                "score": float(score),
            }
        )
    return rows
