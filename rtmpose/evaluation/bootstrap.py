"""Is one model better than another, or were the photos kind to it? The error of an AP difference
over photos.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.evaluation.coco import Content, Results, judged

Floats = NDArray[np.float64]
DRAWS = 1000


@dataclass(frozen=True)
class Difference:
    """How the AP of two results differs on the same photos.

    Attributes:
        ap: Of the first.
        other: Of the second.
        difference: ``ap - other``.
        standard_error: Of the difference, over photos drawn anew with replacement, the same ones
            for both.
        low: Lower end of the interval that holds 95 % of the drawn differences.
        high: Upper end.
        better: Share of the draws in which the first is better.
        photos: Number of photos.
        draws: Number of draws.
    """

    ap: float
    other: float
    difference: float
    standard_error: float
    low: float
    high: float
    better: float
    photos: int
    draws: int

    def __str__(self) -> str:
        return (
            f"AP {100 * self.ap:.2f} against {100 * self.other:.2f}: {100 * self.difference:+.2f}"
            f" +- {100 * self.standard_error:.2f} (95 %: {100 * self.low:+.2f} to"
            f" {100 * self.high:+.2f}; {self.photos} photos, {self.draws} draws)"
        )


@dataclass(frozen=True, eq=False)
class _Class:
    """The matched detections of one category, the surest first."""

    photo: NDArray[np.int64]  # (D,) index of the photo
    right: NDArray[np.bool_]  # (T, D) at each of the thresholds
    wrong: NDArray[np.bool_]  # (T, D)
    people: Floats  # (photos,) annotated instances that count


def paired_bootstrap(
    ground_truth: Path | Content,
    results: Results,
    other: Results,
    *,
    kind: str = "keypoints",
    sigmas: Sequence[float] | None = None,
    image_ids: Sequence[int] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference:
    """Standard error of an AP difference (Efron & Tibshirani, 1993), by drawing photos.

    Args:
        ground_truth: A COCO annotation file or its content.
        results: COCO results.
        other: COCO results on the same photos.
        kind: ``keypoints`` or ``bbox``.
        sigmas: OKS constants; those of COCO by default.
        image_ids: The photos; all by default.
        draws: How often.
        seed: Of the draws.

    Raises:
        MissingDependencyError: pycocotools is not installed.
        InputError: results and annotations do not fit together, or there are fewer than two photos.
    """
    pair = []
    for each in (results, other):
        judge = judged(ground_truth, each, kind, sigmas=sigmas, image_ids=image_ids)
        pair.append((_classes(judge), judge.params.recThrs))
    photos = len(pair[0][0][0].people) if pair[0][0] else 0
    if photos < 2:
        raise InputError("the error of a difference needs two photos or more")
    ones = np.ones(photos)
    first, second = (_ap(classes, recalls, ones) for classes, recalls in pair)
    generator = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for i in range(draws):
        weights = np.bincount(generator.integers(0, photos, photos), minlength=photos).astype(
            np.float64
        )
        a, b = (_ap(classes, recalls, weights) for classes, recalls in pair)
        drawn[i] = a - b
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Difference(
        first,
        second,
        first - second,
        float(drawn.std(ddof=1)),
        float(low),
        float(high),
        float((drawn > 0).mean()),
        photos,
        draws,
    )


def read_results(path: Path) -> list[dict[str, Any]]:
    """COCO results, as ``rtmpose eval --results`` writes them.

    Raises:
        InputError: the file is missing or something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for row in content:
            float(row["score"]), row["image_id"], row["bbox"]
    except OSError as error:
        raise InputError(f"the results file {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} does not hold COCO results (image_id, bbox, score): {error!r}"
        ) from error
    rows: list[dict[str, Any]] = content
    return rows


def _classes(judge: Any) -> list[_Class]:
    """From the per-image matches of pycocotools: all sizes, the largest number of detections."""
    p = judge.params
    categories = p.catIds if p.useCats else [-1]
    images, sizes = len(p.imgIds), len(p.areaRng)
    out = []
    for c in range(len(categories)):
        rows = judge.evalImgs[c * sizes * images : c * sizes * images + images]
        people = np.array(
            [0 if e is None else (np.asarray(e["gtIgnore"]) == 0).sum() for e in rows], np.float64
        )
        kept = [(i, e) for i, e in enumerate(rows) if e is not None and len(e["dtScores"])]
        if not kept:
            nothing = np.zeros((len(p.iouThrs), 0), bool)
            out.append(_Class(np.zeros(0, np.int64), nothing, nothing, people))
            continue
        scores = np.concatenate([e["dtScores"] for _, e in kept])
        order = np.argsort(-scores, kind="mergesort")
        matched = np.concatenate([e["dtMatches"] for _, e in kept], axis=1)[:, order] > 0
        counted = ~np.concatenate([e["dtIgnore"] for _, e in kept], axis=1)[:, order].astype(bool)
        photo = np.concatenate([np.full(len(e["dtScores"]), i) for i, e in kept])[order]
        out.append(_Class(photo, matched & counted, ~matched & counted, people))
    return out


def _ap(classes: Sequence[_Class], recalls: Floats, weights: Floats) -> float:
    """COCO's AP when photo i is there ``weights[i]`` times; -1 without anybody."""
    values = []
    for c in classes:
        total = float(weights @ c.people)
        if not total:
            continue
        times = weights[c.photo]
        right, wrong = np.cumsum(c.right * times, axis=1), np.cumsum(c.wrong * times, axis=1)
        precision = right / np.maximum(right + wrong, np.spacing(1))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        for r, p in zip(right / total, precision, strict=True):
            at = np.searchsorted(r, recalls, side="left")
            values.append(np.append(p, 0)[at].mean())
    return float(np.mean(values)) if values else -1.0
