"""Run a pose model over an annotated set and score it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from rtmpose.backends import BackendOptions
from rtmpose.datasets import SCORING_SPLITS, KeypointDataset, load_boxes, read
from rtmpose.datasets.coco_types import CocoAnnotation
from rtmpose.errors import InputError, ModelError
from rtmpose.evaluation.coco import joined_wholebody, require_pycocotools
from rtmpose.evaluation.protocols import MatchedPoses, check_metrics, choose_metrics
from rtmpose.evaluation.scoring import KeypointMap, keypoint_map, score, sigmas_in_words, take
from rtmpose.families import BoxModel, CropModel, ModelName, PoseModel, open_model
from rtmpose.keywords import checked_keywords
from rtmpose.model_card import ModelCard
from rtmpose.pose_estimator import DEFAULT_POSE_MODEL, Boxes
from rtmpose.ranges import FRACTION, FRAMES, check_number, check_optional
from rtmpose.skeletons import get_skeleton
from rtmpose.sources import read_image
from rtmpose.types import Detections, FloatArray, Image, Poses, Skeleton

log = logging.getLogger(__name__)

BOX_THR = 0.05


class CalledModel(Protocol):
    """What can be scored in given boxes: :class:`rtmpose.PoseEstimator`, or anything that is called
    like it. ``card`` and ``backend`` are put into the settings where there are any.
    """

    @property
    def skeleton(self) -> Skeleton:
        """The keypoints it finds."""
        ...

    def __call__(self, image: Image, boxes: Detections, *, flip_test: bool = False) -> Poses:
        """One pose for each box of a BGR uint8 image, in the same order."""
        ...


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
        image_ids: The images evaluated.
        pairs: Annotated people and the poses in their boxes; None without annotated boxes.
    """

    metrics: Mapping[str, float]
    settings: Mapping[str, Any]
    images: int
    skipped: int
    people_per_image: float
    ms_per_image: float
    results: list[dict[str, Any]]
    image_ids: tuple[int, ...] = ()
    pairs: MatchedPoses | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without the single results."""
        # The single results go to a separate file: they are too many for a report.
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in ("results", "image_ids", "pairs")
        }


@checked_keywords
def evaluate(
    dataset: KeypointDataset | str | Path,
    pose: ModelName | PoseModel | CropModel | CalledModel = DEFAULT_POSE_MODEL,
    *,
    boxes: str | Path | None = None,
    detector: ModelName | BoxModel | None = None,
    flip_test: bool = False,
    box_thr: float = BOX_THR,
    metrics: Sequence[str] | None = None,
    nme_points: tuple[str, str] | None = None,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    options: BackendOptions | None = None,
) -> Evaluation:
    """Score a pose model.

    A person's score is the box score times the mean of the scored keypoints' scores above 0.2, or
    the box score alone where the model is published with that (one-stage models). Scored are the
    keypoints that the model and the set have in common, by the conversions of
    :mod:`rtmpose.datasets`.

    Args:
        dataset: The annotated set, or its path.
        pose: The model: a zoo name, path or URL, or an opened model of any family
            (:class:`rtmpose.PoseEstimator`, :class:`rtmpose.OneStage`, anything called like them).
        boxes: ``gt`` (annotated people with keypoints), ``detect``, or a COCO detection results
            file, of which the boxes of the set's own categories are taken. None means ``gt`` for
            top-down models; one-stage models know ``detect`` only.
        detector: For ``detect``: a zoo name, path or URL, or an opened detector.
        flip_test: Average with the mirrored image.
        box_thr: Lowest score of a detected box.
        metrics: Of :data:`rtmpose.evaluation.protocols.POSE_METRICS`; None takes those the set is
            published with.
        nme_points: Two keypoints whose distance NME is measured in, instead of the set's own unit.
        limit: At most this many images, the first ones.
        on_progress: Called with images done and total.
        options: Engine, device, threads and precision for models that are not opened yet.

    Raises:
        InputError: set, model and metrics do not go together, the set has no keypoints, or a file
            is missing.
        ModelError: the model returns NaN, or not one pose per box.
    """
    check_number("box_thr", box_thr, FRACTION)
    check_optional("limit", limit, FRAMES)

    # What does not fit is said before any image is read.
    plan = _planned(dataset, _as_model(pose, detector, options), boxes, metrics)

    # All images, then the metrics over all of them.
    run = _Run(plan, flip_test, box_thr)
    run.over(list(plan.dataset.images)[:limit], on_progress)
    return _scored(plan, run, nme_points)


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is scored on what, checked to go together.

    Attributes:
        dataset: With keypoints.
        model: Of any family.
        source: Where its boxes are from: ``gt``, ``detect`` or a file.
        points: The keypoints that model and set have in common.
        metrics: Their names.
        from_file: Boxes of a file, by image.
    """

    dataset: KeypointDataset
    model: PoseModel
    source: str
    points: KeypointMap
    metrics: Sequence[str]
    from_file: Mapping[int, Detections]

    def boxes_of(self, image_id: int) -> Detections | None:
        """The boxes of an image; None where the model is to find the people."""
        if self.source == "gt":
            return Detections.from_boxes(self.dataset.boxes(image_id))
        if self.source == "detect":
            return None
        return self.from_file.get(image_id, Detections.empty())


