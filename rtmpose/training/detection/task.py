"""Training of detectors: RTMDet on square inputs as published, or on inputs of the images' aspect
ratios.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtmpose.datasets import KeypointDataset
from rtmpose.datasets.hold_out import GROUP_FIELD
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.ops.letterbox import CELL, rectangle
from rtmpose.training.data.detection_samples import (
    add_detections,
    class_names,
    class_numbers,
    detections_for,
    is_partial,
    read_detection_samples,
)
from rtmpose.training.data.images import ReadFailures, image_key, validation_mask
from rtmpose.training.data.mosaic import DetectionSample, DetectorInput, ImageCache, MosaicLoader
from rtmpose.training.data.prefetch import PrefetchLoader
from rtmpose.training.detection.distill import DetectorTeacher, MapDistillation, dense_losses
from rtmpose.training.detection.evaluate import box_ap
from rtmpose.training.detection.losses import Targets, detection_losses, to_predictions
from rtmpose.training.layer_fit import fit_layers
from rtmpose.training.pose.distill import normalize
from rtmpose.training.recipes import DetectorSettings, Recipe
from rtmpose.training.task import Batch

VIDEO_ASPECTS = (16 / 9, 16 / 9, 9 / 16, 4 / 3, 3 / 4, 1.0, 2.0)

ASPECT_NOISE = 0.03
"""Mixes images of nearly the same shape, of which a batch consists."""

FIT_IMAGES = 32
"""Images whose maps a network with another activation is fitted to before it is trained."""

ASPECT_STEPS = 10000
"""An aspect ratio as a whole number of pixels, for :func:`rtmpose.ops.letterbox.rectangle`."""


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """The order of the images of an epoch, and the width and height of the inputs of each batch of
    all processes together.
    """

    order: NDArray[np.int64]
    shapes_wh: list[tuple[int, int]]


class DetectorTask:
    """A detector and its data, for :func:`rtmpose.training.loop.train`.

    Args:
        network: Trained in place.
        card: Describes it; ``input_fit`` says how validation images are fitted into the input.
        datasets: Annotated sets. Part of the images of each completely labeled set is kept for
            validation.
        recipe: With :class:`rtmpose.training.recipes.DetectorSettings` in ``detector``.
        teacher: For ``distill_scores``, ``distill_boxes`` and ``distill_maps``.

    Raises:
        InputError: a set cannot be used, or too little of it is left for a batch.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        datasets: Sequence[KeypointDataset],
        recipe: Recipe,
        *,
        teacher: DetectorTeacher | None = None,
    ) -> None:
        self.network = network
        self.card = card
        self.recipe = recipe
        self.teacher = teacher
        self.settings = recipe.detector or DetectorSettings()
        if self.settings.distills and teacher is None:
            raise InputError(f"the recipe {recipe.name} distills: it needs a teacher (--teacher)")
        self.maps: MapDistillation | None = None
        if self.settings.distill_maps and teacher is not None:
            self.maps = MapDistillation(network, teacher)

        self.classes = class_names(datasets, self.settings.category)

        # The images of completely labeled sets first, then those of partly labeled ones.
        self.training: list[DetectionSample] = []
        self.partial = 0
        self.validation: list[tuple[KeypointDataset, list[DetectionSample]]] = []
        for dataset in datasets:
            self._add(dataset)
        self.cache = ImageCache()
        self.failures = ReadFailures(len(self.training), "its place stays gray")
        batch_size = recipe.schedule.batch_size
        if self._size() < batch_size:
            raise InputError(
                f"{len(self.training)} images do not fill one batch of {batch_size}; lower it"
                " (--set batch_size=)"
            )

    def _add(self, dataset: KeypointDataset) -> None:
        """Split a set's images; a stronger detector adds the people that are not labeled."""
        # Partly labeled sets are kept whole for training: a person found there may have no label.
        settings = self.settings
        partial = is_partial(dataset)
        samples = read_detection_samples(dataset, self.classes)
        groups = {int(i["id"]): image_key(i) for i in dataset.content["images"] if GROUP_FIELD in i}
        keys = [groups.get(sample.id, sample.path.stem) for sample in samples]
        val_fraction = 0.0 if partial else self.recipe.data.val_fraction
        mask = validation_mask(keys, val_fraction)
        validation = [s for s, v in zip(samples, mask, strict=True) if v]
        training = [s for s, v in zip(samples, mask, strict=True) if not v]
        if validation:
            self.validation.append((dataset, validation))

        # Unlabeled people become pseudo labels, or regions that are no background.
        if settings.pseudo_label_model:
            ids = class_numbers(dataset, self.classes)
            found = detections_for(
                training,
                settings.pseudo_label_model,
                categories=None if ids is None else ids.keys(),
            )
            training = [
                add_detections(
                    sample,
                    found[sample.id],
                    partial=partial,
                    pseudo_score_thr=settings.pseudo_score_thr,
                    ignore_score_thr=settings.ignore_score_thr,
                )
                if sample.id in found
                else sample
                for sample in training
            ]

        # Complete images stand first, so that a plain index separates the two kinds.
        if partial:
            self.training += training
            self.partial += len(training)
        else:
            self.training = training + self.training

    def fit_to(self, before: nn.Module) -> None:
        """Fit the network's layers to those of the network that it was made from."""
        samples = self.training[:FIT_IMAGES]
        seed = (self.recipe.seed, 0)
        loader = MosaicLoader(samples, self.settings.augment, seed, self.cache, self.failures)
        inputs = [loader(i, self.card.input_wh).image for i in range(len(samples))]
        images = torch.from_numpy(np.stack(inputs))
        fit_layers(self.network, before, normalize(images, self.card))

    def _size(self) -> int:
        """Images per epoch."""
        complete = len(self.training) - self.partial
        return complete + int(self.partial * self.settings.partial_fraction)

    def steps(self, world: int = 1) -> int:
        """Batches per epoch and process."""
        return self._size() // (self.recipe.schedule.batch_size * world)

    def plan(self, epoch: int, seed: int, world: int = 1) -> EpochPlan:
        """The order and the input shapes of an epoch; the same for the same arguments."""
        settings = self.settings
        size = self.recipe.schedule.batch_size * world
        rng = np.random.default_rng((seed, epoch))

        # All complete images, and a share of the partly labeled ones, shuffled.
        complete = len(self.training) - self.partial
        number = int(self.partial * settings.partial_fraction)
        partial = complete + rng.permutation(self.partial)[:number]
        order = rng.permutation(np.concatenate([np.arange(complete), partial]))
        batches = len(order) // size  # what does not fill a batch is left out
        order = order[: batches * size]
        if settings.input_fit != "rectangular":
            return EpochPlan(order, [self.card.input_wh] * batches)

        # Images of about the same aspect ratio make a batch; the batches are shuffled.
        sizes = [self.training[i].size_wh for i in order]
        aspects = np.array([width / height for width, height in sizes])
        noisy = np.log(aspects) + rng.normal(0, ASPECT_NOISE, len(order))
        groups = np.argsort(noisy, kind="stable").reshape(batches, size)
        groups = groups[rng.permutation(batches)]

        # Each batch has the median shape of its images, or that of a video.
        low, high = (side // CELL for side in settings.long_side_range)  # in cells of 32 pixels
        shapes: list[tuple[int, int]] = []
        for group in groups:
            side = int(rng.integers(low, high + 1)) * CELL
            aspect = float(np.median(aspects[group]))
            if rng.random() < settings.video_shape_prob:
                aspect = VIDEO_ASPECTS[int(rng.integers(len(VIDEO_ASPECTS)))]
            # As whole numbers of pixels, which rectangle() takes.
            image_wh = (round(aspect * ASPECT_STEPS), ASPECT_STEPS)
            shapes.append(rectangle(image_wh, (side, side)))
        return EpochPlan(order[groups.reshape(-1)], shapes)

    def batches(self, epoch: int, generator_seed: int, rank: int, world: int) -> Iterable[Batch]:
        """One epoch's batches for a process; the processes' batches of a step together are the
        batch of one process.
        """
        schedule = self.recipe.schedule

        # The last epochs have a milder augmentation (no mosaic).
        config = self.settings.augment
        if self.settings.late_augment and epoch >= schedule.epochs - schedule.late_epochs:
            config = self.settings.late_augment
        plan = self.plan(epoch, generator_seed, world)
        samples = [self.training[i] for i in plan.order]
        loader = MosaicLoader(samples, config, (generator_seed, epoch), self.cache, self.failures)
        size = schedule.batch_size

        # Interleaved by process: the batches of one step are next to each other in the order.
        def make(number: int) -> Batch:
            start = (number * world + rank) * size
            return collate([loader(start + i, plan.shapes_wh[number]) for i in range(size)])

        return PrefetchLoader(make, self.steps(world), self.recipe.data.workers)

    def forward(self, network: nn.Module, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """The head's maps for a batch's images."""
        maps: tuple[list[Tensor], list[Tensor]] = network(normalize(batch["images"], self.card))
        return maps

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Weighted losses of a batch: ``cls`` and ``box``; from a teacher ``soft``, ``soft_box``
        and ``maps``.
        """
        settings = self.settings
        predictions = to_predictions(*self.forward(network, batch))
        losses: dict[str, Tensor] = {}

        # Human and pseudo labels: cells are assigned to boxes.
        if settings.label_weight:
            targets = split_targets(batch)
            classes, boxes, _ = detection_losses(predictions, targets, topk=settings.topk)
            losses["cls"] = settings.label_weight * classes.sum()
            losses["box"] = settings.label_weight * boxes.sum()

        # The teacher sees the same inputs and teaches every cell.
        if self.teacher is not None and settings.distills:
            soft, soft_box = dense_losses(predictions, self.teacher(batch["images"]))
            losses["soft"] = settings.distill_scores * soft
            losses["soft_box"] = settings.distill_boxes * soft_box
            if self.maps is not None:
                losses["maps"] = settings.distill_maps * self.maps.loss()
        return losses

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Box AP on the validation images, of the first set first."""
        # The first set's metrics come first, and without a prefix: AP chooses the best weights.
        metrics: dict[str, float] = {}
        for dataset, samples in self.validation:
            values = box_ap(
                network, self.card, dataset, samples, self.recipe.data.workers, self.classes
            )
            prefix = f"{dataset.path.parent.name} " if metrics else ""
            metrics |= {f"{prefix}{name}": value for name, value in values.items()}
        return metrics


def collate(inputs: Sequence[DetectorInput]) -> Batch:
    """A batch: ``images`` BGR uint8 ``(N, H, W, 3)``, and the concatenated columns of all inputs:
    ``boxes``, ``labels``, ``weights``, ``crowds``.

    ``box_of`` and ``crowd_of`` say which image a row belongs to.
    """

    # Images have different numbers of boxes: rows of all images, and the image of each row.
    def image_of_rows(counts: list[int]) -> Tensor:
        return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))

    return {
        "images": torch.from_numpy(np.stack([i.image for i in inputs])),
        "boxes": torch.from_numpy(np.concatenate([i.boxes for i in inputs])),
        "labels": torch.from_numpy(np.concatenate([i.labels for i in inputs])),
        "weights": torch.from_numpy(np.concatenate([i.weights for i in inputs])),
        "crowds": torch.from_numpy(np.concatenate([i.crowds for i in inputs])),
        "box_of": image_of_rows([len(i.boxes) for i in inputs]),
        "crowd_of": image_of_rows([len(i.crowds) for i in inputs]),
    }


def split_targets(batch: Batch) -> list[Targets]:
    """The people of each image of a batch."""
    # The reverse of :func:`collate`, on the device of the batch.
    targets: list[Targets] = []
    for i in range(len(batch["images"])):
        mine = batch["box_of"] == i
        targets.append(
            Targets(
                batch["boxes"][mine],
                batch["labels"][mine],
                batch["weights"][mine],
                batch["crowds"][batch["crowd_of"] == i],
            )
        )
    return targets
