"""Equality with numbers of the original packages; tests/golden/README.md tells where they come
from.
"""

import json

import cv2
import numpy as np
import pytest

from rtmpose.evaluation import coco_keypoint_ap, metrics
from rtmpose.ops import boxes as box_ops
from rtmpose.ops import crop, heatmap, rtmdet, simcc
from rtmpose.skeletons import get_skeleton

SIGMAS = get_skeleton("coco17").sigmas
SIZES = [(192, 256), (288, 384), (256, 256)]


@pytest.fixture(scope="module")
def ops(golden):
    return {f.stem: np.load(f) for f in (golden / "ops").glob("*.npz")}


@pytest.fixture(scope="module")
def simcc_settings(golden):
    return json.loads((golden / "ops" / "index.json").read_text())["simcc"]["note"]


@pytest.mark.parametrize("name", ["coco", "norm", "sq", "big", "dark", "hard"])
def test_simcc(ops, simcc_settings, name):
    stored, given = ops["simcc"], simcc_settings[name]
    sigma = given.get("sigma")
    sigma = (sigma, sigma) if isinstance(sigma, float) else sigma
    x, y, weights = simcc.encode(
        stored[f"{name}/keypoints"],
        stored[f"{name}/visible"],
        tuple(given["input_size"]),
        sigma,
        given["simcc_split_ratio"],
        normalize=given.get("normalize", sigma is not None),
        label_smoothing=given.get("label_smooth_weight", 0.0),
    )
    np.testing.assert_allclose(x, stored[f"{name}/x"], atol=1e-6)
    np.testing.assert_allclose(y, stored[f"{name}/y"], atol=1e-6)
    np.testing.assert_array_equal(weights, stored[f"{name}/weights"])
    if name == "hard":
        return
    points, scores = simcc.decode(
        stored[f"{name}/dec_in_x"],
        stored[f"{name}/dec_in_y"],
        2.0,
        sigma if given.get("use_dark") else None,
    )
    np.testing.assert_allclose(points, stored[f"{name}/dec_keypoints"], atol=1e-4)
    np.testing.assert_allclose(scores, stored[f"{name}/dec_scores"], atol=1e-6)


def test_udp_heatmap(ops):
    stored = ops["udp"]
    maps, weights = heatmap.encode(stored["keypoints"], stored["visible"], (192, 256), (48, 64))
    np.testing.assert_allclose(maps[0], stored["gauss/heatmaps"], atol=1e-5)
    np.testing.assert_array_equal(weights, stored["gauss/weights"])
    points, scores = heatmap.decode(stored["gauss/dec_in"][None], (192, 256))
    # The original spreads the map over 0..w where we, like the crops, use 0..w - 1.
    np.testing.assert_allclose(
        points * [192 / 191, 256 / 255], stored["gauss/dec_keypoints"], atol=1e-4
    )
    np.testing.assert_allclose(scores, stored["gauss/dec_scores"], atol=1e-6)


def test_flip(ops):
    stored = ops["flip"]
    x, y = simcc.flip_back(stored["x"], stored["y"], stored["indices"])
    np.testing.assert_array_equal(x, stored["flip_x"])
    np.testing.assert_array_equal(y, stored["flip_y"])
    np.testing.assert_array_equal(
        heatmap.flip_back(stored["h"], stored["indices"]), stored["flip_h"]
    )
    shifted = heatmap.flip_back(stored["h"], stored["indices"], shift=True)
    np.testing.assert_array_equal(shifted, stored["flip_h_shift"])
    assert list(stored["indices"]) == list(get_skeleton("coco17").flip_indices)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["std", "udp"])
