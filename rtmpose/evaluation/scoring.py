"""Scores of poses that were found, against an annotated set."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rtmpose.datasets import KeypointDataset, conversion
from rtmpose.errors import InputError
from rtmpose.evaluation import metrics, protocols
from rtmpose.evaluation.bootstrap import DRAWS, Difference, paired_bootstrap
from rtmpose.evaluation.coco import coco_keypoint_ap, crowdpose_ap, wholebody_ap
from rtmpose.evaluation.protocols import AP_METRICS, MatchedPoses
from rtmpose.skeletons import get_skeleton, skeleton_names
from rtmpose.types import FloatArray, Skeleton

log = logging.getLogger(__name__)

PCK_THRESHOLDS = (0.2, 0.1, 0.05)
PCKH_THRESHOLDS = (0.5, 0.1)
AUC_NORM = 30.0
"""Pixels at which the curve of AUC ends, as published."""
NOT_IN_PCKH = ("pelvis", "thorax")

KeypointMap = tuple[tuple[int, tuple[int, ...]], ...]
"""Keypoint of the set, and that of the model or the two whose middle it is."""


def score(
    dataset: KeypointDataset,
    results: Sequence[dict[str, Any]],
    image_ids: Sequence[int],
    points: KeypointMap,
    skeleton: Skeleton,
    wanted: Sequence[str],
    pairs: MatchedPoses | None = None,
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
            values |= _pairwise(
                name, pairs, dataset.skeleton.name if dataset.skeleton else "", nme_points
            )
        else:
            raise InputError(f"{name} is not a metric of poses in these boxes")
    return values


def keypoint_map(dataset: KeypointDataset, skeleton: Skeleton) -> KeypointMap:
    """Which of the model's keypoints stand for those of the set.

    By the table of conversions where both sets are known, else by name, else, where the set has no
    names, by number.

    Raises:
        InputError: the model's keypoints are not those of the set.
    """
    known, target = skeleton_names(), dataset.skeleton
    if target is not None and target.name in known and skeleton.name in known:
        return conversion(skeleton.name, target.name)
    names = target.keypoints if target is not None else dataset.keypoint_names
    if names and set(names) & set(skeleton.keypoints):
        return tuple(
            (i, (skeleton.keypoints.index(n),))
            for i, n in enumerate(names)
            if n in skeleton.keypoints
        )
    lengths = {len(a["keypoints"]) // 3 for i in dataset.annotations for a in dataset.labeled(i)}
    body = lengths == {17} and skeleton.keypoints[:17] == get_skeleton("coco17").keypoints
    if lengths != {len(skeleton)} and not body:
        raise InputError(
            f"{dataset.path} has {sorted(lengths)} keypoints per person; the model's"
            f" {skeleton.name} has {len(skeleton)}, and nothing says which of them belong together"
            " (names in the categories would)"
        )
    return tuple((i, (i,)) for i in range(lengths.pop()))


def take(
    points: KeypointMap, keypoints: FloatArray, scores: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Keypoints ``(N, len(points), 2)`` and scores of the set, from the model's; a middle has the
    lower score.
    """
    first, last = [s[0] for _, s in points], [s[-1] for _, s in points]
    places = (
        (keypoints[:, first] + keypoints[:, last]) / 2 if first != last else keypoints[:, first]
    )
    return np.asarray(places, np.float32), np.minimum(scores[:, first], scores[:, last])


def scored_truth(
    dataset: KeypointDataset, points: KeypointMap, skeleton: Skeleton
) -> tuple[dict[str, Any], list[float] | None]:
    """The annotations cut to the keypoints that are scored, and their sigmas (None: the 17 of
    COCO).

    Raises:
        InputError: there are no sigmas.
    """
    targets = [t for t, _ in points]
    total = len(dataset.skeleton) if dataset.skeleton else len(dataset.keypoint_names)
    content = dict(dataset.content)
    if total and targets != list(range(total)):
        log.warning(
            "this model has %d of the %d keypoints of %s; they are scored",
            len(targets),
            total,
            dataset.path,
        )
        content["annotations"] = [_part(a, targets) for a in content["annotations"]]
    return content, sigmas_of(dataset, skeleton, points)


