"""Run a pose model over an annotated set and score it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.detect.detector import Detector
from rtmpose.errors import InputError
from rtmpose.evaluate.coco import coco_keypoint_ap
from rtmpose.evaluate.dataset import KeypointDataset, load_boxes
from rtmpose.evaluate.metrics import pck
from rtmpose.pose.rtmpose import PoseEstimator
from rtmpose.sources import read_image
from rtmpose.types import Detections, FloatArray, Image, Poses, Skeleton

log = logging.getLogger(__name__)

BOX_THR = 0.05


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found.

    Attributes:
        metrics: Fractions: ``AP``, ``AR``, ..., and ``PCK@0.2`` with ground-truth boxes.
        settings: What produced them.
        images: Evaluated.
        skipped: Could not be read.
        people_per_image: Mean number of boxes.
        ms_per_image: Mean time of detection and pose estimation.
        results: COCO result dicts.
    """

    metrics: Mapping[str, float]
    settings: Mapping[str, Any]
    images: int
    skipped: int
    people_per_image: float
    ms_per_image: float
    results: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without the single results."""
        return {k: v for k, v in asdict(self).items() if k != "results"}


def evaluate(
    dataset: KeypointDataset,
    pose: PoseEstimator,
    *,
    boxes: str | Path = "gt",
    detector: Detector | None = None,
    flip_test: bool = False,
    box_thr: float = BOX_THR,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score a pose model.

    A person's score is the box score times the mean of the scored keypoints' scores above 0.2. The keypoints that the
    model and the set have in common by name are scored; without names, the first ones of the model.

    Args:
        dataset: The annotated set.
        pose: The model.
        boxes: ``gt`` (annotated people with keypoints), ``detect``, or a COCO detection results file.
        detector: Needed for ``detect``.
        flip_test: Average with the mirrored image.
        box_thr: Lowest score of a detected box.
        limit: First so many images.
        on_progress: Called with images done and total.

    Raises:
        InputError: the model's keypoints do not cover those of the set, or a file is missing.
    """
    columns = _columns(dataset, pose.skeleton)
    given = load_boxes(Path(boxes)) if str(boxes) not in ("gt", "detect") else {}
    if boxes == "detect" and detector is None:
        raise InputError("boxes='detect' needs a detector")
    ids = list(dataset.images)[:limit]
    results: list[dict[str, Any]] = []
    matched: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    scored, seconds, people = [], 0.0, 0
    for done, image_id in enumerate(ids):
        try:
            image = read_image(dataset.images[image_id])
        except InputError as error:
            log.warning("skipped: %s", error)
            continue
        scored.append(image_id)
        start = time.perf_counter()
        found = _boxes(dataset, image_id, image, str(boxes), detector, given, box_thr)
        poses = pose(image, found, flip_test=flip_test)
        seconds += time.perf_counter() - start
        people += len(poses)
        results += _results(poses, columns, image_id)
        if boxes == "gt" and len(poses):
            matched.append((poses.keypoints[:, columns], dataset.keypoints(image_id), dataset.boxes(image_id)))
        if on_progress:
            on_progress(done + 1, len(ids))
    if not scored:
        raise InputError(f"none of the {len(ids)} images of {dataset.path} could be read")
    metrics = coco_keypoint_ap(dict(dataset.content), results, sigmas=_sigmas(pose.skeleton, columns), image_ids=scored)
    if matched:
        metrics["PCK@0.2"] = _pck(matched)
    settings = {
        "data": str(dataset.path),
        "pose": pose.card.id,
        "boxes": str(boxes),
        "detector": detector.card.id if detector and boxes == "detect" else None,
        "box_thr": box_thr if boxes == "detect" else None,
        "flip_test": flip_test,
        "engine": pose.backend.engine,
        "device": pose.backend.device,
        "precision": pose.backend.precision,
        "keypoints": len(columns),
    }
    n = len(scored)
    return Evaluation(metrics, settings, n, len(ids) - n, people / n, seconds * 1000 / n, results)


def _boxes(
    dataset: KeypointDataset,
    image_id: int,
    image: Image,
    boxes: str,
    detector: Detector | None,
    given: Mapping[int, Detections],
    box_thr: float,
) -> Detections:
    if boxes == "gt":
        return Detections.from_boxes(dataset.boxes(image_id))
    if detector is not None and boxes == "detect":
        return detector(image, score_thr=box_thr)
    return given.get(image_id, Detections.empty())


def _results(poses: Poses, columns: list[int], image_id: int) -> list[dict[str, Any]]:
    skeleton = poses.skeleton
    if columns != list(range(len(skeleton))):
        names = tuple(skeleton.keypoints[c] for c in columns)
        k = len(columns)
        part = Skeleton(skeleton.name, names, tuple(range(k)), (), ("centre",) * k, (), ((0, 0, 0),) * k)
        poses = Poses(poses.boxes, poses.box_scores, poses.keypoints[:, columns], poses.scores[:, columns], part)
    results = poses.to_coco(image_id)
    for result, score in zip(results, poses.instance_scores, strict=True):
        result["score"] = float(score)
    return results


def _columns(dataset: KeypointDataset, skeleton: Skeleton) -> list[int]:
    """Which of the model's keypoints are those of the set."""
    names = dataset.keypoint_names
    if names and set(names) <= set(skeleton.keypoints):
        return [skeleton.keypoints.index(n) for n in names]
    lengths = {len(a["keypoints"]) // 3 for i in dataset.annotations for a in dataset.labelled(i)}
    if len(lengths) != 1 or max(lengths) > len(skeleton):
        raise InputError(
            f"{dataset.path} has {sorted(lengths)} keypoints per person; "
            f"the model's {skeleton.name} has {len(skeleton)}"
        )
    return list(range(lengths.pop()))


def _sigmas(skeleton: Skeleton, columns: list[int]) -> list[float] | None:
    return [skeleton.sigmas[c] for c in columns] if skeleton.sigmas else None


def _pck(matched: list[tuple[FloatArray, FloatArray, FloatArray]]) -> float:
    """PCK at 0.2 of the longer side of the box, over all labelled points."""
    predicted, true, boxes = (np.concatenate(part) for part in zip(*matched, strict=True))
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return pck(predicted, true[..., :2], true[..., 2] > 0, 0.2, np.stack([side, side], axis=1))[1]
