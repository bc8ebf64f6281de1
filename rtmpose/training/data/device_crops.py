"""Augmented crops made by torch on the device that trains: of packed people, without any loading.

The draws are those of :class:`rtmpose.training.data.pose_samples.CropBatches`; the pixels are the
same but for rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rtmpose.errors import InputError
from rtmpose.ops.crop import box_to_center_scale
from rtmpose.training.data.augment import (
    Augmentation,
    BodyHalves,
    PixelDraws,
    crop_transform,
    draw_hsv,
    draw_pixels,
    transform_points,
)
from rtmpose.training.data.packed import PackedImages
from rtmpose.training.data.pose_samples import CropSettings, Sample
from rtmpose.training.task import Batch

log = logging.getLogger(__name__)

FEWEST_PIXELS = 0.8
"""Share of an input's height that packed crops should have."""

HUE_STEPS = 180.0
"""Steps of hue around the circle, as OpenCV counts them."""


class DeviceCrops:
    """Makes batches of crops on a device; a crop is the same in every thread, process and run.

    Args:
        samples: To choose from.
        settings: What the model takes.
        augmentation: How crops vary.
        seed: With the sample's number it determines what is drawn.
        images: Of the samples.
        device: Where the crops are made.

    Raises:
        InputError: the augmentation has colors that are not made on devices.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        settings: CropSettings,
        augmentation: Augmentation,
        seed: tuple[int, ...],
        images: PackedImages,
        device: torch.device,
    ) -> None:
        if augmentation.color == "photometric":
            raise InputError("packed people are augmented with color hsv or none, not photometric")
        self.samples = samples
        self.settings = settings
        self.augmentation = augmentation
        self.seed = seed
        self.images = images
        self.pixels = images.on(device)
        self.halves = BodyHalves.of(settings.skeleton)
        self.flip = np.array(settings.skeleton.flip_indices)

    def __call__(self, rows: NDArray[np.int64], repeats: NDArray[np.int64]) -> Batch:
        """The crops of samples ``rows``: as :meth:`CropBatches.__call__`; ``images`` are on the
        device.
        """
        number = len(rows)
        wh = self.settings.card.input_wh
        points = np.zeros((number, len(self.settings.skeleton), 3), np.float32)
        matrices = np.zeros((number, 2, 3))
        shifts = np.zeros((number, 3), np.float32)
        draws: list[PixelDraws] = []

        # Each crop draws from a generator of its sample and repetition.
        for i, (row, repeat) in enumerate(zip(rows, repeats, strict=True)):
            sample = self.samples[row]
            rng = np.random.default_rng((*self.seed, int(row), int(repeat)))
            matrices[i], flipped = crop_transform(
                rng,
                self.augmentation,
                sample.box,
                sample.points,
                wh,
                self.halves,
                udp=self.settings.udp,
            )
            points[i] = transform_points(sample.points, matrices[i], flipped, self.flip)
            if self.augmentation.color == "hsv":
                shifts[i] = draw_hsv(rng)
            draws.append(draw_pixels(rng, self.augmentation, wh))

        # Unlabeled points have no place, and damaged images no labels.
        points[[self.samples[row].path in self.images.failures for row in rows]] = 0
        points[..., :2][points[..., 2] == 0] = 0
        return {
            "images": self._pixels_of(rows, matrices, shifts, draws),
            "points": torch.from_numpy(points),
            "teacher": torch.zeros_like(torch.from_numpy(points)),
            "pseudo": torch.ones(number, dtype=torch.bool),
            "matrices": torch.from_numpy(matrices),
        }

    @torch.no_grad()
    def _pixels_of(
        self,
        rows: NDArray[np.int64],
        matrices: NDArray[np.float64],
        shifts: NDArray[np.float32],
        draws: Sequence[PixelDraws],
    ) -> Tensor:
        """BGR uint8 ``(N, h, w, 3)``."""
        places = [self.images.rows[self.samples[row].path] for row in rows]
        device = self.pixels.device
        whole = self.pixels[torch.tensor(places, device=device)].permute(0, 3, 1, 2).float()
        crops = warp_crops(whole, matrices, self.settings.card.input_wh)
        crops = shift_hsv(crops, torch.from_numpy(shifts).to(device))
        blur_some(crops, draws)
        drop_rectangles(crops, draws)
        return crops.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def warn_of_small_crops(samples: Sequence[Sample], wh: tuple[int, int]) -> None:
    """Say so where packed crops show people in far fewer pixels than a network takes."""
    boxes = np.array([sample.box for sample in samples])
    height = float(np.median(box_to_center_scale(boxes, wh)[1][:, 1]))
    if height < FEWEST_PIXELS * wh[1]:
        log.warning(
            "the packed crops have %.0f pixels where the network takes %d: pack larger ones"
            " (--width, --height)",
            height,
            wh[1],
        )


def warp_crops(images: Tensor, matrices: NDArray[np.float64], wh: tuple[int, int]) -> Tensor:
    """Bilinear warps, black outside the images, rounded to whole gray levels.

    Args:
        images: ``(N, 3, H, W)`` float32.
        matrices: ``(N, 2, 3)``, image to crop pixels.
        wh: Size of the crops.

    Returns:
        ``(N, 3, h, w)`` float32.
    """
    # From crop to image pixels, and on to -1..1 between the centers of the outermost pixels.
    inverse = np.linalg.inv(matrices[:, :, :2])
    offset = -inverse @ matrices[:, :, 2:]
    size = np.array([images.shape[3] - 1, images.shape[2] - 1])[:, None]
    maps = np.concatenate([inverse, offset], axis=2) * 2 / size
    maps[:, :, 2] -= 1

    # (N, h, w, 2): the place in the image of every crop pixel.
    device = images.device
    x = torch.arange(wh[0], device=device, dtype=torch.float32)
    y = torch.arange(wh[1], device=device, dtype=torch.float32)
    a = torch.from_numpy(maps.astype(np.float32)).to(device)[:, None, None]
    grid = a[..., 0] * x[None, None, :, None] + a[..., 1] * y[None, :, None, None] + a[..., 2]
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=True).round()


def shift_hsv(crops: Tensor, shifts: Tensor) -> Tensor:
    """Move hue, saturation and value.

    Args:
        crops: BGR ``(N, 3, h, w)`` float32, 0..255.
        shifts: ``(N, 3)`` of hue (of 180), saturation and value (of 255).
    """
    if not bool(shifts.any()):
        return crops

    # Hue 0..6 in the order red, green, blue; saturation and value 0..255.
    blue, green, red = crops.unbind(1)
    value, largest = crops.max(dim=1)
    chroma = value - crops.amin(dim=1)
    safe = chroma.clamp(min=1)
    by_red = ((green - blue) / safe) % 6
    by_green = (blue - red) / safe + 2
    by_blue = (red - green) / safe + 4
    hue = torch.where(largest == 2, by_red, torch.where(largest == 1, by_green, by_blue))
    saturation = 255 * chroma / value.clamp(min=1)

    # Shifted, and back: a channel is value less what its distance in hue takes away.
    d_hue, d_saturation, d_value = shifts[:, :, None, None].unbind(1)
    hue = hue + d_hue * (6 / HUE_STEPS)
    saturation = (saturation + d_saturation).clamp(0, 255) / 255
    value = (value + d_value).clamp(0, 255)
    channels = []
    for start in (1, 3, 5):  # blue, green, red
        k = (start + hue) % 6
        taken = torch.minimum(k, 4 - k).clamp(0, 1)
        channels.append(value * (1 - saturation * taken))
    moved = torch.stack(channels, dim=1).round().clamp(0, 255)

    # Crops without a shift stay as they are.
    return torch.where(shifts.any(dim=1)[:, None, None, None], moved, crops)


def blur_some(crops: Tensor, draws: Sequence[PixelDraws]) -> None:
    """Box and median blurs, in place on ``(N, 3, h, w)``."""
    for i, draw in enumerate(draws):
        if draw.box_kernel:
            k = draw.box_kernel
            padded = functional.pad(crops[i : i + 1], (k // 2,) * 4, mode="reflect")
            crops[i] = functional.avg_pool2d(padded, k, stride=1)[0].round()
        if draw.median_kernel:
            k = draw.median_kernel
            padded = functional.pad(crops[i : i + 1], (k // 2,) * 4, mode="replicate")[0]
            windows = padded.unfold(1, k, 1).unfold(2, k, 1).flatten(3)  # (3, h, w, k * k)
            crops[i] = windows.median(dim=3).values


def drop_rectangles(crops: Tensor, draws: Sequence[PixelDraws]) -> None:
    """Black rectangles, in place on ``(N, 3, h, w)``."""
    places = np.array([draw.rectangle or (0, 0, 0, 0) for draw in draws])
    if not places.any():
        return
    top, left, height, width = torch.from_numpy(places).to(crops.device)[:, :, None].unbind(1)
    y = torch.arange(crops.shape[2], device=crops.device)
    x = torch.arange(crops.shape[3], device=crops.device)
    rows = (y >= top) & (y < top + height)  # (N, h)
    columns = (x >= left) & (x < left + width)  # (N, w)
    crops.masked_fill_((rows[:, :, None] & columns[:, None])[:, None], 0)
