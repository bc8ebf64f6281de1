"""COCO average precision through pycocotools: keypoints, boxes, and the variants of COCO-WholeBody
and CrowdPose.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from rtmpose.datasets.annotation_files import read_json
from rtmpose.datasets.annotation_repair import BOX_TO_AREA, count_labeled
from rtmpose.datasets.coco_entries import as_list, is_number_list, usable_area
from rtmpose.datasets.coco_types import CocoContent, Json, JsonObject
from rtmpose.errors import InputError, MissingDependencyError

KEYPOINT_METRICS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
BOX_METRICS = (
    *("AP", "AP50", "AP75", "APs", "APm", "APl"),
    *("AR1", "AR10", "AR100", "ARs", "ARm", "ARl"),
)
# CrowdPose has no classes of size.
CROWDPOSE_METRICS = ("AP", "AP50", "AP75", "AR", "AR50", "AR75")

PARTS = {
    "wholebody": (0, 133),
    "body": (0, 17),
    "foot": (17, 23),
    "face": (23, 91),
    "lefthand": (91, 112),
    "righthand": (112, 133),
}
"""First and one past the last keypoint of the parts of COCO-WholeBody's 133."""
PART_FIELDS = ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
BODY_KEYPOINTS = 17

CROWD_LEVELS = {"easy": (0.0, 0.2), "medium": (0.2, 0.8), "hard": (0.8, np.inf)}
"""Crowd index of CrowdPose's three levels, as in xtcocotools, with which the published figures were
made.
"""

CocoResults: TypeAlias = Sequence[JsonObject]
"""COCO results: image_id, category_id, score, and keypoints or bbox (x, y, w, h)."""

CocoEvaluator: TypeAlias = Any
"""A ``pycocotools.cocoeval.COCOeval``."""


def require_pycocotools() -> None:
    """Say what to install before an evaluation starts, not after its last image.

    Raises:
        MissingDependencyError: pycocotools is not installed.
    """
    try:
        import pycocotools.cocoeval  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "COCO AP needs pycocotools: pip install 'rtmpose[eval]'"
        ) from error


def coco_keypoint_ap(
    ground_truth: Path | CocoContent,
    results: CocoResults,
    *,
    sigmas: Sequence[float] | None = None,
    image_ids: Sequence[int] | None = None,
    by_category: bool = True,
) -> dict[str, float]:
    """The ten COCO keypoint metrics as fractions; -1 where there is nobody of that size.

    Annotations without ``area`` get 0.53 of their box.

    Args:
        ground_truth: A COCO annotation file or its content.
        results: COCO results: image_id, category_id, keypoints, score.
        sigmas: OKS constants; those of the 17 COCO points by default.
        image_ids: Evaluate these images only.
        by_category: The mean over the categories; otherwise all are one.

    Raises:
        MissingDependencyError: pycocotools is not installed.
        InputError: the keypoints of annotations, results and sigmas differ in number, or are NaN.
    """
    evaluator = coco_evaluator(
        ground_truth,
        results,
        "keypoints",
        sigmas=sigmas,
        image_ids=image_ids,
        by_category=by_category,
    )
    return _summary(evaluator, KEYPOINT_METRICS)


def coco_box_ap(
    ground_truth: Path | CocoContent,
    results: CocoResults,
    *,
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
) -> dict[str, float]:
    """The twelve COCO box metrics as fractions; -1 where there is nothing of that size.

    Args:
        ground_truth: A COCO annotation file or its content.
        results: COCO results: image_id, category_id, bbox (x, y, w, h), score.
        image_ids: Evaluate these images only.
        category_ids: Evaluate these categories only.

    Raises:
        MissingDependencyError: pycocotools is not installed.
        InputError: the results name images that the annotations do not have.
    """
    evaluator = coco_evaluator(
        ground_truth, results, "bbox", image_ids=image_ids, category_ids=category_ids
    )
    return _summary(evaluator, BOX_METRICS)


