"""Run a pose model over an annotated set and score it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rtmpose.datasets import KeypointDataset, conversion, load_boxes
from rtmpose.errors import InputError, ModelError
from rtmpose.evaluate import choose, metrics
from rtmpose.evaluate.choose import AP_METRICS, Pairs, check_metrics, choose_metrics
from rtmpose.evaluate.coco import coco_keypoint_ap, crowdpose_ap, joined_wholebody, wholebody_ap
from rtmpose.skeletons import get_skeleton, skeleton_names
from rtmpose.sources import read_image
from rtmpose.types import Detections, FloatArray, Image, Poses, Skeleton

log = logging.getLogger(__name__)

BOX_THR = 0.05
PCK_THRESHOLDS = (0.2, 0.1, 0.05)
PCKH_THRESHOLDS = (0.5, 0.1)
AUC_NORM = 30.0
"""Pixels at which the curve of AUC ends, as published."""
NOT_IN_PCKH = ("pelvis", "thorax")

KeypointMap = tuple[tuple[int, tuple[int, ...]], ...]
"""Keypoint of the set, and that of the model or the two whose middle it is."""


class PoseModel(Protocol):
    """What can be scored: :class:`rtmpose.PoseEstimator`, or anything that is called like it.

    ``card`` and ``backend`` are put into the settings where there are any.
    """

    @property
    def skeleton(self) -> Skeleton:
        """The keypoints it finds."""
        ...

    def __call__(self, image: Image, boxes: Detections, *, flip_test: bool = False) -> Poses:
        """One pose for each box of a BGR uint8 image, in the same order."""
        ...


BoxModel = Callable[..., Detections]
"""Called with an image and ``score_thr``: :class:`rtmpose.Detector`, or anything like it."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: Metric name to value, the principal one first: fractions, and pixels for ``EPE``.
        settings: What produced them.
        images: Evaluated.
        skipped: Could not be read.
        people_per_image: Mean number of boxes.
        ms_per_image: Mean time of detection and pose estimation.
        results: COCO result dicts.
        pairs: Annotated people and the poses in their boxes; None without annotated boxes.
    """

    metrics: Mapping[str, float]
    settings: Mapping[str, Any]
    images: int
    skipped: int
    people_per_image: float
    ms_per_image: float
    results: list[dict[str, Any]]
    pairs: Pairs | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without the single results."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("results", "pairs")}


def evaluate(
    dataset: KeypointDataset,
    pose: PoseModel,
    *,
    boxes: str | Path = "gt",
    detector: BoxModel | None = None,
    flip_test: bool = False,
    box_thr: float = BOX_THR,
    metrics: Sequence[str] | None = None,
    nme_points: tuple[str, str] | None = None,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score a pose model.

    A person's score is the box score times the mean of the scored keypoints' scores above 0.2. Scored are the keypoints
    that the model and the set have in common, by the conversions of :mod:`rtmpose.datasets`.

    Args:
        dataset: The annotated set.
        pose: The model: a :class:`rtmpose.PoseEstimator` or anything called like it.
        boxes: ``gt`` (annotated people with keypoints), ``detect``, or a COCO detection results file.
        detector: Needed for ``detect``.
        flip_test: Average with the mirrored image.
        box_thr: Lowest score of a detected box.
        metrics: Of :data:`rtmpose.evaluate.choose.POSE_METRICS`; None takes those the set is published with.
        nme_points: Two keypoints whose distance NME is measured in, instead of the set's own unit.
        limit: First so many images.
        on_progress: Called with images done and total.

    Raises:
        InputError: set, model and metrics do not go together, the set has no keypoints, or a file is missing.
        ModelError: the model returns NaN, or not one pose per box.
    """
    boxes = str(boxes)
    if boxes == "detect" and detector is None:
        raise InputError("boxes='detect' needs a detector")
    dataset = _checked(dataset)
    wanted = check_metrics(metrics, boxes) if metrics else choose_metrics(dataset, boxes)
    points = keypoint_map(dataset, pose.skeleton)
    given = load_boxes(Path(boxes)) if boxes not in ("gt", "detect") else {}

    def find(image: Image, image_id: int) -> Detections:
        if boxes == "gt":
            return Detections.from_boxes(dataset.boxes(image_id))
        if detector is not None and boxes == "detect":
            return detector(image, score_thr=box_thr)
        return given.get(image_id, Detections.empty())

    run = _Run(dataset, pose, find, points, flip_test)
    run.over(list(dataset.images)[:limit], on_progress)
    pairs = run.pairs() if boxes == "gt" else None
    scores = score(dataset, run.results, run.done, points, pose.skeleton, wanted, pairs, nme_points)
    settings = {
        "data": str(dataset.path),
        **_describe(pose),
        "boxes": boxes,
        "detector": _id(detector) if boxes == "detect" else None,
        "box_thr": box_thr if boxes == "detect" else None,
        "flip_test": flip_test,
        "keypoints": len(points),
        "metrics": list(wanted),
    }
    n = len(run.done)
    return Evaluation(scores, settings, n, run.skipped, run.people / n, run.seconds * 1000 / n, run.results, pairs)