def _planned(
    data: KeypointDataset | str | Path,
    model: PoseModel,
    boxes: str | Path | None,
    metrics: Sequence[str] | None,
) -> _Plan:
    """The plan of an evaluation; :func:`evaluate` says what is refused."""
    # Boxes and keypoints that the model can be scored with on this set.
    source = _box_source(model, boxes)
    dataset = scorable(
        data if isinstance(data, KeypointDataset) else read(data, split=SCORING_SPLITS)
    )
    points = keypoint_map(dataset, model.skeleton)

    # The metrics that were asked for, or those the set is published with.
    has_sigmas = bool(model.skeleton.sigmas)
    if metrics:
        chosen = check_metrics(metrics, source)
    else:
        chosen = choose_metrics(dataset, source, len(points), model_has_sigmas=has_sigmas)
    if any(metric.endswith("-ap") for metric in chosen):
        require_pycocotools()

    from_file: Mapping[int, Detections] = {}
    if source not in ("gt", "detect"):
        from_file = load_boxes(Path(source), _labeled_categories(dataset))
    return _Plan(dataset, model, source, points, chosen, from_file)


def _scored(plan: _Plan, run: _Run, nme_points: tuple[str, str] | None) -> Evaluation:
    """The metrics over all images of a run, with what they depend on."""
    dataset, model, points = plan.dataset, plan.model, plan.points
    pairs = run.pairs() if plan.source == "gt" else None
    scores = score(
        dataset, run.results, run.done, points, model.skeleton, plan.metrics, pairs, nme_points
    )
    settings = {
        "data": str(dataset.path),
        **_model_settings(model, plan.source, run.box_thr),
        "flip_test": run.flip_test,
        "keypoints": len(points),
        "metrics": list(plan.metrics),
        "sigmas": sigmas_in_words(dataset, model.skeleton) if "coco-ap" in plan.metrics else "",
    }
    images = len(run.done)
    return Evaluation(
        scores,
        settings,
        images,
        run.skipped,
        run.people / images,
        run.seconds * 1000 / images,
        run.results,
        tuple(run.done),
        pairs,
    )


def _as_model(
    pose: ModelName | PoseModel | CropModel | CalledModel,
    detector: ModelName | BoxModel | None,
    options: BackendOptions | None,
) -> PoseModel:
    """The model behind the seam of the families, whatever was given."""
    # Zoo names, paths, and models of this package; anything else is called image by image.
    ours = isinstance(pose, str | Path | ModelCard)
    ours = ours or hasattr(pose, "estimate_batch") or hasattr(pose, "needs_boxes")
    if ours:
        return open_model(detector, cast(ModelName | CropModel | PoseModel, pose), options=options)
    return open_model(detector, _Called(cast(CalledModel, pose)), options=options)


def _model_settings(model: PoseModel, source: str, box_thr: float) -> dict[str, object]:
    """What the figures depend on: the models and where the boxes are from."""
    is_detecting = source == "detect"
    described = model.describe()
    return {
        **described,
        "boxes": source,
        "detector": described["detector"] if is_detecting else None,
        "box_thr": box_thr if is_detecting else None,
    }


def _box_source(model: PoseModel, boxes: str | Path | None) -> str:
    """``gt``, ``detect`` or a file.

    Raises:
        InputError: the model cannot be scored with those boxes.
    """
    # One-stage models find people themselves; top-down models need boxes.
    if boxes is None:
        return "gt" if model.needs_boxes else "detect"
    if str(boxes) != "detect" and not model.needs_boxes:
        raise InputError(
            f"{model.describe()['pose']} is a one-stage model, which finds people by itself: it is"
            f" scored with boxes='detect', not {str(boxes)!r}"
        )
    if str(boxes) == "detect" and not model.finds_people:
        raise InputError("boxes='detect' needs a detector")
    return str(boxes)


class _Called:
    """A model that is called image by image, as a network of :class:`rtmpose.families.TopDown`."""

    def __init__(self, pose: CalledModel) -> None:
        self._pose = pose
        self.skeleton = pose.skeleton
        self.card = getattr(pose, "card", None)
        self.backend = getattr(pose, "backend", None)

    def estimate_batch(
        self, images: Sequence[Image], boxes: Sequence[Boxes], *, flip_test: bool = False
    ) -> list[Poses]:
        """Poses in the boxes of each image."""
        return [
            self._pose(image, cast(Detections, found), flip_test=flip_test)
            for image, found in zip(images, boxes, strict=True)
        ]


