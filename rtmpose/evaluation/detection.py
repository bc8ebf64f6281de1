"""Score a detector by its boxes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.evaluation.coco import coco_box_ap
from rtmpose.evaluation.pose import Evaluation
from rtmpose.families import BoxModel
from rtmpose.ops.boxes import xyxy_to_xywh
from rtmpose.sources import read_image
from rtmpose.types import Detections

log = logging.getLogger(__name__)


def evaluate_boxes(
    dataset: KeypointDataset,
    detector: BoxModel,
    *,
    score_thr: float = 0.001,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """COCO box AP and AR of a detector that finds one class: the set's first category, such as
    person.

    All annotations count, with keypoints or without; crowd regions take boxes without counting
    them.

    Args:
        dataset: The annotated set.
        detector: A :class:`rtmpose.Detector` or anything called like it.
        score_thr: Boxes below it are not asked for; 0.001 is the published choice. COCO counts an
            image's 100 surest.
        limit: First so many images.
        on_progress: Called with images done and total.

    Raises:
        InputError: no image can be read, or nothing is annotated.
    """
    ids = list(dataset.images)[:limit]
    category = int((dataset.content.get("categories") or [{"id": 1}])[0]["id"])
    if not any(a.get("bbox") for i in ids for a in dataset.annotations[i]):
        raise InputError(
            f"{dataset.path} has no boxes in these images, so there is nothing to score a"
            " detector by"
        )
    results: list[dict[str, Any]] = []
    scored, seconds = [], 0.0
    for number, image_id in enumerate(ids, 1):
        try:
            image = read_image(dataset.images[image_id])
        except InputError as error:
            log.warning("skipped: %s", error)
            continue
        start = time.perf_counter()
        found = detector(image, box_thr=score_thr)
        seconds += time.perf_counter() - start
        results += box_results(found, image_id, category)
        scored.append(image_id)
        if on_progress:
            on_progress(number, len(ids))
    if not scored:
        raise InputError(f"none of the {len(ids)} images of {dataset.path} could be read")
    values = coco_box_ap(dict(dataset.content), results, image_ids=scored, category_ids=[category])
    backend = getattr(detector, "backend", None)
    settings = {
        "data": str(dataset.path),
        "detector": getattr(getattr(detector, "card", None), "id", None),
        **{name: getattr(backend, name, None) for name in ("engine", "device", "precision")},
        "score_thr": score_thr,
        "metrics": ["box-ap"],
    }
    n = len(scored)
    return Evaluation(
        values,
        settings,
        n,
        len(ids) - n,
        len(results) / n,
        seconds * 1000 / n,
        results,
        tuple(scored),
    )


def box_results(found: Detections, image_id: int, category: int = 1) -> list[dict[str, Any]]:
    """Detections as COCO results."""
    return [
        {
            "image_id": image_id,
            "category_id": category,
            "bbox": [round(float(v), 3) for v in box],
            "score": float(score),
        }
        for box, score in zip(xyxy_to_xywh(found.boxes), found.scores, strict=True)
    ]