def score(
    dataset: KeypointDataset,
    results: Sequence[dict[str, Any]],
    image_ids: Sequence[int],
    points: KeypointMap,
    skeleton: Skeleton,
    wanted: Sequence[str],
    pairs: Pairs | None = None,
    nme_points: tuple[str, str] | None = None,
) -> dict[str, float]:
    """Metrics of given results.

    Args:
        dataset: The annotated set.
        results: COCO results with the keypoints of ``points``.
        image_ids: The images they are of.
        points: From :func:`keypoint_map`.
        skeleton: The model's keypoints, for sigmas where the set has none.
        wanted: Metrics.
        pairs: For the metrics that compare person by person.
        nme_points: As in :func:`evaluate`.

    Raises:
        InputError: a metric does not suit the set.
    """
    values: dict[str, float] = {}
    for name in wanted:
        if name in AP_METRICS:
            values |= _average_precision(name, dataset, results, image_ids, points, skeleton)
        elif pairs is not None:
            values |= _pairwise(name, pairs, dataset.skeleton.name if dataset.skeleton else "", nme_points)
        else:
            raise InputError(f"{name} is not a metric of poses in these boxes")
    return values


def keypoint_map(dataset: KeypointDataset, skeleton: Skeleton) -> KeypointMap:
    """Which of the model's keypoints stand for those of the set.

    By the table of conversions where both sets are known, else by name, else, where the set has no names, by number.

    Raises:
        InputError: the model's keypoints are not those of the set.
    """
    known, target = skeleton_names(), dataset.skeleton
    if target is not None and target.name in known and skeleton.name in known:
        return conversion(skeleton.name, target.name)
    names = target.keypoints if target is not None else dataset.keypoint_names
    if names and set(names) & set(skeleton.keypoints):
        return tuple((i, (skeleton.keypoints.index(n),)) for i, n in enumerate(names) if n in skeleton.keypoints)
    lengths = {len(a["keypoints"]) // 3 for i in dataset.annotations for a in dataset.labelled(i)}
    body = lengths == {17} and skeleton.keypoints[:17] == get_skeleton("coco17").keypoints
    if lengths != {len(skeleton)} and not body:
        raise InputError(
            f"{dataset.path} has {sorted(lengths)} keypoints per person; the model's {skeleton.name} has "
            f"{len(skeleton)}, and nothing says which of them belong together (names in the categories would)"
        )
    return tuple((i, (i,)) for i in range(lengths.pop()))


def take(points: KeypointMap, keypoints: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Keypoints ``(N, len(points), 2)`` and scores of the set, from the model's; a middle has the lower score."""
    first, last = [s[0] for _, s in points], [s[-1] for _, s in points]
    places = (keypoints[:, first] + keypoints[:, last]) / 2 if first != last else keypoints[:, first]
    return np.asarray(places, np.float32), np.minimum(scores[:, first], scores[:, last])


class _Run:
    """The loop over the images, and what it gathers."""

    def __init__(
        self,
        dataset: KeypointDataset,
        pose: PoseModel,
        find: Callable[[Image, int], Detections],
        points: KeypointMap,
        flip_test: bool,
    ) -> None:
        self.dataset, self.pose, self.find, self.points, self.flip_test = dataset, pose, find, points, flip_test
        k = len(points)
        self.part = Skeleton("scored", ("",) * k, tuple(range(k)), (), ("centre",) * k, (), ((0, 0, 0),) * k)
        categories = [int(c["id"]) for c in dataset.content.get("categories", ())]
        self.category = categories[0] if categories else 1
        self.results: list[dict[str, Any]] = []
        self.found: list[Poses] = []
        self.done: list[int] = []
        self.skipped = self.people = 0
        self.seconds = 0.0

    def over(self, ids: Sequence[int], on_progress: Callable[[int, int], None] | None) -> None:
        for number, image_id in enumerate(ids, 1):
            try:
                image = read_image(self.dataset.images[image_id])
            except InputError as error:
                log.warning("skipped: %s", error)
                self.skipped += 1
                continue
            self._image(image, image_id)
            if on_progress:
                on_progress(number, len(ids))
        if not self.done:
            raise InputError(f"none of the {len(ids)} images of {self.dataset.path} could be read")

    def pairs(self) -> Pairs:
        """Of the annotated people; only where their boxes were used."""
        targets = [t for t, _ in self.points]
        ids = [i for i, poses in zip(self.done, self.found, strict=True) for _ in range(len(poses))]
        names = self.dataset.skeleton.keypoints if self.dataset.skeleton else self.dataset.keypoint_names
        k = len(self.points)

        def joined(parts: list[FloatArray], shape: tuple[int, ...]) -> FloatArray:
            return np.concatenate([np.zeros((0, *shape), np.float32), *parts])

        return Pairs(
            joined([p.keypoints for p in self.found], (k, 2)),
            joined([p.scores for p in self.found], (k,)),
            joined([self.dataset.keypoints(i)[:, targets] for i in self.done if self.dataset.labelled(i)], (k, 3)),
            joined([self.dataset.boxes(i) for i in self.done], (4,)),
            tuple(ids),
            tuple(a for i in self.done for a in self.dataset.labelled(i)),
            tuple(names[t] for t in targets) if names else (),
        )

    def _image(self, image: Image, image_id: int) -> None:
        start = time.perf_counter()
        boxes = self.find(image, image_id)
        poses = self.pose(image, boxes, flip_test=self.flip_test)
        self.seconds += time.perf_counter() - start
        if len(poses) != len(boxes):
            raise ModelError(f"{len(boxes)} boxes gave {len(poses)} poses: the evaluation needs one for each")
        if not (np.isfinite(poses.keypoints).all() and np.isfinite(poses.scores).all()):
            raise ModelError(f"the pose model returns NaN or infinite numbers on {self.dataset.images[image_id]}")
        keypoints, scores = take(self.points, poses.keypoints, poses.scores)
        scored = Poses(poses.boxes, poses.box_scores, keypoints, scores, self.part)
        rows = scored.to_coco(image_id, self.category)
        labelled = self.dataset.labelled(image_id)
        for i, (row, value) in enumerate(zip(rows, scored.instance_scores, strict=True)):
            row["score"] = float(value)
            if len(labelled) == len(rows):
                row["category_id"] = labelled[i].get("category_id", self.category)
        self.results += rows
        self.found.append(scored)
        self.done.append(image_id)
        self.people += len(poses)


def _average_precision(
    name: str,
    dataset: KeypointDataset,
    results: Sequence[dict[str, Any]],
    image_ids: Sequence[int],
    points: KeypointMap,
    skeleton: Skeleton,
) -> dict[str, float]:
    targets = [t for t, _ in points]
    total = len(dataset.skeleton) if dataset.skeleton else len(dataset.keypoint_names)
    content = dict(dataset.content)
    if total and targets != list(range(total)):
        log.warning(
            "only %d of the %d keypoints of %s can be scored with this model", len(targets), total, dataset.path
        )
        content["annotations"] = [_part(a, targets) for a in content["annotations"]]
    sigmas = _sigmas(dataset, skeleton, points)
    if name == "coco-ap":
        return coco_keypoint_ap(content, results, sigmas=sigmas, image_ids=image_ids)
    if sigmas is None or (name == "wholebody-ap" and len(targets) != len(get_skeleton("coco-wholebody133"))):
        raise InputError(f"{name} is for its own keypoint set, and for models of all its points; use --metric coco-ap")
    judge = wholebody_ap if name == "wholebody-ap" else crowdpose_ap
    return judge(content, results, sigmas=sigmas, image_ids=image_ids)


def _pairwise(name: str, pairs: Pairs, set_name: str, nme_points: tuple[str, str] | None) -> dict[str, float]:
    predicted, true, mask = pairs.predicted, pairs.true[..., :2], pairs.mask
    if name in ("pck", "tpck"):
        norm = choose.box_sides(pairs) if name == "pck" else choose.torso_sizes(pairs)
        title = "PCK" if name == "pck" else "tPCK"
        return {f"{title}@{t}": metrics.pck(predicted, true, mask, t, norm)[1] for t in PCK_THRESHOLDS}
    if name == "pckh":
        norm = choose.head_sizes(pairs)
        rows = [i for i in range(true.shape[1]) if not pairs.names or pairs.names[i] not in NOT_IN_PCKH]
        part = (predicted[:, rows], true[:, rows], mask[:, rows])
        return {f"PCKh@{t}": metrics.pckh(*part, t, norm) for t in PCKH_THRESHOLDS}
    if name == "auc":
        return {"AUC": metrics.auc(predicted, true, mask, AUC_NORM)}
    if name == "epe":
        return {"EPE": metrics.epe(predicted, true, mask)}
    norm, unit = choose.nme_sizes(pairs, set_name, nme_points)
    log.info("NME is measured in: %s", unit)
    return {"NME": metrics.nme(predicted, true, mask, norm)}


def _checked(dataset: KeypointDataset) -> KeypointDataset:
    """The set in the form that is scored.

    Raises:
        InputError: nobody has keypoints, or they are not numbers.
    """
    raw = next((a for rows in dataset.annotations.values() for a in rows if "foot_kpts" in a), None)
    if raw is not None and len(raw.get("keypoints", ())) == 3 * 17:
        content = joined_wholebody(dataset.content)
        by_image: dict[int, list[dict[str, Any]]] = {i: [] for i in dataset.images}
        for a in content["annotations"]:
            by_image[int(a["image_id"])].append(a)
        whole = get_skeleton("coco-wholebody133")
        dataset = replace(
            dataset, content=content, annotations=by_image, keypoint_names=whole.keypoints, skeleton=whole
        )
    labelled = [a for i in dataset.images for a in dataset.labelled(i)]
    if not labelled:
        raise InputError(f"{dataset.path} has no annotation with keypoints, so there is nothing to score poses by")
    for a in labelled:
        if not np.isfinite([*a["keypoints"], *a["bbox"]]).all():
            raise InputError(f"{dataset.path}: annotation {a.get('id')} holds NaN; `rtmpose data check` finds all such")
    return dataset


def _part(annotation: Mapping[str, Any], targets: Sequence[int]) -> dict[str, Any]:
    if not annotation.get("keypoints"):
        return dict(annotation)
    points = np.reshape(annotation["keypoints"], (-1, 3))[list(targets)]
    count = int((points[:, 2] > 0).sum())
    return {**annotation, "keypoints": points.reshape(-1).tolist(), "num_keypoints": count}


def _sigmas(dataset: KeypointDataset, skeleton: Skeleton, points: KeypointMap) -> list[float] | None:
    """Of the scored keypoints; None means the 17 of COCO."""
    if dataset.skeleton is not None and dataset.skeleton.sigmas:
        return [dataset.skeleton.sigmas[t] for t, _ in points]
    if skeleton.sigmas:
        return [skeleton.sigmas[s[0]] for _, s in points]
    if len(points) != 17:
        raise InputError(
            f"average precision needs sigmas, and neither {dataset.path} nor the model's {skeleton.name} has any; use "
            "--metric pck, or put sigmas into the keypoint set (docs/skeletons.md)"
        )
    return None


def _describe(pose: Any) -> dict[str, Any]:
    backend = getattr(pose, "backend", None)
    parts = {name: getattr(backend, name, None) for name in ("engine", "device", "precision")}
    return {"pose": _id(pose), **parts}


def _id(model: Any) -> str | None:
    return getattr(getattr(model, "card", None), "id", None)