def test_warp(ops, size, kind):
    stored, prefix = ops["warp"], f"{size[0]}x{size[1]}_{kind}"
    center, scale = crop.box_to_center_scale(stored["boxes"], size)
    np.testing.assert_allclose(center, stored["center"], atol=1e-4)
    np.testing.assert_allclose(scale, stored[f"{prefix}/scale"], atol=1e-4)
    matrices = np.concatenate(
        [
            crop.crop_matrices(
                center[i : i + 1], scale[i : i + 1], size, float(angle), udp=kind == "udp"
            )
            for i, angle in enumerate(stored["rot"])
        ]
    )
    np.testing.assert_allclose(matrices, stored[f"{prefix}/matrix"], atol=1e-4)
    if f"{prefix}/0/image" not in stored:
        return
    height, width = stored["image_hw"]
    y, x = np.mgrid[:height, :width]
    waves = [
        np.round(127.5 + 127.5 * np.sin(x / a + y / b)) for a, b in ((17, 23), (31, -11), (-9, 41))
    ]
    image = np.stack(waves, axis=-1).astype(np.uint8)
    crops = np.empty((len(matrices), size[1], size[0], 3), np.uint8)
    crop.warp(image, matrices, crops)
    large = np.zeros((3000, 4000, 3), np.uint8)  # where a fourth channel is not worth its time
    large[:height, :width] = image
    for i in (0, 6):
        warped = crops[i]
        assert np.array_equal(
            warped, cv2.warpAffine(image, matrices[i], size, flags=cv2.INTER_LINEAR)
        )
        crop.warp(large, matrices[i : i + 1], again := np.empty_like(crops[:1]))
        assert np.array_equal(
            again[0], cv2.warpAffine(large, matrices[i], size, flags=cv2.INTER_LINEAR)
        )
        assert np.abs(warped.astype(int) - stored[f"{prefix}/{i}/image"]).max() <= 2
        points = stored[f"{prefix}/{i}/keypoints"]
        moved = points @ matrices[i, :, :2].T + matrices[i, :, 2]
        np.testing.assert_allclose(moved, stored[f"{prefix}/{i}/transformed"], atol=1e-4)
        np.testing.assert_allclose(crop.uncrop(moved, matrices[i : i + 1]), points, atol=1e-3)


def test_rtmdet(ops):
    stored = ops["rtmdet"]
    found = rtmdet.decode(
        [stored[f"cls{i}"][0] for i in range(3)], [stored[f"box{i}"][0] for i in range(3)]
    )
    np.testing.assert_allclose(np.clip(found.boxes, 0, 320), stored["raw/bboxes"], atol=1e-4)
    np.testing.assert_allclose(found.scores, stored["raw/scores"], atol=1e-6)


def test_nms(ops):
    stored = ops["nms"]
    points, score, area = stored["keypoints"], stored["score"], stored["area"]
    args = (points[0], points[1:], area[0], area[1:], SIGMAS)
    np.testing.assert_allclose(box_ops.oks(*args), stored["oks_iou"], atol=1e-6)
    np.testing.assert_allclose(box_ops.oks(*args, 0.3), stored["oks_iou_vis"], atol=1e-6)
    for thr in (0.3, 0.6, 0.9):
        assert (
            box_ops.oks_nms(points, score, area, SIGMAS, thr).tolist()
            == stored[f"oks_nms_{thr}"].tolist()
        )
        soft = box_ops.soft_oks_nms(points, score, area, SIGMAS, thr)
        assert soft.tolist() == stored[f"soft_oks_nms_{thr}"].tolist()
    joint = box_ops.oks_nms(points, points[..., 2].mean(axis=1), area, SIGMAS, 0.6)
    assert joint.tolist() == stored["oks_nms_joint_0.6"].tolist()
    assert (
        box_ops.nearby_joints_nms(points, score, 0.05, 7).tolist() == stored["nearby_0.05"].tolist()
    )
    # The original counts whole pixels: a box from 3 to 5 is 3 wide.
    dets = stored["dets"] + np.array([0, 0, 1, 1, 0], np.float32)
    for thr in (0.3, 0.65):
        assert (
            box_ops.nms(dets[:, :4], dets[:, 4], thr).tolist() == stored[f"box_nms_{thr}"].tolist()
        )


def test_metrics(ops):
    stored = ops["metrics"]
    predicted, true, mask = stored["pred"], stored["gt"], stored["mask"]
    for thr in (0.05, 0.1, 0.2):
        accuracy, mean, count = metrics.pck(predicted, true, mask, thr, stored["norm"])
        np.testing.assert_allclose(accuracy, stored[f"pck_{thr}/acc"])
        assert mean == pytest.approx(float(stored[f"pck_{thr}/avg"]))
        assert count == stored[f"pck_{thr}/cnt"]
    assert metrics.auc(predicted, true, mask, 30) == pytest.approx(float(stored["auc_30"]))
    assert metrics.epe(predicted, true, mask) == pytest.approx(float(stored["epe"]), rel=1e-5)
    assert metrics.nme(predicted, true, mask, stored["norm"]) == pytest.approx(
        float(stored["nme"]), rel=1e-5
    )


def test_coco_ap(golden):
    stored = json.loads((golden / "ops" / "coco_ap.json").read_text())
    found = coco_keypoint_ap(stored["gt"], stored["predictions"])
    for name, value in stored["stats"].items():
        assert any(abs(value - v) < 1e-9 for k, v in found.items() if _same(k, name)), (
            name,
            value,
            found,
        )


def _same(ours: str, theirs: str) -> bool:
    return ours.lower() == theirs.lower().replace(" ", "").replace(".", "").replace(
        "(m)", "m"
    ).replace("(l)", "l")