def difference(
    dataset: KeypointDataset,
    results: Sequence[dict[str, Any]],
    other: Sequence[dict[str, Any]],
    image_ids: Sequence[int],
    skeleton: Skeleton,
    draws: int = DRAWS,
) -> Difference:
    """How the keypoint AP of two results differs, with its error over photos.

    Args:
        dataset: The annotated set.
        results: Of a model, from :func:`rtmpose.evaluation.evaluate`.
        other: Of another one, with the same keypoints.
        image_ids: The images both were run on.
        skeleton: The first model's keypoints.
        draws: Of the bootstrap.

    Raises:
        InputError: the results do not fit together.
    """
    content, sigmas = scored_truth(dataset, keypoint_map(dataset, skeleton), skeleton)
    return paired_bootstrap(
        content, results, other, sigmas=sigmas, image_ids=image_ids, draws=draws
    )


def _average_precision(
    name: str,
    dataset: KeypointDataset,
    results: Sequence[dict[str, Any]],
    image_ids: Sequence[int],
    points: KeypointMap,
    skeleton: Skeleton,
) -> dict[str, float]:
    content, sigmas = scored_truth(dataset, points, skeleton)
    if name == "coco-ap":
        return coco_keypoint_ap(content, results, sigmas=sigmas, image_ids=image_ids)
    if sigmas is None or (name == "wholebody-ap" and len(points) != protocols.WHOLE_BODY):
        raise InputError(
            f"{name} is for its own keypoint set, and for models of all its points; use --metric"
            " coco-ap"
        )
    judge = wholebody_ap if name == "wholebody-ap" else crowdpose_ap
    return judge(content, results, sigmas=sigmas, image_ids=image_ids)


def _pairwise(
    name: str, pairs: MatchedPoses, set_name: str, nme_points: tuple[str, str] | None
) -> dict[str, float]:
    predicted, true, mask = pairs.predicted, pairs.true[..., :2], pairs.mask
    if name in ("pck", "tpck"):
        norm = protocols.box_sides(pairs) if name == "pck" else protocols.torso_sizes(pairs)
        title = "PCK" if name == "pck" else "tPCK"
        return {
            f"{title}@{t}": metrics.pck(predicted, true, mask, t, norm)[1] for t in PCK_THRESHOLDS
        }
    if name == "pckh":
        norm = protocols.head_sizes(pairs)
        rows = [
            i for i in range(true.shape[1]) if not pairs.names or pairs.names[i] not in NOT_IN_PCKH
        ]
        part = (predicted[:, rows], true[:, rows], mask[:, rows])
        return {f"PCKh@{t}": metrics.pckh(*part, t, norm) for t in PCKH_THRESHOLDS}
    if name == "auc":
        return {"AUC": metrics.auc(predicted, true, mask, AUC_NORM)}
    if name == "epe":
        return {"EPE": metrics.epe(predicted, true, mask)}
    norm, unit = protocols.nme_sizes(pairs, set_name, nme_points)
    log.info("NME is measured in: %s", unit)
    return {"NME": metrics.nme(predicted, true, mask, norm)}


def _part(annotation: Mapping[str, Any], targets: Sequence[int]) -> dict[str, Any]:
    if not annotation.get("keypoints"):
        return dict(annotation)
    points = np.reshape(annotation["keypoints"], (-1, 3))[list(targets)]
    count = int((points[:, 2] > 0).sum())
    return {**annotation, "keypoints": points.reshape(-1).tolist(), "num_keypoints": count}


def sigmas_of(
    dataset: KeypointDataset, skeleton: Skeleton, points: KeypointMap
) -> list[float] | None:
    """Of the scored keypoints, from the set or else the model; None means the 17 of COCO.

    Raises:
        InputError: nobody knows any.
    """
    if dataset.skeleton is not None and dataset.skeleton.sigmas:
        return [dataset.skeleton.sigmas[t] for t, _ in points]
    if skeleton.sigmas:
        return [skeleton.sigmas[s[0]] for _, s in points]
    if len(points) != 17:
        raise InputError(
            f"average precision needs sigmas, and neither {dataset.path} nor the model's"
            f" {skeleton.name} has any; use --metric pck, or put sigmas into the keypoint set"
            " (docs/skeletons.md)"
        )
    return None
