"""Which metrics a keypoint set is published with, and what its distances are measured in."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.evaluation.metrics import Mask
from rtmpose.skeletons import get_skeleton
from rtmpose.types import FloatArray

log = logging.getLogger(__name__)

AP_METRICS = ("coco-ap", "wholebody-ap", "crowdpose-ap")
PAIR_METRICS = ("pck", "pckh", "tpck", "auc", "epe", "nme")
"""These compare each annotated person with the pose found in that person's box: ``boxes="gt"``
only.
"""
POSE_METRICS = AP_METRICS + PAIR_METRICS
METRICS = (*POSE_METRICS, "box-ap", "top-k")

HAND = ("pck", "auc", "epe")
FACE = ("nme",)
PUBLISHED: Mapping[str, tuple[str, ...]] = {
    "coco-wholebody133": ("wholebody-ap",),
    "halpe136": ("coco-ap", "pck"),
    "crowdpose14": ("crowdpose-ap", "pck"),
    "mpii16": ("pckh",),
    "jhmdb15": ("pck", "tpck"),
    "hand21": HAND,
    "rhd21": HAND,
    "300w68": FACE,
    "aflw19": FACE,
    "cofw29": FACE,
    "lapa106": FACE,
    "wflw98": FACE,
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

WHOLE_BODY = 133

HEAD_SHARE = 0.6
"""MPII's head size is this share of the diagonal of the head box."""


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
    annotations: tuple[Mapping[str, Any], ...]
    names: tuple[str, ...]

    @property
    def mask(self) -> Mask:
        """``(N, K)``: the labeled points."""
        return np.asarray(self.true[..., 2] > 0)


def choose_metrics(
    dataset: KeypointDataset, boxes: str, scored: int | None = None
) -> tuple[str, ...]:
    """The metrics a set is published with; without annotated boxes only average precision.

    Args:
        dataset: The set.
        boxes: As in :func:`rtmpose.evaluation.evaluate`.
        scored: How many of its keypoints the model has; None for all.

    Raises:
        InputError: the set is published with metrics that need annotated boxes.
    """
    name = dataset.skeleton.name if dataset.skeleton else ""
    chosen = PUBLISHED.get(name)
    if chosen is None:
        known = dataset.skeleton is None or bool(dataset.skeleton.sigmas)
        chosen = ("coco-ap", "pck") if known else ("pck", "auc", "epe")
    if "wholebody-ap" in chosen and scored not in (None, WHOLE_BODY):
        chosen = ("coco-ap", "pck")  # a model of the body alone
    if "crowdpose-ap" in chosen and not all("crowdIndex" in i for i in dataset.content["images"]):
        chosen = ("coco-ap", "pck")
    if boxes != "gt":
        rest = tuple(m for m in chosen if m in AP_METRICS)
        if not rest:
            raise InputError(
                f"{dataset.path} is scored by {', '.join(chosen)}, which need --boxes gt"
            )
        return rest
    return chosen


def check_metrics(metrics: Sequence[str], boxes: str) -> tuple[str, ...]:
    """The metrics asked for.

    Raises:
        InputError: one is unknown, or does not go with these boxes.
    """
    for name in metrics:
        if name not in METRICS:
            raise InputError(f"unknown metric {name!r}; there are {', '.join(METRICS)}")
        if name in PAIR_METRICS and boxes != "gt":
            raise InputError(
                f"{name} compares each annotated person with the pose in that person's box: it"
                " needs --boxes gt"
            )
    return tuple(metrics)


def box_sides(pairs: MatchedPoses) -> FloatArray:
    """``(N, 2)``: twice the longer side of the box; PCK's usual unit."""
    side = (pairs.boxes[:, 2:] - pairs.boxes[:, :2]).max(axis=1)
    return np.stack([side, side], axis=1)


def box_scales(pairs: MatchedPoses) -> FloatArray:
    """``(N, 2)``: twice the geometric mean of the sides of the box; the faces' NME where no eyes
    are known.
    """
    scale = np.sqrt((pairs.boxes[:, 2:] - pairs.boxes[:, :2]).prod(axis=1))
    return np.stack([scale, scale], axis=1)


