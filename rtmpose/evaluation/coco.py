"""COCO average precision through pycocotools: keypoints, boxes, and the variants of COCO-WholeBody
and CrowdPose.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError, MissingDependencyError

NAMES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
BOX_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")

PARTS = {
    "wholebody": (0, 133),
    "body": (0, 17),
    "foot": (17, 23),
    "face": (23, 91),
    "lefthand": (91, 112),
    "righthand": (112, 133),
}
"""First and one past the last keypoint of the parts of COCO-WholeBody's 133."""

PERSON_AREA = 0.53
"""Area of a person over that of the box, where a set has boxes only (CrowdPose, AI Challenger)."""

CROWD_LEVELS = {"easy": (0.0, 0.2), "medium": (0.2, 0.8), "hard": (0.8, np.inf)}
"""Crowd index of CrowdPose's three levels, as in xtcocotools, with which the published figures were
made.
"""

Content = Mapping[str, Any]
Results = Sequence[dict[str, Any]]


def coco_keypoint_ap(
    ground_truth: Path | Content,
    results: Results,
    *,
    sigmas: Sequence[float] | None = None,
    image_ids: Sequence[int] | None = None,
    by_category: bool = True,
) -> dict[str, float]:
    """The ten COCO keypoint numbers as fractions; -1 where there is nobody of that size.

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
    judge = judged(
        ground_truth,
        results,
        "keypoints",
        sigmas=sigmas,
        image_ids=image_ids,
        by_category=by_category,
    )
    return _summary(judge, NAMES)


def coco_box_ap(
    ground_truth: Path | Content,
    results: Results,
    *,
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
) -> dict[str, float]:
    """The twelve COCO box numbers as fractions; -1 where there is nothing of that size.

    Args:
        ground_truth: A COCO annotation file or its content.
        results: COCO results: image_id, category_id, bbox (x, y, w, h), score.
        image_ids: Evaluate these images only.
        category_ids: Evaluate these categories only.

    Raises:
        MissingDependencyError: pycocotools is not installed.
    """
    judge = judged(ground_truth, results, "bbox", image_ids=image_ids, category_ids=category_ids)
    return _summary(judge, BOX_NAMES)


def wholebody_ap(
    ground_truth: Path | Content,
    results: Results,
    *,
    sigmas: Sequence[float],
    image_ids: Sequence[int] | None = None,
) -> dict[str, float]:
    """AP and AR of the 133 points and of each part (:data:`PARTS`), as COCO-WholeBody defines them.

    A part is judged like a pose of its own; a person without a label in it does not count. The
    score of a result and the area of the person are those of the whole.

    Args:
        ground_truth: Annotations with 133 ``keypoints``, or with 17 and ``foot_kpts``,
            ``face_kpts``, ``lefthand_kpts`` and ``righthand_kpts``.
        results: COCO results with 133 keypoints.
        sigmas: Of the 133 points.
        image_ids: Evaluate these images only.

    Returns:
        ``AP`` and ``AR`` of the whole body, then ``body AP``, ``body AR``, ``foot AP``, ...
    """
    content = joined_wholebody(_content(ground_truth))
    values: dict[str, float] = {}
    for part, (first, last) in PARTS.items():
        truth = {**content, "annotations": [_cut(a, first, last) for a in content["annotations"]]}
        cut = [_with_box(r, first, last) for r in results]
        # The set's own evaluation leaves out poses whose every score is 0.
        cut = [r for r in cut if any(s > 0 for s in r["keypoints"][2::3])]
        numbers = coco_keypoint_ap(truth, cut, sigmas=sigmas[first:last], image_ids=image_ids)
        before = "" if part == "wholebody" else f"{part} "
        values |= {f"{before}AP": numbers["AP"], f"{before}AR": numbers["AR"]}
    return values


def crowdpose_ap(
    ground_truth: Path | Content,
    results: Results,
    *,
    sigmas: Sequence[float],
    image_ids: Sequence[int] | None = None,
) -> dict[str, float]:
    """CrowdPose's nine numbers: AP, AP50, AP75, AR, AR50, AR75, and AP of the easy, medium and hard
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
    content = _content(ground_truth)
    if not all("crowdIndex" in i for i in content["images"]):
        raise InputError(
            "CrowdPose AP needs a crowdIndex for every image; use --metric coco-ap for other sets"
        )
    truth = {
        **content,
        "annotations": [
            {k: v for k, v in a.items() if k != "area"} for a in content["annotations"]
        ],
    }
    results = [r for r in results if any(s > 0 for s in r["keypoints"][2::3])]
    wanted = None if image_ids is None else set(image_ids)
    ids = [int(i["id"]) for i in content["images"] if wanted is None or i["id"] in wanted]
    overall = coco_keypoint_ap(truth, results, sigmas=sigmas, image_ids=ids)
    values = {name: overall[name] for name in ("AP", "AP50", "AP75", "AR", "AR50", "AR75")}
    index = {int(i["id"]): float(i["crowdIndex"]) for i in content["images"]}
    for level, (low, high) in CROWD_LEVELS.items():
        chosen = [i for i in ids if low <= index[i] < high]
        here = [r for r in results if r["image_id"] in set(chosen)]
        values[f"AP {level}"] = (
            coco_keypoint_ap(truth, here, sigmas=sigmas, image_ids=chosen)["AP"] if chosen else -1.0
        )
    return values


