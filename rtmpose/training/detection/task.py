"""Training of detectors: RTMDet on square pictures as published, or on pictures of the photos' own
shapes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.evaluation.coco import coco_box_ap
from rtmpose.model_card import ModelCard
from rtmpose.networks.rtmdet import STRIDES
from rtmpose.ops import rtmdet
from rtmpose.ops.letterbox import CELL, letterbox, rectangle, unletterbox
from rtmpose.training.data.detection_samples import (
    detections_for,
    is_partial,
    read_photos,
    with_detections,
)
from rtmpose.training.data.mosaic import DetectionSample, MosaicLoader, PhotoCache, Picture
from rtmpose.training.data.pose_samples import MOST_UNREADABLE, Ahead, held_out, read_crop_image
from rtmpose.training.detection.distill import DetectorTeacher, dense_losses
from rtmpose.training.detection.losses import Targets, detection_losses, to_cells
from rtmpose.training.pose.distill import normalize
from rtmpose.training.recipes import Recipe
from rtmpose.training.recipes.detector import DetectorSettings

log = logging.getLogger(__name__)

VIDEO_SHAPES = (16 / 9, 16 / 9, 9 / 16, 4 / 3, 3 / 4, 1.0, 2.0)
EVALUATION_BATCH = 16
ASPECT_NOISE = 0.03
"""Mixes photos of nearly the same shape, of which a batch is made."""

Batch = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Plan:
    """An epoch: the order of the photos and the pictures' width and height of each batch of all
    processes together.
    """

    order: NDArray[np.int64]
    shapes_wh: list[tuple[int, int]]


class DetectorTask:
    """A detector and its data, for :func:`rtmpose.training.loop.train`.

    Args:
        network: TrainResult in place.
        card: Describes it; ``input_fit`` says what the held-out photos are evaluated in.
        datasets: Annotated sets. Part of the photos of each completely labeled set is held out.
        recipe: With :class:`DetectorSettings` in ``detector``.
        teacher: For ``soft_scores`` and ``soft_boxes``.

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
        self.network, self.card, self.recipe, self.teacher = network, card, recipe, teacher
        self.settings: DetectorSettings = recipe.detector or DetectorSettings()
        self.training: list[DetectionSample] = []
        self.rare = 0
        self.judged: list[tuple[KeypointDataset, list[DetectionSample]]] = []
        for dataset in datasets:
            self._add(dataset)
        self.world = 1
        self.cache = PhotoCache()
        self.unreadable: set[Any] = set()
        if self._size() < recipe.batch:
            raise InputError(
                f"{len(self.training)} photos do not fill one batch of {recipe.batch}; lower --set"
                " batch="
            )
        if (self.settings.soft_scores or self.settings.soft_boxes) and teacher is None:
            raise InputError(f"the recipe {recipe.name} distills: it needs a teacher (--teacher)")

    def _add(self, dataset: KeypointDataset) -> None:
        settings = self.settings
        partial = is_partial(dataset)
        photos = read_photos(dataset, settings.category)
        out = held_out([str(p.path.stem) for p in photos], 0.0 if partial else self.recipe.heldout)
        kept = [p for p, h in zip(photos, out, strict=True) if h]
        training = [p for p, h in zip(photos, out, strict=True) if not h]
        if kept:
            self.judged.append((dataset, kept))
        if settings.pseudo:
            found = detections_for(training, settings.pseudo)
            limits = {"partial": partial, "sure": settings.sure, "doubt": settings.doubt}
            training = [
                with_detections(p, found[p.id], **limits) if p.id in found else p for p in training
            ]  # type: ignore[arg-type]
        if partial:
            self.training += training
            self.rare += len(training)
        else:
            self.training = training + self.training

    def _size(self) -> int:
        """Photos per epoch."""
        return len(self.training) - self.rare + int(self.rare * self.settings.crops)

    def steps(self) -> int:
        """Batches per epoch and rank."""
        return self._size() // (self.recipe.batch * self.world)

    def plan(self, epoch: int, seed: int, world: int = 1) -> Plan:
        """What an epoch is made of; the same for the same arguments."""
        settings, size = self.settings, self.recipe.batch * world
        rng = np.random.default_rng((seed, epoch))
        complete = len(self.training) - self.rare
        crops = complete + rng.permutation(self.rare)[: int(self.rare * settings.crops)]
        order = rng.permutation(np.concatenate([np.arange(complete), crops]))
        batches = len(order) // size
        order = order[: batches * size]
        if settings.fit != "rectangular":
            return Plan(order, [self.card.input_wh] * batches)
        aspects = np.array(
            [self.training[i].size_wh[0] / self.training[i].size_wh[1] for i in order]
        )
        alike = np.argsort(np.log(aspects) + rng.normal(0, ASPECT_NOISE, len(order)), kind="stable")
        groups = alike.reshape(batches, size)[rng.permutation(batches)]
        low, high = (side // CELL for side in settings.sides)
        shapes = []
        for group in groups:
            side = int(rng.integers(low, high + 1)) * CELL
            aspect = float(np.median(aspects[group]))
            if rng.random() < settings.reshape:
                aspect = VIDEO_SHAPES[int(rng.integers(len(VIDEO_SHAPES)))]
            shapes.append(rectangle((round(aspect * 10000), 10000), (side, side)))
        return Plan(order[groups.reshape(-1)], shapes)

    def batches(self, epoch: int, generator_seed: int, rank: int, world: int) -> Iterable[Batch]:
        """One epoch's batches for a rank; the ranks' batches of a step together are the batch of
        one process.
        """
        self.world = world
        recipe, settings = self.recipe, self.settings
        plan = self.plan(epoch, generator_seed, world)
        second = settings.stage2 is not None and epoch >= recipe.epochs - recipe.stage2_epochs
        pictures = settings.stage2 if second and settings.stage2 else settings.pictures
        photos = [self.training[i] for i in plan.order]
        maker = MosaicLoader(photos, pictures, (generator_seed, epoch), self.cache)

        def make(number: int) -> Batch:
            start = (number * world + rank) * recipe.batch
            batch = [maker(start + i, plan.shapes_wh[number]) for i in range(recipe.batch)]
            self._note(maker.unreadable)
            return collate(batch)

        return Ahead(make, self.steps(), recipe.workers)

    def forward(self, network: nn.Module, batch: Any) -> Any:
        """The network's output for a batch's pictures."""
        return network(normalize(batch["images"], self.card))

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Weighted losses of a batch: ``cls`` and ``box``; from a teacher ``soft`` and
        ``soft_box``.
        """
        settings = self.settings
        logits, distances = self.forward(network, batch)
        cells = to_cells(logits, distances)
        out: dict[str, Tensor] = {}
        if settings.labels:
            classes, boxes, _ = detection_losses(cells, truths(batch), topk=settings.topk)
            out = {"cls": settings.labels * classes.sum(), "box": settings.labels * boxes.sum()}
        if self.teacher is not None and (settings.soft_scores or settings.soft_boxes):
            soft, soft_box = dense_losses(cells, self.teacher(batch["images"]))
            out |= {"soft": settings.soft_scores * soft, "soft_box": settings.soft_boxes * soft_box}
        return out

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Box AP on the held-out photos, of the first set first."""
        metrics: dict[str, float] = {}
        for dataset, photos in self.judged:
            results = find_boxes(network, self.card, photos, self.recipe.workers)
            ids = [p.id for p in photos]
            values = coco_box_ap(_usable(dataset), results, image_ids=ids)
            prefix = f"{dataset.path.parent.name} " if metrics else ""
            metrics |= {f"{prefix}{k}": v for k, v in values.items() if k.startswith("AP")}
        return metrics

    def _note(self, unreadable: set[Any]) -> None:
        for path in unreadable - self.unreadable:
            log.warning("%s is missing or damaged; its place stays gray", path)
        self.unreadable |= unreadable
        if len(self.unreadable) > max(10, MOST_UNREADABLE * len(self.training)):
            raise InputError(
                f"{len(self.unreadable)} images cannot be read, one of them"
                f" {next(iter(self.unreadable))}; `rtmpose data check` lists all of them"
            )


def collate(pictures: Sequence[Picture]) -> Batch:
    """A batch: ``images`` BGR uint8 ``(N, H, W, 3)``, and the columns of all pictures behind one
    another.

    ``box_of`` and ``crowd_of`` say which picture a row belongs to.
    """

    def of(counts: list[int]) -> Tensor:
        return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))

    batch = {
        n: torch.from_numpy(np.concatenate([getattr(p, n) for p in pictures])) for n in _COLUMNS
    }
    batch["images"] = torch.from_numpy(np.stack([p.image for p in pictures]))
    batch["box_of"] = of([len(p.boxes) for p in pictures])
    batch["crowd_of"] = of([len(p.crowds) for p in pictures])
    return batch