class _Run:
    """The loop over the images, and what it gathers."""

    def __init__(self, plan: _Plan, flip_test: bool, box_thr: float) -> None:
        self.dataset = plan.dataset
        self.model = plan.model
        self.boxes_of = plan.boxes_of
        self.points = plan.points
        self.flip_test = flip_test
        self.box_thr = box_thr
        k = len(plan.points)

        # A keypoint set without names or limbs: the scored points are all that is used of it.
        self.part = Skeleton(
            "scored", ("",) * k, tuple(range(k)), (), ("center",) * k, (), ((0, 0, 0),) * k
        )
        categories = [int(c["id"]) for c in plan.dataset.content.get("categories", ())]
        self.category = categories[0] if categories else 1

        # Gathered over the images.
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

    def pairs(self) -> MatchedPoses:
        """Of the annotated people; only where their boxes were used."""
        # Row by row: annotated people in the order of the images, and the poses in their boxes.
        targets = [t for t, _ in self.points]
        ids = [i for i, poses in zip(self.done, self.found, strict=True) for _ in range(len(poses))]
        names = (
            self.dataset.skeleton.keypoints
            if self.dataset.skeleton
            else self.dataset.keypoint_names
        )
        k = len(self.points)

        # An empty part keeps the shape where there is nobody.
        def joined(parts: list[FloatArray], shape: tuple[int, ...]) -> FloatArray:
            return np.concatenate([np.zeros((0, *shape), np.float32), *parts])

        return MatchedPoses(
            joined([p.keypoints for p in self.found], (k, 2)),
            joined([p.scores for p in self.found], (k,)),
            joined(
                [
                    self.dataset.keypoints(i)[:, targets]
                    for i in self.done
                    if self.dataset.labeled(i)
                ],
                (k, 3),
            ),
            joined([self.dataset.boxes(i) for i in self.done], (4,)),
            tuple(ids),
            tuple(a for i in self.done for a in self.dataset.labeled(i)),
            tuple(names[t] for t in targets) if names else (),
        )

    def _image(self, image: Image, image_id: int) -> None:
        # Only the model is timed, one image at a time.
        boxes = self.boxes_of(image_id)
        start = time.perf_counter()
        poses = self.model.estimate(
            [image],
            None if boxes is None else [boxes],
            box_thr=self.box_thr,
            flip_test=self.flip_test,
        )[0]
        self.seconds += time.perf_counter() - start

        # A model of the user's own may return anything.
        if boxes is not None and len(poses) != len(boxes):
            raise ModelError(
                f"{len(boxes)} boxes gave {len(poses)} poses: the evaluation needs one for each"
            )
        if not (np.isfinite(poses.keypoints).all() and np.isfinite(poses.scores).all()):
            raise ModelError(
                f"the pose model returns NaN or infinite numbers on {self.dataset.images[image_id]}"
            )

        # Only the keypoints that are scored count.
        keypoints, scores = take(self.points, poses.keypoints, poses.scores)
        scored = Poses(poses.boxes, poses.box_scores, keypoints, scores, self.part)
        rows = scored.to_coco(image_id, self.category)
        labeled = self.dataset.labeled(image_id)

        # The score of a pose: that of its box, or with the keypoints' scores.
        values = scored.box_scores if self.model.score_by_box else scored.instance_scores
        for i, (row, value) in enumerate(zip(rows, values, strict=True)):
            row["score"] = float(value)
            if len(labeled) == len(rows):  # annotated boxes: the pose has the person's category
                row["category_id"] = labeled[i].get("category_id", self.category)
        self.results += rows
        self.found.append(scored)
        self.done.append(image_id)
        self.people += len(poses)


def _labeled_categories(dataset: KeypointDataset) -> set[int]:
    """The categories whose instances have keypoints."""
    rows = (a for i in dataset.images for a in dataset.labeled(i))
    return {a["category_id"] for a in rows if "category_id" in a}


def scorable(dataset: KeypointDataset) -> KeypointDataset:
    """The set in the form that is scored: COCO-WholeBody's points in one list.

    Raises:
        InputError: nobody has keypoints, or they are not numbers.
    """
    # COCO-WholeBody keeps body, feet, face and hands in lists of their own.
    raw = next((a for rows in dataset.annotations.values() for a in rows if "foot_kpts" in a), None)
    if raw is not None and len(raw.get("keypoints", ())) == 3 * 17:
        content = joined_wholebody(dataset.content)

        # Annotations by image again, now with 133 points.
        by_image: dict[int, list[CocoAnnotation]] = {i: [] for i in dataset.images}
        for a in content["annotations"]:
            by_image[int(a["image_id"])].append(a)
        whole = get_skeleton("coco-wholebody133")
        dataset = replace(
            dataset,
            content=content,
            annotations=by_image,
            keypoint_names=whole.keypoints,
            skeleton=whole,
        )

    # What cannot be scored is told before any network runs.
    labeled = [a for i in dataset.images for a in dataset.labeled(i)]
    if not labeled:
        raise InputError(
            f"{dataset.path} has no annotation with keypoints, so there is nothing to score"
            " poses by"
        )
    for a in labeled:
        if not np.isfinite([*a["keypoints"], *a["bbox"]]).all():
            raise InputError(
                f"{dataset.path}: annotation {a.get('id')} holds NaN; `rtmpose data check` finds"
                " all such"
            )
    return dataset