def joined_wholebody(content: Content) -> dict[str, Any]:
    """COCO-WholeBody annotations with their 133 points in one list; such as have them already are
    left alone.
    """
    parts = ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
    annotations = []
    for a in content["annotations"]:
        if len(a.get("keypoints", ())) == 3 * 17 and all(p in a for p in parts):
            points = [*a["keypoints"], *(v for p in parts for v in a[p])]
            a = {k: v for k, v in a.items() if k not in parts}
            a |= {"keypoints": points, "num_keypoints": sum(v > 0 for v in points[2::3])}
        annotations.append(a)
    return {**content, "annotations": annotations}


def judged(
    ground_truth: Path | Content,
    results: Results,
    kind: str,
    *,
    sigmas: Sequence[float] | None = None,
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
    by_category: bool = True,
) -> Any:
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
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingDependencyError(
            "COCO AP needs pycocotools: pip install 'rtmpose[eval]'"
        ) from error
    content = _content(ground_truth)
    _check(content, results, kind, sigmas)
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        truth.dataset = {
            **content,
            "annotations": [_complete(a, n) for n, a in enumerate(content["annotations"], 1)],
        }
        truth.createIndex()
        if results:
            # loadRes adds fields to what it is given.
            found = truth.loadRes([dict(r) for r in results])
        else:
            found.dataset = {
                "images": content["images"],
                "categories": content["categories"],
                "annotations": [],
            }
            found.createIndex()
        judge = COCOeval(truth, found, kind)
        if sigmas is not None:
            judge.params.kpt_oks_sigmas = np.asarray(sigmas)
        if image_ids is not None:
            judge.params.imgIds = list(image_ids)
        if category_ids is not None:
            judge.params.catIds = list(category_ids)
        judge.params.useCats = int(by_category)
        judge.evaluate()
    return judge


def _summary(judge: Any, names: Sequence[str]) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        judge.accumulate()
        judge.summarize()
    return {name: float(value) for name, value in zip(names, judge.stats, strict=True)}


def _content(ground_truth: Path | Content) -> Content:
    if isinstance(ground_truth, Mapping):
        return ground_truth
    from rtmpose.datasets.keypoint_dataset import read_json

    content: Content = read_json(ground_truth)
    return content


def _check(content: Content, results: Results, kind: str, sigmas: Sequence[float] | None) -> None:
    """What would end in a puzzling error, or in none, deep inside pycocotools."""
    known = {i["id"] for i in content["images"]}
    strange = next((r["image_id"] for r in results if r["image_id"] not in known), None)
    if strange is not None:
        raise InputError(
            f"the results speak of image {strange!r}, which the annotations do not have"
        )
    if kind != "keypoints":
        return
    lengths = {len(a["keypoints"]) // 3 for a in content["annotations"] if a.get("num_keypoints")}
    lengths |= {len(r["keypoints"]) // 3 for r in results} | {17 if sigmas is None else len(sigmas)}
    if len(lengths) > 1:
        raise InputError(
            "annotations, results and sigmas have different numbers of keypoints:"
            f" {sorted(lengths)}"
        )
    for r in results:
        if not np.isfinite(r["keypoints"]).all():
            raise InputError(f"a result for image {r['image_id']} holds NaN or infinite keypoints")


def _complete(annotation: Mapping[str, Any], number: int) -> dict[str, Any]:
    """With what pycocotools asks for. Ids are given anew: an annotation with id 0 would count as
    not found.
    """
    _, _, width, height = annotation.get("bbox", (0, 0, 0, 0))
    area = annotation.get("area", PERSON_AREA * width * height)
    counted = {"iscrowd": 0, "keypoints": [], "num_keypoints": 0, **annotation}
    return {**counted, "area": area, "id": number}


def _cut(annotation: Mapping[str, Any], first: int, last: int) -> dict[str, Any]:
    points = annotation.get("keypoints", [])[3 * first : 3 * last]
    return {**annotation, "keypoints": points, "num_keypoints": sum(v > 0 for v in points[2::3])}


def _with_box(result: Mapping[str, Any], first: int, last: int) -> dict[str, Any]:
    """A part of a result. Its size class is that of the person's box, or of the body's points."""
    points = result["keypoints"]
    box = result.get("bbox")
    if not box:
        body = np.reshape(points[: 3 * 17], (-1, 3))[:, :2]
        box = [*body.min(axis=0).tolist(), *np.ptp(body, axis=0).tolist()]
    return {**result, "bbox": box, "keypoints": points[3 * first : 3 * last]}
