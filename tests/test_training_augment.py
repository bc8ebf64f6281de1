"""Augmentation of crops: points follow the pixels, and nothing else changes."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402
from pose_recipe import RECIPE  # noqa: E402

from rtmpose.skeletons import get_skeleton  # noqa: E402
from rtmpose.training import override  # noqa: E402
from rtmpose.training.data.augment import (  # noqa: E402
    NO_AUGMENTATION,
    Augmentation,
    BodyHalves,
    change_pixels,
    crop_transform,
    transform_points,
)


def test_points_follow_the_pixels():
    """A bright dot in the image is where its transformed point says, for turns, scales, shifts and
    mirror images.
    """
    rng = np.random.default_rng(4)
    skeleton = get_skeleton("coco17")
    image = np.zeros((200, 160, 3), np.uint8)
    spot = np.array([90.0, 70.0])
    cv2.circle(image, (90, 70), 3, (255, 255, 255), -1)
    points = np.zeros((17, 3), np.float32)
    points[5] = (*spot, 1)
    box = np.array([40, 20, 130, 180], np.float32)
    mirrored = 0
    for _ in range(20):
        matrix, flipped = crop_transform(
            rng, Augmentation(half_body=0), box, points, (96, 128), BodyHalves.of(skeleton)
        )
        mirrored += flipped
        moved = transform_points(points, matrix, flipped, np.array(skeleton.flip_indices))
        where = 6 if flipped else 5
        assert moved[where, 2] == 1
        assert moved[5 + 6 - where, 2] == 0
        crop = cv2.warpAffine(image, matrix, (96, 128))
        x, y = moved[where, :2]
        if 4 < x < 92 and 4 < y < 124:
            ys, xs = np.nonzero(crop[..., 0] > 100)
            assert abs(xs.mean() - x) < 1
            assert abs(ys.mean() - y) < 1
    assert 3 < mirrored < 17


@pytest.mark.parametrize("udp", [False, True])
def test_without_augmentation_the_crop_is_the_runtimes(udp):
    from rtmpose.ops.crop import crop_people

    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (100, 120, 3), np.uint8)
    box = np.array([20, 10, 80, 90], np.float32)
    points = np.zeros((17, 3), np.float32)
    matrix, flipped = crop_transform(
        rng, NO_AUGMENTATION, box, points, (48, 64), BodyHalves.of(get_skeleton("coco17")), udp=udp
    )
    assert not flipped
    np.testing.assert_allclose(matrix, crop_people(image, box[None], (48, 64), udp=udp)[1][0])


def test_half_bodies_are_cut_out():
    skeleton = get_skeleton("coco17")
    halves = BodyHalves.of(skeleton)
    assert [skeleton.keypoints[i] for i in halves.lower][:2] == ["left_hip", "right_hip"]
    points = np.ones((17, 3), np.float32)
    points[:, 0], points[:, 1] = np.tile([60, 70], 9)[:17], np.linspace(20, 180, 17)
    rng, tall = np.random.default_rng(1), 0
    augmentation = replace(NO_AUGMENTATION, half_body=1.0)
    heights = []
    for _ in range(20):
        matrix, _ = crop_transform(
            rng, augmentation, np.array([40, 10, 90, 190], np.float32), points, (48, 64), halves
        )
        heights.append(64 / matrix[1, 1])
        tall += heights[-1] > 200
    assert not tall
    assert len({round(h) for h in heights}) == 2


@pytest.mark.parametrize("color", ["hsv", "photometric", "none"])
def test_colors_change_pixels_in_place_and_nothing_else(color):
    crop = np.full((32, 24, 3), (40, 90, 160), np.uint8)
    changed = 0
    for seed in range(10):
        out = crop.copy()
        change_pixels(np.random.default_rng(seed), replace(NO_AUGMENTATION, color=color), out)
        assert out.shape == crop.shape
        changed += bool((out != crop).any())
        assert np.ptp(out.reshape(-1, 3), axis=0).max() == 0
    assert (changed == 0) == (color == "none")


def test_dropout_and_blur():
    crop = np.random.default_rng(0).integers(1, 255, (64, 48, 3), np.uint8)
    out = crop.copy()
    change_pixels(np.random.default_rng(0), replace(NO_AUGMENTATION, dropout=1.0), out)
    gone = (out == 0).all(axis=2).mean()
    assert 0.2 * 0.2 * 0.9 < gone < 0.4 * 0.4
    out = crop.copy()
    change_pixels(np.random.default_rng(0), replace(NO_AUGMENTATION, blur=1.0), out)
    assert out.std() < crop.std()


def test_the_second_stage_has_its_own_augmentation(dots):
    recipe = override(
        RECIPE,
        epochs=4,
        augment=Augmentation(dropout=1),
        late_augment=NO_AUGMENTATION,
        late_epochs=1,
    )
    task = trainable.task(dots, recipe)
    black = [
        float((next(iter(task.batches(epoch, 0, 0, 1)))["images"] == 0).all(dim=3).float().mean())
        for epoch in (2, 3)
    ]
    assert black[0] > 0.02 > black[1]
