"""Which metrics a keypoint set is published with, and what its distances are measured in."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtmpose.datasets import KeypointDataset
from rtmpose.datasets.coco_types import Json
from rtmpose.errors import InputError
from rtmpose.evaluation.metrics import Mask
from rtmpose.skeletons import get_skeleton
from rtmpose.types import FloatArray

log = logging.getLogger(__name__)

AP_METRICS = ("coco-ap", "wholebody-ap", "crowdpose-ap")
MATCHED_METRICS = ("pck", "pckh", "tpck", "auc", "epe", "nme")
"""These compare each annotated person with the pose found in that person's box: ``boxes="gt"``
only.
"""
POSE_METRICS = AP_METRICS + MATCHED_METRICS

OTHER_METRICS: Mapping[str, str] = {"box-ap": "detector", "top-k": "classifier"}
"""Metrics of other kinds of models, and the ``rtmpose eval`` command that has them."""

HAND_METRICS = ("pck", "auc", "epe")
FACE_METRICS = ("nme",)
WITH_SIGMAS = ("coco-ap", "pck")
WITHOUT_SIGMAS = ("pck", "auc", "epe")
PUBLISHED_METRICS: Mapping[str, tuple[str, ...]] = {
    "coco-wholebody133": ("wholebody-ap",),
    "halpe136": ("coco-ap", "pck"),
    "crowdpose14": ("crowdpose-ap", "pck"),
    "mpii16": ("pckh",),
    "jhmdb15": ("pck", "tpck"),
    "hand21": HAND_METRICS,
    "rhd21": HAND_METRICS,
    "300w68": FACE_METRICS,
    "aflw19": FACE_METRICS,
    "cofw29": FACE_METRICS,
    "lapa106": FACE_METRICS,
    "wflw98": FACE_METRICS,
}
"""Keypoint set to its metrics, the principal one first. Others with sigmas: COCO AP and PCK;
without: PCK, AUC, EPE.
"""

EYES: Mapping[str, tuple[int, int]] = {
    "300w68": (36, 45),
    "cofw29": (8, 9),
    "lapa106": (66, 79),
    "wflw98": (60, 72),
}
"""The two keypoints whose distance NME is measured in: the outer corners of the eyes (COFW: the
pupils' places).
"""

WHOLEBODY_KEYPOINTS = 133

HEAD_BOX_FRACTION = 0.6
"""MPII's head size is this fraction of the diagonal of the head box."""
MIN_TORSO = 1
"""Pixels below which a labeled torso is not measured in."""


@dataclass(frozen=True, eq=False)
class MatchedPoses:
    """Annotated people and the poses found in their boxes, row by row.

    Attributes:
        predicted: ``(N, K, 2)`` in image pixels.
        scores: ``(N, K)`` raw scores.
        true: ``(N, K, 3)`` x, y, v.
        boxes: ``(N, 4)`` xyxy.
        image_ids: N.
        annotations: The N COCO annotations.
        names: Of the K keypoints; empty where unknown.
    """

    predicted: FloatArray
    scores: FloatArray
    true: FloatArray
    boxes: FloatArray
    image_ids: tuple[int, ...]
    annotations: tuple[Mapping[str, Json], ...]
    names: tuple[str, ...]

    @property
    def mask(self) -> Mask:
        """``(N, K)``: the labeled points."""
        return np.asarray(self.true[..., 2] > 0)


def choose_metrics(
    dataset: KeypointDataset,
    boxes: str,
    scored: int | None = None,
    *,
    model_has_sigmas: bool = False,
) -> tuple[str, ...]:
    """The metrics a set is published with; without annotated boxes only average precision.

    Args:
        dataset: The set.
        boxes: As in :func:`rtmpose.evaluation.evaluate`.
        scored: Number of its keypoints that the model has; None for all.
        model_has_sigmas: Whether the model's keypoints have sigmas, for sets that have none.

    Raises:
        InputError: the set is published with metrics that need annotated boxes.
    """
    # The metrics that the set is published with.
    skeleton = dataset.skeleton
    metrics = PUBLISHED_METRICS.get(skeleton.name) if skeleton else None
    if metrics is None:
        has_sigmas = skeleton is None or bool(skeleton.sigmas) or model_has_sigmas
        metrics = WITH_SIGMAS if has_sigmas else WITHOUT_SIGMAS

    # A model of the body alone, and a crowd that nothing is known of.
    is_partial = scored not in (None, WHOLEBODY_KEYPOINTS)
    if "wholebody-ap" in metrics and is_partial:
        metrics = WITH_SIGMAS
    has_crowd_index = all("crowdIndex" in image for image in dataset.content["images"])
    if "crowdpose-ap" in metrics and not has_crowd_index:
        metrics = WITH_SIGMAS

    # Detected people are not matched with annotated ones, so only average precision is left.
    if boxes == "gt":
        return metrics
    without_boxes = tuple(m for m in metrics if m in AP_METRICS)
    if not without_boxes:
        raise InputError(f"{dataset.path} is scored by {', '.join(metrics)}, which need --boxes gt")
    return without_boxes


def check_metrics(metrics: Sequence[str], boxes: str) -> tuple[str, ...]:
    """The metrics asked for.

    Raises:
        InputError: one is unknown, not of poses, or does not go with these boxes.
    """
    # Unknown, of another kind of model, or in need of annotated boxes.
    for name in metrics:
        if name in OTHER_METRICS:
            kind = OTHER_METRICS[name]
            raise InputError(f"{name} is a metric of a {kind}: use `rtmpose eval {kind}`")
        if name not in POSE_METRICS:
            raise InputError(f"unknown metric {name!r}; there are {', '.join(POSE_METRICS)}")
        if name in MATCHED_METRICS and boxes != "gt":
            raise InputError(
                f"{name} compares each annotated person with the pose in that person's box: it"
                " needs --boxes gt"
            )
    return tuple(metrics)


# ---- what distances are measured in


def box_norm(matched: MatchedPoses) -> FloatArray:
    """``(N, 2)``: twice the longer side of the box; PCK's usual unit."""
    return _twice((matched.boxes[:, 2:] - matched.boxes[:, :2]).max(axis=1))


def box_scale_norm(matched: MatchedPoses) -> FloatArray:
    """``(N, 2)``: twice the geometric mean of the sides of the box; the faces' NME where no eyes
    are known.
    """
    return _twice(np.sqrt((matched.boxes[:, 2:] - matched.boxes[:, :2]).prod(axis=1)))


def head_norm(matched: MatchedPoses) -> FloatArray:
    """``(N, 2)``: twice the size of the head; 0 where unknown.

    ``head_size`` of the annotation in pixels; else 0.6 of the diagonal of its ``head_box`` (x, y,
    w, h), which is MPII's rule; else the distance from the top of the head to the neck.

    Raises:
        InputError: nobody has any of these.
    """
    # From the best source that a person has; 0 where there is none.
    top = _first_index(matched.names, ("head_top", "head"))
    neck = _first_index(matched.names, ("upper_neck", "neck"))
    sizes = np.zeros(len(matched.boxes), np.float32)
    without_box = 0
    for i, annotation in enumerate(matched.annotations):
        if annotation.get("head_size"):
            sizes[i] = annotation["head_size"]
        elif annotation.get("head_box"):
            sizes[i] = HEAD_BOX_FRACTION * np.hypot(*annotation["head_box"][2:])
        elif top is not None and neck is not None and matched.mask[i, [top, neck]].all():
            sizes[i] = np.linalg.norm(matched.true[i, top, :2] - matched.true[i, neck, :2])
            without_box += 1

    if len(sizes) and not sizes.any():
        raise InputError(
            "PCKh needs head_size or head_box in the annotations, or labeled head_top and neck"
        )
    if without_box:
        log.warning(
            "%d of %d people have no head box: their head goes from top to neck",
            without_box,
            len(sizes),
        )
    return _twice(sizes)


def torso_norm(matched: MatchedPoses) -> FloatArray:
    """``(N, 2)``: twice the distance from left shoulder to right hip, of the label or, under 1
    pixel, as predicted.

    Raises:
        InputError: the set has no such points.
    """
    shoulder = _first_index(matched.names, ("left_shoulder",))
    hip = _first_index(matched.names, ("right_hip",))
    if shoulder is None or hip is None:
        raise InputError("PCK by torso needs the keypoints left_shoulder and right_hip")
    # Torsos seen from the side are too short in the label to measure in.
    labeled = np.linalg.norm(matched.true[:, shoulder, :2] - matched.true[:, hip, :2], axis=1)
    predicted = np.linalg.norm(matched.predicted[:, shoulder] - matched.predicted[:, hip], axis=1)
    has_label = matched.mask[:, [shoulder, hip]].all(axis=1) & (labeled >= MIN_TORSO)
    return _twice(np.where(has_label, labeled, predicted).astype(np.float32))


def nme_norm(
    matched: MatchedPoses, set_name: str, points: tuple[str, str] | None
) -> tuple[FloatArray, str]:
    """``(N, 2)``: twice what NME is measured in, 0 where unknown; and what that is, in words.

    Args:
        matched: People.
        set_name: The keypoint set: :data:`EYES` knows the published ones; AFLW has ``box_size`` in
            its annotations.
        points: Names or numbers of two keypoints instead.

    Raises:
        InputError: there are no such keypoints.
    """
    # Faces without known eyes: the annotated box size (AFLW), else the box.
    if points is None and set_name not in EYES:
        if all(a.get("box_size") for a in matched.annotations):
            sizes = np.array([a["box_size"] for a in matched.annotations], np.float32)
            return _twice(sizes), "box_size"
        return box_scale_norm(matched), "box"

    # The outer corners of the eyes.
    if points is None:
        left, right = EYES[set_name]
        names = get_skeleton(set_name).keypoints
        points = (names[left], names[right])

    # The distance of the two points, where both are labeled.
    first, second = (_index_of(point, matched) for point in points)
    sizes = np.linalg.norm(matched.true[:, first, :2] - matched.true[:, second, :2], axis=1)
    has_label = matched.mask[:, [first, second]].all(axis=1)
    unit = f"distance of {points[0]} and {points[1]}"
    return _twice(np.where(has_label, sizes, 0).astype(np.float32)), unit


def _twice(sizes: FloatArray) -> FloatArray:
    """``(N, 2)``: the same size for x and y."""
    return np.stack([sizes, sizes], axis=1)


def _index_of(point: str, matched: MatchedPoses) -> int:
    """Index of a keypoint by its name or number."""
    keypoints = matched.true.shape[1]

    # A name, or a number where the set has no names.
    if point in matched.names:
        return matched.names.index(point)
    if point.isdecimal() and int(point) < keypoints:
        return int(point)
    raise InputError(f"{point!r} is neither a keypoint's name nor a number below {keypoints}")


def _first_index(names: Sequence[str], candidates: Sequence[str]) -> int | None:
    """Index of the first candidate among the names."""
    return next((names.index(name) for name in candidates if name in names), None)
