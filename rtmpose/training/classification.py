"""Training of classifiers on a folder of images per class, to pre-train backbones: random crops,
mirroring, cross-entropy.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rtmpose.datasets import ImageFolder
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.training.data.images import ReadFailures, read_image_or_none, validation_mask
from rtmpose.training.data.prefetch import PrefetchLoader
from rtmpose.training.pose.distill import normalize
from rtmpose.training.recipes import Recipe
from rtmpose.training.task import Batch

EVALUATION_BATCH = 64

LABEL_SMOOTHING = 0.1

UNREADABLE_LABEL = -1
"""Label of an image that could not be read: it does not count."""

CROP_AREA = (0.2, 1.0)
"""Smallest and largest share of an image's area that a random crop has."""

CROP_ASPECT = (3 / 4, 4 / 3)


class ClassifierTask:
    """A classifier and its images, for :func:`rtmpose.training.loop.train`.

    Args:
        network: Logits ``(N, classes)``; trained in place.
        card: Describes it.
        data: One folder per class.
        recipe: Seed, batch size, share of validation images.

    Raises:
        InputError: too few images for a batch.
    """

    def __init__(
        self, network: nn.Module, card: ModelCard, data: ImageFolder, recipe: Recipe
    ) -> None:
        self.network = network
        self.card = card
        self.recipe = recipe

        # A fixed part of the images is kept out, by the hash of their names.
        names = [str(path.relative_to(data.path)) for path, _ in data.items]
        kept_out = validation_mask(names, recipe.data.val_fraction)
        self.training = [item for item, v in zip(data.items, kept_out, strict=True) if not v]
        self.validation = [item for item, v in zip(data.items, kept_out, strict=True) if v]
        self.failures = ReadFailures(len(self.training), "it is left out of the loss")
        if len(self.training) < recipe.schedule.batch_size:
            raise InputError(
                f"{len(self.training)} images do not fill one batch of"
                f" {recipe.schedule.batch_size}; lower it (--set batch_size=)"
            )

    def steps(self, world: int = 1) -> int:
        """Batches per epoch and process."""
        return len(self.training) // (self.recipe.schedule.batch_size * world)

    def batches(self, epoch: int, generator_seed: int, rank: int, world: int) -> Iterable[Batch]:
        """One epoch's batches for a process: ``images`` BGR uint8 ``(N, h, w, 3)`` and ``labels``
        ``(N,)``.
        """
        size = self.recipe.schedule.batch_size

        # The order depends on the seed and the epoch alone; each process takes its part.
        order = np.random.default_rng((generator_seed, epoch)).permutation(len(self.training))

        def make(number: int) -> Batch:
            start = (number * world + rank) * size
            return self._batch(order[start : start + size], (generator_seed, epoch))

        return PrefetchLoader(make, self.steps(world), self.recipe.data.workers)

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy with smoothed labels; images that could not be read do not count."""
        logits = network(normalize(batch["images"], self.card))

        # The label -1 of unreadable images is clamped to a valid class, and masked after.
        each = functional.cross_entropy(
            logits, batch["labels"].clamp(min=0), reduction="none", label_smoothing=LABEL_SMOOTHING
        )
        readable = batch["labels"] >= 0
        # Over the whole batch, so that every image weighs the same.
        return {"labels": (each * readable).sum() / max(len(readable), 1)}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """``top-1`` and ``top-5`` on the validation images: the center, 7/8 of the shorter side."""
        if not self.validation:
            return {}
        device = next(network.parameters()).device
        hits = np.zeros(2)
        for start in range(0, len(self.validation), EVALUATION_BATCH):
            items = self.validation[start : start + EVALUATION_BATCH]
            images = np.stack([self._view(path, None) for path, _ in items])  # (N, h, w, 3)
            with torch.inference_mode():
                pixels = normalize(torch.from_numpy(images).to(device), self.card)
                logits = network(pixels).float().cpu()
            truth = torch.tensor([label for _, label in items])

            # The five highest logits of each image: is the true class first, is it among them?
            best = logits.topk(min(5, logits.shape[1]), dim=1).indices
            hit = best == truth[:, None]
            hits += np.array([int(hit[:, 0].sum()), int(hit.any(dim=1).sum())])
        top1, top5 = hits / len(self.validation)
        return {"top-1": float(top1), "top-5": float(top5)}

    def _batch(self, rows: NDArray[np.int64], seed: tuple[int, ...]) -> Batch:
        images: list[NDArray[np.uint8]] = []
        labels: list[int] = []
        for row in rows:
            path, label = self.training[row]
            # The generator is the image's, not the batch's: any number of workers draws the same.
            rng = np.random.default_rng((*seed, int(row)))
            images.append(self._view(path, rng))
            labels.append(UNREADABLE_LABEL if path in self.failures else label)
        return {"images": torch.from_numpy(np.stack(images)), "labels": torch.tensor(labels)}

    def _view(self, path: Path, rng: np.random.Generator | None) -> NDArray[np.uint8]:
        """A random crop of an image, perhaps mirrored; the center without a generator."""
        # Unreadable images are black and marked, so that the batch keeps its size.
        width, height = self.card.input_wh
        image = read_image_or_none(path)
        if image is None:
            self.failures.add(path)
            return np.zeros((height, width, 3), np.uint8)
        h, w = image.shape[:2]

        # Training sees a random part, validation the center.
        if rng is None:
            x, y, crop_w, crop_h = _center_crop(w, h, self.card.input_wh)
        else:
            x, y, crop_w, crop_h = _random_crop(rng, w, h)

        # At least one pixel.
        left = int(x)
        top = int(y)
        right = max(int(x + crop_w), left + 1)
        bottom = max(int(y + crop_h), top + 1)
        crop = image[top:bottom, left:right]

        # Area averaging where the crop shrinks: bilinear would alias.
        interpolation = cv2.INTER_AREA if crop.shape[1] > width else cv2.INTER_LINEAR
        view = np.asarray(cv2.resize(crop, (width, height), interpolation=interpolation), np.uint8)
        return view[:, ::-1] if rng is not None and rng.random() < 0.5 else view


def _center_crop(
    width: int, height: int, input_wh: tuple[int, int]
) -> tuple[float, float, float, float]:
    """x, y, width and height of the center of an image: 7/8 of the shorter side."""
    crop_w = min(height * input_wh[0] / input_wh[1], width) * 7 / 8
    crop_h = crop_w * input_wh[1] / input_wh[0]
    return (width - crop_w) / 2, (height - crop_h) / 2, crop_w, crop_h


def _random_crop(
    rng: np.random.Generator, width: int, height: int
) -> tuple[float, float, float, float]:
    """x, y, width and height of a random part of an image."""
    # The share of the area, and an aspect ratio drawn evenly on a logarithmic scale.
    share = rng.uniform(*CROP_AREA)
    stretch = np.exp(rng.uniform(*np.log(CROP_ASPECT)))
    # Area = share h w, aspect = stretch; cut to the image.
    crop_w = min(np.sqrt(height * width * share * stretch), width)
    crop_h = min(np.sqrt(height * width * share / stretch), height)

    # Anywhere in the image.
    x = rng.uniform(0, width - crop_w)
    y = rng.uniform(0, height - crop_h)
    return x, y, crop_w, crop_h
