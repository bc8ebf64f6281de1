"""Varied crops of the package's photographs: what int8 is prepared on."""

import cv2
import numpy as np

from rtmpose.backends.sample_images import BOX_SCALES, bundled_crops, varied_crops
from rtmpose.zoo import find

CARD = find("rtmpose-s-finetuned")


def difference(one, other):
    return np.abs(one.astype(float) - other).mean(axis=(1, 2, 3))


def coarse(crops):
    """An eighth of the resolution: half a pixel aside makes no difference."""
    return np.stack([cv2.resize(c, (24, 32), interpolation=cv2.INTER_AREA) for c in crops])


def test_the_plain_crops_and_their_mirror_images_are_among_them():
    plain, varied = bundled_crops(CARD), varied_crops(CARD)
    assert varied.shape[1:] == plain.shape[1:] == (256, 192, 3)
    assert varied.dtype == np.uint8
    sharp = 2 * len(BOX_SCALES) * len(plain)
    assert len(varied) == sharp + (sharp + 1) // 2

    found = [difference(varied, crop).min() for crop in plain]
    assert max(found) < 0.01

    small = coarse(varied[:sharp])
    mirrored = [difference(small, crop[:, ::-1]).min() for crop in coarse(plain)]
    assert max(mirrored) < 10  # of others: 19 and more


def test_the_last_ones_have_low_resolution():
    varied = varied_crops(CARD)
    sharp = 2 * len(BOX_SCALES) * len(bundled_crops(CARD))
    steps = np.abs(np.diff(varied.astype(float), axis=2)).mean(axis=(1, 2, 3))
    assert (steps[sharp:] < steps[:sharp:2]).all()
