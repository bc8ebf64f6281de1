"""Is one model better than another, or did it have luck with the images? The error of an AP
difference over images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets.coco_types import CocoContent, Json, JsonObject
from rtmpose.errors import InputError
from rtmpose.evaluation.coco import CocoEvaluator, CocoResults, coco_evaluator
from rtmpose.ranges import SEED, check_count
from rtmpose.text_files import MAX_DATA_BYTES, read_json

Array = NDArray[np.float64]

RESAMPLES = 1000
INTERVAL = (2.5, 97.5)
"""Percentiles at the ends of the 95 % interval."""


@dataclass(frozen=True)
class Difference:
    """How the AP of two results differs on the same images.

    Attributes:
        ap: Of the first.
        other_ap: Of the second.
        difference: ``ap - other_ap``.
        standard_error: Of the difference, over images drawn anew with replacement, the same ones
            for both.
        low: Lower end of the interval that holds 95 % of the resampled differences.
        high: Upper end.
        better: Fraction of the resamples in which the first is better.
        images: Number of images.
        resamples: Number of resamples.
    """

    ap: float
    other_ap: float
    difference: float
    standard_error: float
    low: float
    high: float
    better: float
    images: int
    resamples: int

    def __str__(self) -> str:
        return (
            f"AP {100 * self.ap:.2f} against {100 * self.other_ap:.2f}:"
            f" {100 * self.difference:+.2f} +- {100 * self.standard_error:.2f}"
            f" (95 %: {100 * self.low:+.2f} to {100 * self.high:+.2f};"
            f" {self.images} images, {self.resamples} resamples)"
        )


@dataclass(frozen=True, eq=False)
class CategoryMatches:
    """The matched detections of one category, the highest-scoring first.

    Attributes:
        image: ``(D,)`` index of the image.
        true_positive: ``(T, D)`` at each of the T thresholds.
        false_positive: ``(T, D)``.
        instances: ``(images,)`` number of annotated instances that count.
    """

    image: NDArray[np.int64]
    true_positive: NDArray[np.bool_]
    false_positive: NDArray[np.bool_]
    instances: Array


def paired_bootstrap(
    ground_truth: Path | CocoContent,
    results: CocoResults,
    other: CocoResults,
    *,
    kind: str = "keypoints",
    sigmas: Sequence[float] | None = None,
    image_ids: Sequence[int] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Standard error of an AP difference (Efron & Tibshirani, 1993), by resampling the images.

    Args:
        ground_truth: A COCO annotation file or its content.
        results: COCO results.
        other: COCO results on the same images.
        kind: ``keypoints`` or ``bbox``.
        sigmas: OKS constants; those of COCO by default.
        image_ids: The images; all by default.
        resamples: Number of resamples.
        seed: Of the random numbers.

    Raises:
        MissingDependencyError: pycocotools is not installed.
        InputError: results and annotations do not fit together, or there are fewer than two images.
    """
    check_count("resamples", resamples)
    check_count("seed", seed, SEED)

    # Detections are matched once; a resample only counts images more or less often.
    matches = []
    for each in (results, other):
        evaluator = coco_evaluator(ground_truth, each, kind, sigmas=sigmas, image_ids=image_ids)
        recalls = evaluator.params.recThrs
        matches.append(category_matches(evaluator))
    images = len(matches[0][0].instances) if matches[0] else 0  # the same images for both results
    if images < 2:
        raise InputError("the error of a difference needs two images or more")

    # The same resample for both results: what is hard in an image is hard for both.
    generator = np.random.default_rng(seed)
    differences = np.empty(resamples)
    for i in range(resamples):
        # A resample is a weight per image: how often it was drawn.
        drawn = generator.integers(0, images, images)
        weights = np.bincount(drawn, minlength=images).astype(np.float64)
        resampled = [weighted_ap(m, recalls, weights) for m in matches]
        differences[i] = resampled[0] - resampled[1]

    ap, other_ap = (weighted_ap(m, recalls, np.ones(images)) for m in matches)
    low, high = np.percentile(differences, INTERVAL)
    return Difference(
        ap=ap,
        other_ap=other_ap,
        difference=ap - other_ap,
        standard_error=float(differences.std(ddof=1)),
        low=float(low),
        high=float(high),
        better=float((differences > 0).mean()),
        images=images,
        resamples=resamples,
    )


