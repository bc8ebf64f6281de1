"""Suppression of duplicates and maps of crops, against their definitions box by box."""

import cv2
import numpy as np
import pytest

from rtmpose.ops.boxes import NMS_BLOCK, box_iou, intersection_area, nms, oks_nms, soft_oks_nms
from rtmpose.ops.crop import crop_matrices, crop_people


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
    boxes = np.concatenate([corners, corners + rng.uniform(20, 120, (count, 2))], axis=1).astype(
        np.float32
    )
    scores = rng.integers(0, 50, count).astype(np.float32) / 50  # with ties
    for iou_thr in (0.3, 0.65):
        expected = one_by_one(boxes, scores, iou_thr)
        assert nms(boxes, scores, iou_thr).tolist() == expected
        for count in (0, 5, len(expected) + 1):
            assert nms(boxes, scores, iou_thr, max_detections=count).tolist() == expected[:count]


def test_of_similar_poses_with_equal_scores_the_first_stays():
    # More than sixteen: NumPy sorts fewer in a stable way by default.
    rng = np.random.default_rng(5)
    places = np.repeat(1000.0 * np.arange(20), 2)  # two poses in each
    points = np.zeros((40, 5, 3), np.float32)
    points[..., :2] = rng.uniform(0, 100, (5, 2)) + places[:, None, None]
    scores = np.zeros(40, np.float32)
    areas = np.full(40, 1e4, np.float32)
    firsts = list(range(0, 40, 2))
    assert oks_nms(points, scores, areas, [0.05] * 5, 0.5).tolist() == firsts
    assert soft_oks_nms(points, scores, areas, [0.05] * 5, 0.5)[0] == 0


@pytest.mark.parametrize("degrees", [0.0, 33.0])
def test_maps_of_crops_are_those_of_three_points(degrees):
    rng = np.random.default_rng(3)
    centers = np.concatenate([rng.uniform(-100, 3000, (50, 2)), [[5, 5], [30000, 3]]]).astype(
        np.float32
    )
    widths = np.concatenate([rng.uniform(1, 900, 50), [0, 1e-4]]).astype(
        np.float32
    )  # the last two have no extent
    maps = crop_matrices(centers, widths[:, None] * np.float32([1, 4 / 3]), (192, 256), degrees)
    turn = np.deg2rad(degrees)
    for center, width, found in zip(centers, widths, maps, strict=True):
        second = (center + np.array([np.cos(turn), np.sin(turn)]) * width * -0.5).astype(np.float32)
        source = np.stack([center, second, second + (center - second)[::-1] * np.float32([-1, 1])])
        target = np.float32([[96, 128], [0, 128], [0, 224]])
        assert np.allclose(found, cv2.getAffineTransform(source, target), atol=1e-6)
    if degrees == 0:
        # To the last bit, on every processor: people are followed by what these maps lead back to.
        assert not maps[:, 0, 1].any()
        assert not maps[:, 1, 0].any()
        span = centers[:, 0].astype(float) - (centers[:, 0] - widths / 2.0).astype(np.float32)
        assert np.array_equal(maps[:50, 0, 0], 96 / span[:50])


def test_shared_area_is_that_of_painted_boxes():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 30, (12, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 20, (12, 2))], axis=1).astype(
        np.float32
    )
    painted = np.zeros((12, 64, 64), bool)
    for mask, (x1, y1, x2, y2) in zip(painted, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = True
    expected = (painted[:7, None] & painted[None, 7:]).sum(axis=(2, 3))
    np.testing.assert_array_equal(intersection_area(boxes[:7], boxes[7:]), expected)
    assert intersection_area(boxes[:0], boxes).shape == (0, 12)
    assert intersection_area(boxes, boxes[:0]).shape == (12, 0)


def test_antialiased_crops():
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    box = np.array([[100, 100, 541, 688]], np.float32)  # shrunk by about three
    plain, smooth = (
        crop_people(stripes, box, (192, 256), antialias=a)[0][0] for a in (False, True)
    )
    assert plain.std() > 60
    assert smooth.std() < 30
    assert abs(smooth.mean() - 127.5) < 3
    # Nothing moves, and who is smaller than the crop is cut as ever.
    y, x = np.mgrid[:800, :800].astype(np.float32)
    slope = cv2.merge([(x + y) / 8] * 3).astype(np.uint8)
    for b in (
        box,
        np.array([[300.5, 200, 410, 350]], np.float32),
        np.array([[-200, -300, 900, 1200]], np.float32),
    ):
        plain, smooth = (
            crop_people(slope, b, (192, 256), antialias=a)[0][0].astype(int) for a in (False, True)
        )
        inside = (plain > 0) & (smooth > 0)
        assert abs((plain - smooth)[inside]).mean() < 0.6
        assert abs((plain - smooth)[inside].mean()) < 0.3
    small = box * 0.2
    both = [crop_people(stripes, small, (192, 256), antialias=a)[0] for a in (False, True)]
    np.testing.assert_array_equal(*both)
    nothing = np.array([[50, 50, 50, 50]], np.float32)
    assert crop_people(slope, nothing, (192, 256), antialias=True)[0].shape == (1, 256, 192, 3)