def wholebody_ap(
    ground_truth: Path | CocoContent,
    results: CocoResults,
    *,
    sigmas: Sequence[float],
    image_ids: Sequence[int] | None = None,
) -> dict[str, float]:
    """AP and AR of the 133 points and of each part (:data:`PARTS`), as COCO-WholeBody defines them.

    A part is scored like a separate pose; a person without a label in it does not count. The score
    of a result and the area of the person are those of the whole.

    Args:
        ground_truth: Annotations with 133 ``keypoints``, or with 17 and ``foot_kpts``,
            ``face_kpts``, ``lefthand_kpts`` and ``righthand_kpts``.
        results: COCO results with 133 keypoints.
        sigmas: Of the 133 points.
        image_ids: Evaluate these images only.

    Returns:
        ``AP`` and ``AR`` of the whole body, then ``body AP``, ``body AR``, ``foot AP``, ...
    """
    # All parts are scored by the same function, each with its slice of the points.
    content = joined_wholebody(_load(ground_truth))
    metrics: dict[str, float] = {}
    for part, (first, last) in PARTS.items():
        annotations = [_part_annotation(a, first, last) for a in content["annotations"]]
        part_results = [_part_result(r, first, last) for r in results]
        values = coco_keypoint_ap(
            {**content, "annotations": annotations},
            _with_any_score(part_results),
            sigmas=sigmas[first:last],
            image_ids=image_ids,
        )
        prefix = "" if part == "wholebody" else f"{part} "  # the whole body has no prefix
        metrics[f"{prefix}AP"] = values["AP"]
        metrics[f"{prefix}AR"] = values["AR"]
    return metrics


def crowdpose_ap(
    ground_truth: Path | CocoContent,
    results: CocoResults,
    *,
    sigmas: Sequence[float],
    image_ids: Sequence[int] | None = None,
) -> dict[str, float]:
    """CrowdPose's nine metrics: AP, AP50, AP75, AR, AR50, AR75, and AP of the easy, medium and hard
    images.

    How hard an image is follows from its ``crowdIndex``; see :data:`CROWD_LEVELS`. Areas are 0.53
    of the boxes.

    Args:
        ground_truth: Annotations whose images have a ``crowdIndex``.
        results: COCO results.
        sigmas: Of the 14 points.
        image_ids: Evaluate these images only.

    Raises:
        InputError: an image has no crowd index.
    """
    content = _load(ground_truth)
    if not all("crowdIndex" in image for image in content["images"]):
        raise InputError(
            "CrowdPose AP needs a crowdIndex for every image; use --metric coco-ap for other sets"
        )

    # The published evaluation leaves out poses without any score.
    results = _with_any_score(results)

    # Without an area, an annotation gets that of its box.
    annotations = [{k: v for k, v in a.items() if k != "area"} for a in content["annotations"]]
    truth = {**content, "annotations": annotations}

    # All images together.
    crowd_index = {int(i["id"]): float(i["crowdIndex"]) for i in content["images"]}
    if image_ids is None:
        ids = list(crowd_index)
    else:
        ids = [i for i in crowd_index if i in set(image_ids)]
    overall = coco_keypoint_ap(truth, results, sigmas=sigmas, image_ids=ids)
    metrics = {name: overall[name] for name in CROWDPOSE_METRICS}

    # By level.
    for level, (low, high) in CROWD_LEVELS.items():
        level_ids = [i for i in ids if low <= crowd_index[i] < high]
        metrics[f"AP {level}"] = -1.0
        if level_ids:
            level_results = [r for r in results if r["image_id"] in set(level_ids)]
            values = coco_keypoint_ap(truth, level_results, sigmas=sigmas, image_ids=level_ids)
            metrics[f"AP {level}"] = values["AP"]
    return metrics


def joined_wholebody(content: CocoContent) -> JsonObject:
    """COCO-WholeBody annotations with their 133 points in one list; those that have them already
    are left as they are.
    """
    annotations = []
    for annotation in content["annotations"]:
        # Only annotations in the published form have their parts in separate fields.
        has_body = len(annotation.get("keypoints", ())) == 3 * BODY_KEYPOINTS
        if has_body and all(field in annotation for field in PART_FIELDS):
            points = list(annotation["keypoints"])
            for field in PART_FIELDS:
                points += annotation[field]
            annotation = {k: v for k, v in annotation.items() if k not in PART_FIELDS}
            annotation["keypoints"] = points
            annotation["num_keypoints"] = count_labeled(points)
        annotations.append(annotation)
    return {**content, "annotations": annotations}


