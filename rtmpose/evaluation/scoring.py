"""Scores of poses that were found, against an annotated set."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from rtmpose.datasets import KeypointDataset, conversion
from rtmpose.datasets.category_skeletons import skeleton_with_keypoints
from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.datasets.conversion_table import IndexPairs
from rtmpose.datasets.keypoint_guess import are_unnamed
from rtmpose.errors import InputError
from rtmpose.evaluation import metrics, protocols
from rtmpose.evaluation.bootstrap import RESAMPLES, Difference, paired_bootstrap
from rtmpose.evaluation.coco import CocoResults, coco_keypoint_ap, crowdpose_ap, wholebody_ap
from rtmpose.evaluation.protocols import AP_METRICS, MatchedPoses
from rtmpose.skeletons import get_skeleton, skeleton_names
from rtmpose.types import FloatArray, Skeleton

log = logging.getLogger(__name__)

PCK_THRESHOLDS = (0.2, 0.1, 0.05)
PCKH_THRESHOLDS = (0.5, 0.1)
AUC_NORM = 30.0
"""Pixels at which the curve of AUC ends, as published."""
NOT_IN_PCKH = ("pelvis", "thorax")
COCO_KEYPOINTS = 17

SIGMAS_SHOWN = 8
NAMES_SHOWN = 4

KeypointMap: TypeAlias = IndexPairs
"""Keypoint of the set, and that of the model or the two whose middle it is."""


def score(
    dataset: KeypointDataset,
    results: CocoResults,
    image_ids: Sequence[int],
    points: KeypointMap,
    skeleton: Skeleton,
    metric_names: Sequence[str],
    matched: MatchedPoses | None = None,
    nme_points: tuple[str, str] | None = None,
) -> dict[str, float]:
    """Metrics of given results.

    Args:
        dataset: The annotated set.
        results: COCO results with the keypoints of ``points``.
        image_ids: The images they are of.
        points: From :func:`keypoint_map`.
        skeleton: The model's keypoints, for sigmas where the set has none.
        metric_names: Of :data:`rtmpose.evaluation.protocols.POSE_METRICS`.
        matched: For the metrics that compare person by person.
        nme_points: As in :func:`rtmpose.evaluation.evaluate`.

    Raises:
        InputError: a metric does not suit the set.
    """
    # Average precision from COCO results, everything else from matched people.
    set_name = dataset.skeleton.name if dataset.skeleton else ""
    values: dict[str, float] = {}
    for name in metric_names:
        if name in AP_METRICS:
            values |= _average_precision(name, dataset, results, image_ids, points, skeleton)
        elif matched is not None:
            values |= _matched_metric(name, matched, set_name, nme_points)
        else:
            raise InputError(f"{name} is not a metric of poses in these boxes")
    return values


def keypoint_map(dataset: KeypointDataset, skeleton: Skeleton) -> KeypointMap:
    """Which of the model's keypoints stand for those of the set.

    By the table of conversions where both sets are known, else by name, else, where the set has no
    names, by number.

    Args:
        dataset: The annotated set.
        skeleton: The model's keypoints.

    Raises:
        InputError: the model's keypoints are not those of the set.
    """
    # By the table of conversions.
    target = dataset.skeleton
    packaged = skeleton_names()
    if target is not None and target.name in packaged and skeleton.name in packaged:
        return conversion(skeleton.name, target.name)

    # By name.
    names = target.keypoints if target is not None else dataset.keypoint_names
    if names and set(names) & set(skeleton.keypoints):
        index_of = {name: i for i, name in enumerate(skeleton.keypoints)}
        return tuple((i, (index_of[n],)) for i, n in enumerate(names) if n in index_of)

    # By number: all keypoints of the model, or the 17 of COCO that it starts with.
    counts = {len(a["keypoints"]) // 3 for i in dataset.annotations for a in dataset.labeled(i)}
    coco_names = get_skeleton("coco17").keypoints
    starts_with_coco = skeleton.keypoints[:COCO_KEYPOINTS] == coco_names
    is_coco = counts == {COCO_KEYPOINTS} and starts_with_coco
    fits = is_coco or counts == {len(skeleton)}
    if not fits and names and not are_unnamed(names) and not are_unnamed(skeleton.keypoints):
        raise InputError(
            f"none of the keypoints of {dataset.path} ({_first(names)}) is one of the model's"
            f" {skeleton.name} ({_first(skeleton.keypoints)}); train a model for them (rtmpose"
            " train finetune), or give both the same names (--skeleton)"
        )
    if not fits:
        raise InputError(
            f"{dataset.path} has {sorted(counts)} keypoints per person; the model's"
            f" {skeleton.name} has {len(skeleton)}, and nothing says which of them belong together"
            " (names in the categories would)"
        )
    log.warning(
        "%s does not name its keypoints as the model does: they are compared with those of %s by"
        " their number; --skeleton names them",
        dataset.path,
        skeleton.name,
    )
    return tuple((i, (i,)) for i in range(counts.pop()))  # the same number on both sides


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")


def take(
    points: KeypointMap, keypoints: FloatArray, scores: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The set's keypoints, from the model's; a middle of two has the lower score.

    Args:
        points: From :func:`keypoint_map`.
        keypoints: ``(N, K, 2)`` of the model.
        scores: ``(N, K)`` of the model.

    Returns:
        Keypoints ``(N, len(points), 2)`` and scores ``(N, len(points))``.
    """
    # Single sources are their own middle.
    first = [sources[0] for _, sources in points]
    last = [sources[-1] for _, sources in points]
    if first == last:
        taken = keypoints[:, first]  # (N, len(points), 2)
    else:
        taken = np.asarray((keypoints[:, first] + keypoints[:, last]) / 2, np.float32)
    return taken, np.minimum(scores[:, first], scores[:, last])


