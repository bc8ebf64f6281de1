"""COCO keypoint average precision through pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import MissingDependencyError

NAMES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")


def coco_keypoint_ap(
    ground_truth: Path | dict[str, Any],
    results: Sequence[dict[str, Any]],
    *,
    sigmas: Sequence[float] | None = None,
    image_ids: Sequence[int] | None = None,
) -> dict[str, float]:
    """The ten COCO keypoint numbers as fractions.

    Args:
        ground_truth: A COCO annotation file or its content.
        results: COCO results: image_id, category_id, keypoints, score.
        sigmas: OKS constants; those of the 17 COCO points by default.
        image_ids: Evaluate these images only.

    Raises:
        MissingDependencyError: pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingDependencyError("COCO AP needs pycocotools: pip install 'rtmpose[eval]'") from error
    if not results:
        return dict.fromkeys(NAMES, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        if isinstance(ground_truth, dict):
            truth = COCO()
            truth.dataset = ground_truth
            truth.createIndex()
        else:
            truth = COCO(str(ground_truth))
        # loadRes adds fields to what it is given.
        judge = COCOeval(truth, truth.loadRes([dict(r) for r in results]), "keypoints")
        if sigmas is not None:
            judge.params.kpt_oks_sigmas = np.asarray(sigmas)
        if image_ids is not None:
            judge.params.imgIds = list(image_ids)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {name: float(value) for name, value in zip(NAMES, judge.stats, strict=True)}
