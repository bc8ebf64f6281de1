"""Box AP of a detector in training: the network in torch, images fitted as in the runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rtmpose.datasets import KeypointDataset
from rtmpose.evaluation.coco import coco_box_ap
from rtmpose.model_card import ModelCard
from rtmpose.networks.rtmdet import STRIDES
from rtmpose.ops import rtmdet
from rtmpose.ops.letterbox import letterbox, rectangle, unletterbox
from rtmpose.training.data.detection_samples import class_numbers
from rtmpose.training.data.images import read_image_or_none
from rtmpose.training.data.mosaic import DetectionSample
from rtmpose.training.data.prefetch import PrefetchLoader
from rtmpose.training.pose.distill import normalize

EVALUATION_BATCH = 16


@dataclass(frozen=True, eq=False)
class FittedImages:
    """Images of one input shape.

    Attributes:
        rows: Numbers of the samples that could be read.
        images: Their inputs ``(N, H, W, 3)`` BGR uint8.
        scales: Input pixels per image pixel, of each in x and y.
    """

    rows: list[int]
    images: NDArray[np.uint8]
    scales: list[tuple[float, float]]


def box_ap(
    network: nn.Module,
    card: ModelCard,
    dataset: KeypointDataset,
    samples: Sequence[DetectionSample],
    workers: int,
    classes: Sequence[str],
) -> dict[str, float]:
    """COCO's average precisions on some images of a set, as fractions: means over the classes."""
    # Fractions of COCO, of the given images only.
    results = detect_boxes(network, card, samples, workers)
    ids = [sample.id for sample in samples]
    values = coco_box_ap(_content(dataset, classes), results, image_ids=ids)
    return {name: value for name, value in values.items() if name.startswith("AP")}


def detect_boxes(
    network: nn.Module, card: ModelCard, samples: Sequence[DetectionSample], workers: int = 2
) -> list[dict[str, object]]:
    """COCO results of a network in evaluation mode.

    Args:
        network: An RTMDet.
        card: Says how images are fitted into the input.
        samples: The images; those that cannot be read have no results.
        workers: Threads that read them.
    """
    # Batches of images with the same input shape.
    shapes = [
        rectangle(s.size_wh, card.input_wh) if card.input_fit == "rectangular" else card.input_wh
        for s in samples
    ]
    groups: list[list[int]] = []
    for shape in sorted(set(shapes)):
        rows = [i for i, s in enumerate(shapes) if s == shape]
        groups += [rows[k : k + EVALUATION_BATCH] for k in range(0, len(rows), EVALUATION_BATCH)]

    # Reading and fitting run in threads, ahead of the network.
    def make(number: int) -> FittedImages:
        return _fit([(i, samples[i]) for i in groups[number]], shapes[groups[number][0]])

    device = next(network.parameters()).device
    results: list[dict[str, object]] = []
    for batch in PrefetchLoader(make, len(groups), workers):
        if not batch.rows:
            continue
        with torch.inference_mode():  # the whole batch through the network at once
            pixels = normalize(torch.from_numpy(batch.images).to(device), card)
            logits, distances = network(pixels)

        # From here on image by image: per level (C, h, w) in numpy.
        classes = [m.float().cpu().numpy() for m in logits]
        sides = [m.float().cpu().numpy() for m in distances]
        for k, (row, scale) in enumerate(zip(batch.rows, batch.scales, strict=True)):
            # Where the card names no classes, the first output is a person, the others untrained.
            named = max(len(card.classes), 1)
            found = rtmdet.decode([c[k, :named] for c in classes], [s[k] for s in sides], STRIDES)
            boxes = unletterbox(found.boxes, scale)

            # Back to image pixels, and to COCO's x, y, width, height.
            results += [
                {
                    "image_id": samples[row].id,
                    "category_id": 1 + int(label),
                    "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
                    "score": float(score),
                }
                for (x0, y0, x1, y1), score, label in zip(
                    boxes, found.scores, found.labels, strict=True
                )
            ]
    return results


def _fit(samples: Sequence[tuple[int, DetectionSample]], input_wh: tuple[int, int]) -> FittedImages:
    """Read images and fit them into an input of this size."""
    rows: list[int] = []
    images: list[NDArray[np.uint8]] = []
    scales: list[tuple[float, float]] = []

    # Images that cannot be read have no row; the others keep their number.
    for row, sample in samples:
        image = read_image_or_none(sample.path)
        if image is not None:
            canvas, scale = letterbox(image, input_wh)
            rows.append(row)
            images.append(canvas)
            scales.append(scale)
    stacked = np.stack(images) if images else np.zeros((0, *input_wh[::-1], 3), np.uint8)
    return FittedImages(rows, stacked, scales)


def _content(dataset: KeypointDataset, classes: Sequence[str]) -> dict[str, object]:
    """The set's annotations with a box, with the number of their class, from 1 on, as category."""
    class_of = class_numbers(dataset, classes)

    # Ids are counted anew: those of merged sets may occur twice.
    annotations: list[dict[str, object]] = []
    number = 0
    for rows in dataset.annotations.values():
        for a in rows:
            number += 1
            label = 0 if class_of is None else class_of.get(a["category_id"])
            if label is None or len(a.get("bbox") or ()) != 4:
                continue

            # What the annotation says about area and crowds comes before the defaults.
            area = a["bbox"][2] * a["bbox"][3]
            own = {"category_id": 1 + label, "id": number}
            annotations.append({"iscrowd": 0, "area": area, **a, **own})
    return {
        "images": [dict(image) for image in dataset.content["images"]],
        "annotations": annotations,
        "categories": [{"id": 1 + i, "name": name} for i, name in enumerate(classes)],
    }