def scored_ground_truth(
    dataset: KeypointDataset, points: KeypointMap, skeleton: Skeleton
) -> tuple[JsonObject, list[float] | None]:
    """The annotations cut to the keypoints that are scored, and their sigmas (None: the 17 of
    COCO).

    Raises:
        InputError: there are no sigmas.
    """
    # Keypoints that the model does not have are left out of the annotations too.
    targets = [target for target, _ in points]
    total = len(dataset.skeleton) if dataset.skeleton else len(dataset.keypoint_names)
    content = dict(dataset.content)
    if total and targets != list(range(total)):
        log.warning(
            "this model has %d of the %d keypoints of %s; they are scored",
            len(targets),
            total,
            dataset.path,
        )
        content["annotations"] = [_with_only(a, targets) for a in content["annotations"]]
    return content, sigmas_of(dataset, skeleton, points)


def sigmas_of(
    dataset: KeypointDataset, skeleton: Skeleton, points: KeypointMap
) -> list[float] | None:
    """Of the scored keypoints, from the set or else the model; None means the 17 of COCO.

    Raises:
        InputError: neither has any.
    """
    # The set's constants, else those of the model's keypoints.
    if dataset.skeleton is not None and dataset.skeleton.sigmas:
        return [dataset.skeleton.sigmas[target] for target, _ in points]
    if skeleton.sigmas:
        return [skeleton.sigmas[sources[0]] for _, sources in points]
    if len(points) != COCO_KEYPOINTS:
        raise InputError(
            f"average precision needs sigmas, and neither {dataset.path} nor the model's"
            f" {skeleton.name} has any; use --metric pck, or put sigmas into the keypoint set"
            " (docs/skeletons.md)"
        )
    return None


def sigmas_in_words(dataset: KeypointDataset, skeleton: Skeleton) -> str:
    """Whose sigmas AP is measured with, and which; empty for those of a published set.

    Args:
        dataset: The annotated set.
        skeleton: The model's keypoints.
    """
    used, owner = dataset.skeleton, "the data"
    if used is None or not used.sigmas:
        used, owner = skeleton, "the model"
    published = skeleton_with_keypoints(used.keypoints)
    if not used.sigmas or (published is not None and published.sigmas == used.sigmas):
        return ""
    values = [f"{sigma:g}" for sigma in used.sigmas]
    if len(set(values)) == 1:
        return f"sigmas of {owner}: {values[0]} for every keypoint"
    shown = ", ".join(values[:SIGMAS_SHOWN]) + (", ..." if len(values) > SIGMAS_SHOWN else "")
    return f"sigmas of {owner}: {shown}"