def head_sizes(pairs: MatchedPoses) -> FloatArray:
    """``(N, 2)``: twice the size of the head; 0 where unknown.

    ``head_size`` of the annotation in pixels; else 0.6 of the diagonal of its ``head_box`` (x, y,
    w, h), which is MPII's rule; else the distance from the top of the head to the neck.

    Raises:
        InputError: nobody has any of these.
    """
    top, neck = (
        _first(pairs.names, names) for names in (("head_top", "head"), ("upper_neck", "neck"))
    )
    sizes, from_joints = np.zeros(len(pairs.boxes), np.float32), 0
    for i, annotation in enumerate(pairs.annotations):
        if annotation.get("head_size"):
            sizes[i] = annotation["head_size"]
        elif annotation.get("head_box"):
            sizes[i] = HEAD_SHARE * np.hypot(*annotation["head_box"][2:])
        elif top is not None and neck is not None and pairs.mask[i, [top, neck]].all():
            sizes[i] = np.linalg.norm(pairs.true[i, top, :2] - pairs.true[i, neck, :2])
            from_joints += 1
    if len(sizes) and not sizes.any():
        raise InputError(
            "PCKh needs head_size or head_box in the annotations, or labeled head_top and neck"
        )
    if from_joints:
        log.warning(
            "%d of %d people have no head box: their head goes from top to neck",
            from_joints,
            len(sizes),
        )
    return np.stack([sizes, sizes], axis=1)


def torso_sizes(pairs: MatchedPoses) -> FloatArray:
    """``(N, 2)``: twice the distance from left shoulder to right hip, of the label or, under 1
    pixel, as predicted.

    Raises:
        InputError: the set has no such points.
    """
    shoulder, hip = (_first(pairs.names, (name,)) for name in ("left_shoulder", "right_hip"))
    if shoulder is None or hip is None:
        raise InputError("PCK by torso needs the keypoints left_shoulder and right_hip")
    sizes = np.linalg.norm(pairs.true[:, shoulder, :2] - pairs.true[:, hip, :2], axis=1)
    guess = np.linalg.norm(pairs.predicted[:, shoulder] - pairs.predicted[:, hip], axis=1)
    labeled = pairs.mask[:, [shoulder, hip]].all(axis=1)
    sizes = np.where(labeled & (sizes >= 1), sizes, guess).astype(np.float32)
    return np.stack([sizes, sizes], axis=1)


def nme_sizes(
    pairs: MatchedPoses, set_name: str, points: tuple[str, str] | None
) -> tuple[FloatArray, str]:
    """``(N, 2)``: twice what NME is measured in, 0 where unknown; and what that is, in words.

    Args:
        pairs: People.
        set_name: The keypoint set: :data:`EYES` knows the published ones; AFLW has ``box_size`` in
            its annotations.
        points: Names or numbers of two keypoints instead.

    Raises:
        InputError: there are no such keypoints.
    """
    if points is None and set_name not in EYES:
        if all(a.get("box_size") for a in pairs.annotations):
            sizes = np.array([a["box_size"] for a in pairs.annotations], np.float32)
            return np.stack([sizes, sizes], axis=1), "box_size"
        return box_scales(pairs), "box"
    if points is None:
        left, right = EYES[set_name]
        names = get_skeleton(set_name).keypoints
        points = (names[left], names[right])
    first, second = (_index(p, pairs) for p in points)
    sizes = np.linalg.norm(pairs.true[:, first, :2] - pairs.true[:, second, :2], axis=1)
    sizes = np.where(pairs.mask[:, [first, second]].all(axis=1), sizes, 0).astype(np.float32)
    return np.stack([sizes, sizes], axis=1), f"distance of {points[0]} and {points[1]}"


def _index(point: str, pairs: MatchedPoses) -> int:
    if point in pairs.names:
        return pairs.names.index(point)
    if point.isdecimal() and int(point) < pairs.true.shape[1]:
        return int(point)
    raise InputError(
        f"{point!r} is neither a keypoint's name nor a number below {pairs.true.shape[1]}"
    )


def _first(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)