def coco_evaluator(
    ground_truth: Path | CocoContent,
    results: CocoResults,
    kind: str,
    *,
    sigmas: Sequence[float] | None = None,
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
    by_category: bool = True,
) -> CocoEvaluator:
    """A ``pycocotools.cocoeval.COCOeval`` after its ``evaluate``; arguments as in
    :func:`coco_keypoint_ap`.

    Args:
        ground_truth: A COCO annotation file or its content; not changed.
        results: COCO results; not changed.
        kind: ``keypoints`` or ``bbox``.
        sigmas: OKS constants.
        image_ids: Evaluate these images only.
        category_ids: Evaluate these categories only.
        by_category: Match within categories.

    Raises:
        MissingDependencyError: pycocotools is not installed.
        InputError: results and annotations do not fit together.
    """
    require_pycocotools()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    content = _load(ground_truth)
    _check_results(content, results)
    # pycocotools says little of what does not fit.
    if kind == "keypoints":
        _check_keypoints(content, results, sigmas)

    # pycocotools reports its progress on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        # Ground truth, with the fields that pycocotools needs.
        truth = COCO()
        annotations = enumerate(content["annotations"], 1)
        truth.dataset = {**content, "annotations": [_complete(a, n) for n, a in annotations]}
        truth.createIndex()
        if results:
            # loadRes adds fields to what it is given.
            detections = truth.loadRes([dict(r) for r in results])
        else:
            detections = COCO()
            detections.dataset = {**content, "annotations": []}
            detections.createIndex()

        # Match detections with annotations, image by image.
        evaluator = COCOeval(truth, detections, kind)
        if sigmas is not None:
            evaluator.params.kpt_oks_sigmas = np.asarray(sigmas)
        if image_ids is not None:
            evaluator.params.imgIds = list(image_ids)
        if category_ids is not None:
            evaluator.params.catIds = list(category_ids)
        evaluator.params.useCats = int(by_category)
        evaluator.evaluate()
    return evaluator


def _summary(evaluator: CocoEvaluator, names: Sequence[str]) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.accumulate()  # precision and recall from the matches
        evaluator.summarize()
    return {name: float(value) for name, value in zip(names, evaluator.stats, strict=True)}


def _load(ground_truth: Path | CocoContent) -> CocoContent:
    if isinstance(ground_truth, Mapping):  # content is taken as it is, a path is read
        return ground_truth
    content: CocoContent = read_json(ground_truth)
    return content


def _check_results(content: CocoContent, results: CocoResults) -> None:
    """Results of images that are not annotated, which pycocotools reports as a failed assertion."""
    annotated = {image["id"] for image in content["images"]}
    for result in results:
        if result["image_id"] not in annotated:
            raise InputError(
                f"the results name image {result['image_id']!r}, which the annotations do not have"
            )


def _check_keypoints(
    content: CocoContent, results: CocoResults, sigmas: Sequence[float] | None
) -> None:
    """What would end in an obscure error, or in none, deep inside pycocotools."""
    # One number of keypoints everywhere.
    annotated = [a for a in content["annotations"] if a.get("num_keypoints")]
    lengths = {len(row.get("keypoints") or ()) // 3 for row in [*annotated, *results]}
    lengths.add(BODY_KEYPOINTS if sigmas is None else len(sigmas))
    if len(lengths) > 1:
        raise InputError(
            "annotations, results and sigmas have different numbers of keypoints:"
            f" {sorted(lengths)}"
        )
    for result in results:
        if not np.isfinite(result["keypoints"]).all():
            raise InputError(
                f"a result for image {result['image_id']} holds NaN or infinite keypoints"
            )


def _complete(annotation: Mapping[str, Json], number: int) -> JsonObject:
    """With the fields that pycocotools needs. Ids are given anew: an annotation with id 0 would
    count as not found.
    """
    # What an annotation says itself comes before the defaults.
    defaults = {"iscrowd": 0, "keypoints": [], "num_keypoints": 0}
    box = as_list(annotation.get("bbox"))
    if not is_number_list(box) or len(box) != 4:
        box = [0, 0, 0, 0]
    area = usable_area(annotation)
    if area is None:
        area = BOX_TO_AREA * box[2] * box[3]
    return {**defaults, **annotation, "bbox": box, "area": area, "id": number}


def _with_any_score(results: CocoResults) -> list[JsonObject]:
    """Without poses whose every score is 0, as the sets' own evaluations do."""
    # Keypoints are flat triples x, y, score.
    return [r for r in results if any(score > 0 for score in r["keypoints"][2::3])]


def _part_annotation(annotation: Mapping[str, Json], first: int, last: int) -> JsonObject:
    """An annotation with the keypoints ``first`` to ``last - 1`` only."""
    points = annotation.get("keypoints", [])[3 * first : 3 * last]
    return {**annotation, "keypoints": points, "num_keypoints": count_labeled(points)}


def _part_result(result: Mapping[str, Json], first: int, last: int) -> JsonObject:
    """A part of a result. Its size class is that of the person's box, or of the body's points."""
    points = result["keypoints"]
    box = result.get("bbox")

    # Without a box the size class follows from the 17 points of the body.
    if not box:
        body = np.reshape(points[: 3 * BODY_KEYPOINTS], (-1, 3))[:, :2]
        box = [*body.min(axis=0).tolist(), *np.ptp(body, axis=0).tolist()]
    return {**result, "bbox": box, "keypoints": points[3 * first : 3 * last]}