def difference(
    dataset: KeypointDataset,
    results: CocoResults,
    other: CocoResults,
    image_ids: Sequence[int],
    skeleton: Skeleton,
    resamples: int = RESAMPLES,
) -> Difference:
    """How the keypoint AP of two results differs, with its error over images.

    Args:
        dataset: The annotated set.
        results: Of a model, from :func:`rtmpose.evaluation.evaluate`.
        other: Of another one, with the same keypoints.
        image_ids: The images both were run on.
        skeleton: The first model's keypoints.
        resamples: Number of resamples of the bootstrap.

    Raises:
        InputError: the results do not fit together.
    """
    # Both models are scored on the same keypoints.
    points = keypoint_map(dataset, skeleton)
    content, sigmas = scored_ground_truth(dataset, points, skeleton)
    return paired_bootstrap(
        content, results, other, sigmas=sigmas, image_ids=image_ids, resamples=resamples
    )


def _average_precision(
    name: str,
    dataset: KeypointDataset,
    results: CocoResults,
    image_ids: Sequence[int],
    points: KeypointMap,
    skeleton: Skeleton,
) -> dict[str, float]:
    # Annotations with the scored keypoints only.
    content, sigmas = scored_ground_truth(dataset, points, skeleton)
    if name == "coco-ap":
        return coco_keypoint_ap(content, results, sigmas=sigmas, image_ids=image_ids)

    # WholeBody and CrowdPose define their metrics for all of their keypoints.
    is_partial = name == "wholebody-ap" and len(points) != protocols.WHOLEBODY_KEYPOINTS
    if sigmas is None or is_partial:
        raise InputError(
            f"{name} is for the keypoint set it is named after, and for models of all its points;"
            " use --metric coco-ap"
        )
    average_precision = wholebody_ap if name == "wholebody-ap" else crowdpose_ap
    return average_precision(content, results, sigmas=sigmas, image_ids=image_ids)


def _matched_metric(
    name: str, matched: MatchedPoses, set_name: str, nme_points: tuple[str, str] | None
) -> dict[str, float]:
    """A metric that compares each annotated person with the pose found in that person's box."""
    predicted = matched.predicted
    true = matched.true[..., :2]
    mask = matched.mask

    # No norm: plain pixels.
    if name == "auc":
        return {"AUC": metrics.auc(predicted, true, mask, AUC_NORM)}
    if name == "epe":
        return {"EPE": metrics.epe(predicted, true, mask)}

    # Norms: box, torso, head.
    if name == "pck":
        return _pck("PCK", matched, protocols.box_norm(matched))
    if name == "tpck":
        return _pck("tPCK", matched, protocols.torso_norm(matched))
    if name == "pckh":
        return _pckh(matched)

    # Faces: the distance of the eyes, or what the set has in its place.
    norm, unit = protocols.nme_norm(matched, set_name, nme_points)
    log.info("NME is measured in: %s", unit)
    return {"NME": metrics.nme(predicted, true, mask, norm)}


def _pck(title: str, matched: MatchedPoses, norm: FloatArray) -> dict[str, float]:
    values = {}
    for threshold in PCK_THRESHOLDS:
        true = matched.true[..., :2]
        _, mean, _ = metrics.pck(matched.predicted, true, matched.mask, threshold, norm)
        values[f"{title}@{threshold}"] = mean
    return values


def _pckh(matched: MatchedPoses) -> dict[str, float]:
    # MPII leaves out two points that annotators place differently.
    names = matched.names or ("",) * matched.true.shape[1]
    counted = [i for i, name in enumerate(names) if name not in NOT_IN_PCKH]
    predicted = matched.predicted[:, counted]
    true = matched.true[:, counted, :2]
    mask = matched.mask[:, counted]
    norm = protocols.head_norm(matched)
    return {f"PCKh@{t}": metrics.pckh(predicted, true, mask, t, norm) for t in PCKH_THRESHOLDS}


def _with_only(annotation: Mapping[str, Json], targets: Sequence[int]) -> JsonObject:
    """An annotation with some of its keypoints."""
    if not annotation.get("keypoints"):
        return dict(annotation)
    points = np.reshape(annotation["keypoints"], (-1, 3))[list(targets)]  # (K, 3)
    labeled = int((points[:, 2] > 0).sum())
    return {**annotation, "keypoints": points.reshape(-1).tolist(), "num_keypoints": labeled}