def truths(batch: Batch) -> list[Targets]:
    """The people of each picture of a batch."""
    out = []
    for i in range(len(batch["images"])):
        mine, crowd = batch["box_of"] == i, batch["crowd_of"] == i
        out.append(
            Targets(
                batch["boxes"][mine],
                batch["labels"][mine],
                batch["weights"][mine],
                batch["crowds"][crowd],
            )
        )
    return out


_COLUMNS = ("boxes", "labels", "weights", "crowds")


def find_boxes(
    network: nn.Module, card: ModelCard, photos: Sequence[DetectionSample], workers: int = 2
) -> list[dict[str, Any]]:
    """COCO results of a network in evaluation mode on photos, fitted into the network as the
    runtime does.
    """
    shape_of = [
        rectangle(p.size_wh, card.input_wh) if card.input_fit == "rectangular" else card.input_wh
        for p in photos
    ]
    groups: list[list[int]] = []
    for shape in sorted(set(shape_of)):
        rows = [i for i, s in enumerate(shape_of) if s == shape]
        groups += [rows[k : k + EVALUATION_BATCH] for k in range(0, len(rows), EVALUATION_BATCH)]

    def make(number: int) -> tuple[list[int], NDArray[np.uint8], list[tuple[float, float]]]:
        kept, images, factors = [], [], []
        for i in groups[number]:
            image = read_crop_image(photos[i].path)
            if image is not None:
                canvas, factor = letterbox(image, shape_of[i])
                kept.append(i)
                images.append(canvas)
                factors.append(factor)
        return kept, np.stack(images) if images else np.zeros((0, 32, 32, 3), np.uint8), factors

    device = next(network.parameters()).device
    results: list[dict[str, Any]] = []
    for rows, images, factors in Ahead(make, len(groups), workers):
        if not rows:
            continue
        with torch.inference_mode():
            logits, distances = network(normalize(torch.from_numpy(images).to(device), card))
        classes, sides = ([m.float().cpu().numpy() for m in maps] for maps in (logits, distances))
        for k, (row, factor) in enumerate(zip(rows, factors, strict=True)):
            found = rtmdet.decode([c[k, :1] for c in classes], [s[k] for s in sides], STRIDES)
            boxes = unletterbox(found.boxes, factor)
            results += [
                {
                    "image_id": photos[row].id,
                    "category_id": 1,
                    "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
                    "score": float(score),
                }
                for (x0, y0, x1, y1), score in zip(boxes, found.scores, strict=True)
            ]
    return results


def _usable(dataset: KeypointDataset) -> dict[str, Any]:
    """The set's annotations with a box, all of category 1."""
    annotations = [
        {"iscrowd": 0, "area": a["bbox"][2] * a["bbox"][3], **a, "category_id": 1, "id": number}
        for number, a in enumerate((a for rows in dataset.annotations.values() for a in rows), 1)
        if len(a.get("bbox", ())) == 4
    ]
    images = [dict(i) for i in dataset.content["images"]]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "object"}],
    }