def read_results(path: Path) -> list[JsonObject]:
    """COCO results, as ``rtmpose eval ... --results`` writes them.

    Raises:
        InputError: the file is missing or something else.
    """
    # The rows are looked into, so that a wrong file is refused here.
    content: Json = read_json(path, allow_nan=True, limit=MAX_DATA_BYTES)
    fault = "" if isinstance(content, list) else "it is no list, as annotations are none"
    try:
        for row in () if fault else content:
            float(row["score"]), row["image_id"], row["bbox"]
    except KeyError as error:
        fault = f"an entry has no {error}"
    except (ValueError, TypeError) as error:
        fault = str(error)
    if fault:
        raise InputError(
            f"{path} does not hold COCO results (image_id, bbox, score), as --results writes them:"
            f" {fault}"
        )
    rows: list[JsonObject] = content
    return rows


def category_matches(evaluator: CocoEvaluator) -> list[CategoryMatches]:
    """From the per-image matches of pycocotools: all sizes, the largest number of detections."""
    # Without categories pycocotools has one, -1.
    params = evaluator.params
    categories = params.catIds if params.useCats else [-1]
    images = len(params.imgIds)
    matches = []
    for index in range(len(categories)):
        # Per category there is one block of images for each range of sizes, the first of all sizes.
        start = index * len(params.areaRng) * images
        rows = evaluator.evalImgs[start : start + images]
        # Annotations that count, per image.
        instances = [0 if e is None else np.count_nonzero(np.equal(e["gtIgnore"], 0)) for e in rows]
        matches.append(_matches_of(rows, np.array(instances, np.float64), len(params.iouThrs)))
    return matches


def _matches_of(
    rows: Sequence[JsonObject | None], instances: Array, thresholds: int
) -> CategoryMatches:
    """From pycocotools' dict of each image, None for images without anything."""
    detected = [(i, e) for i, e in enumerate(rows) if e is not None and len(e["dtScores"])]
    if not detected:
        nothing = np.zeros((thresholds, 0), bool)
        return CategoryMatches(np.zeros(0, np.int64), nothing, nothing, instances)

    # All images together, the highest-scoring detection first.
    scores = np.concatenate([e["dtScores"] for _, e in detected])
    order = np.argsort(-scores, kind="mergesort")
    # (D,) in order of score.
    image = np.concatenate([np.full(len(e["dtScores"]), i) for i, e in detected])[order]
    matched = np.concatenate([e["dtMatches"] for _, e in detected], axis=1)[:, order] > 0  # (T, D)
    ignored = np.concatenate([e["dtIgnore"] for _, e in detected], axis=1)[:, order].astype(bool)
    return CategoryMatches(image, matched & ~ignored, ~matched & ~ignored, instances)


def weighted_ap(categories: Sequence[CategoryMatches], recalls: Array, weights: Array) -> float:
    """COCO's AP when image i is there ``weights[i]`` times; -1 without any instance.

    Args:
        categories: From :func:`category_matches`.
        recalls: Recalls that precision is averaged over.
        weights: ``(images,)``.
    """
    values = []
    for matches in categories:
        total = float(weights @ matches.instances)  # instances in this resample
        if not total:
            continue
        # A detection counts as often as its image was drawn.
        counts = weights[matches.image]
        true_positives = np.cumsum(matches.true_positive * counts, axis=1)
        false_positives = np.cumsum(matches.false_positive * counts, axis=1)
        detections = np.maximum(true_positives + false_positives, np.spacing(1))

        # Precision never rises with recall: each takes the highest to its right.
        precision = true_positives / detections
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]

        # Per threshold: precision at COCO's recalls, 0 where a recall is not reached.
        for recall_row, precision_row in zip(true_positives / total, precision, strict=True):
            at = np.searchsorted(recall_row, recalls, side="left")
            values.append(np.append(precision_row, 0)[at].mean())
    return float(np.mean(values)) if values else -1.0
