"""Suppression of doubles against the definition, box by box."""

import numpy as np
import pytest

from rtmpose.geometry import NMS_BLOCK, box_iou, nms


def one_by_one(boxes, scores, iou_thr):
    order, kept = np.argsort(-scores, kind="stable").tolist(), []
    for i in order:
        if all(box_iou(boxes[i : i + 1], boxes[j : j + 1])[0, 0] <= iou_thr for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("count", [0, 1, 7, NMS_BLOCK, NMS_BLOCK + 1, 3 * NMS_BLOCK - 5])
@pytest.mark.parametrize("spread", [60, 600])
def test_suppression_in_blocks_is_suppression_box_by_box(count, spread):
    rng = np.random.default_rng(count)
    corners = rng.uniform(0, spread, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(20, 120, (count, 2))], axis=1).astype(np.float32)
    scores = rng.integers(0, 50, count).astype(np.float32) / 50  # with ties
    for iou_thr in (0.3, 0.65):
        expected = one_by_one(boxes, scores, iou_thr)
        assert nms(boxes, scores, iou_thr).tolist() == expected
        for limit in (0, 5, len(expected) + 1):
            assert nms(boxes, scores, iou_thr, limit).tolist() == expected[:limit]
