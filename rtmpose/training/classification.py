"""Training of classifiers on folders of pictures, to start backbones from: random crops, mirroring,
cross-entropy.
"""

from __future__ import annotations

import logging
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
from rtmpose.training.data.pose_samples import (
    MOST_UNREADABLE,
    Ahead,
    Batch,
    held_out,
    read_crop_image,
)
from rtmpose.training.pose.distill import normalize
from rtmpose.training.recipes import Recipe

log = logging.getLogger(__name__)

EVALUATION_BATCH = 64
SMOOTHING = 0.1


class ClassifierTask:
    """A classifier and its pictures, for :func:`rtmpose.training.loop.train`.

    Args:
        network: Logits ``(N, classes)``; trained in place.
        card: Describes it.
        data: One folder per class.
        recipe: Seed, batch, share held out.

    Raises:
        InputError: too few pictures for a batch.
    """

    def __init__(
        self, network: nn.Module, card: ModelCard, data: ImageFolder, recipe: Recipe
    ) -> None:
        self.network, self.card, self.recipe, self.world = network, card, recipe, 1
        out = held_out([str(p.relative_to(data.path)) for p, _ in data.items], recipe.heldout)
        self.training = [item for item, h in zip(data.items, out, strict=True) if not h]
        self.heldout = [item for item, h in zip(data.items, out, strict=True) if h]
        self.unreadable: set[Path] = set()
        if len(self.training) < recipe.batch:
            raise InputError(
                f"{len(self.training)} pictures do not fill one batch of {recipe.batch}; --set"
                " batch="
            )

    def steps(self) -> int:
        """Batches per epoch and rank."""
        return len(self.training) // (self.recipe.batch * self.world)

    def batches(self, epoch: int, generator_seed: int, rank: int, world: int) -> Iterable[Batch]:
        """One epoch's batches for a rank: ``images`` BGR uint8 ``(N, h, w, 3)`` and ``labels``
        ``(N,)``.
        """
        self.world = world
        size = self.recipe.batch
        order = np.random.default_rng((generator_seed, epoch)).permutation(len(self.training))

        def make(number: int) -> Batch:
            start = (number * world + rank) * size
            return self._batch(order[start : start + size], (generator_seed, epoch))

        return Ahead(make, self.steps(), self.recipe.workers)

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy with smoothed labels; pictures that could not be read do not count."""
        logits = network(normalize(batch["images"], self.card))
        each = functional.cross_entropy(
            logits, batch["labels"].clamp(min=0), reduction="none", label_smoothing=SMOOTHING
        )
        readable = batch["labels"] >= 0
        return {"labels": (each * readable).sum() / max(len(readable), 1)}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """``top-1`` and ``top-5`` on the held-out pictures: the middle, 7/8 of the shorter side."""
        if not self.heldout:
            return {}
        device = next(network.parameters()).device
        right = np.zeros(2)
        for start in range(0, len(self.heldout), EVALUATION_BATCH):
            items = self.heldout[start : start + EVALUATION_BATCH]
            images = np.stack([self._view(path, None) for path, _ in items])
            with torch.inference_mode():
                logits = (
                    network(normalize(torch.from_numpy(images).to(device), self.card)).float().cpu()
                )
            truth = torch.tensor([label for _, label in items])
            best = logits.topk(min(5, logits.shape[1]), dim=1).indices
            hit = best == truth[:, None]
            right += np.array([int(hit[:, 0].sum()), int(hit.any(dim=1).sum())])
        return {
            "top-1": float(right[0] / len(self.heldout)),
            "top-5": float(right[1] / len(self.heldout)),
        }

    def _batch(self, rows: NDArray[np.int64], seed: tuple[int, ...]) -> Batch:
        images, labels = [], []
        for row in rows:
            path, label = self.training[row]
            rng = np.random.default_rng((*seed, int(row)))
            images.append(self._view(path, rng))
            labels.append(-1 if path in self.unreadable else label)
        return {"images": torch.from_numpy(np.stack(images)), "labels": torch.tensor(labels)}

    def _view(self, path: Path, rng: np.random.Generator | None) -> NDArray[np.uint8]:
        """A random part of a picture, perhaps mirrored; the middle without a generator."""
        width, height = self.card.input_wh
        image = read_crop_image(path)
        if image is None:
            self._note(path)
            return np.zeros((height, width, 3), np.uint8)
        h, w = image.shape[:2]
        if rng is None:
            side = min(h * width / height, w) * 7 / 8
            cut_w, cut_h = side, side * height / width
            x, y = (w - cut_w) / 2, (h - cut_h) / 2
        else:
            share, stretch = rng.uniform(0.2, 1), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
            cut_w = min(np.sqrt(h * w * share * stretch), w)
            cut_h = min(np.sqrt(h * w * share / stretch), h)
            x, y = rng.uniform(0, w - cut_w), rng.uniform(0, h - cut_h)
        left, top, right, bottom = (
            int(x),
            int(y),
            max(int(x + cut_w), int(x) + 1),
            max(int(y + cut_h), int(y) + 1),
        )
        part = image[top:bottom, left:right]
        shrinks = part.shape[1] > width
        view = cv2.resize(
            part, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        return view[:, ::-1] if rng is not None and rng.random() < 0.5 else view

    def _note(self, path: Path) -> None:
        self.unreadable.add(path)
        number = len(self.unreadable)
        if number > max(10, MOST_UNREADABLE * len(self.training)):
            raise InputError(f"{number} pictures cannot be read, the last of them {path}")
        log.warning("%s is missing or damaged; it is left out of the loss", path)
