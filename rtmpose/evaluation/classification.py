"""Classifiers: run one, and score it by top-1 and top-5."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.datasets import ImageFolder
from rtmpose.errors import InputError, ModelError
from rtmpose.evaluation.pose import Evaluation
from rtmpose.model_card import ModelCard
from rtmpose.sources import read_image
from rtmpose.types import FloatArray, Image, check_image
from rtmpose.zoo import resolve

log = logging.getLogger(__name__)

CROP_SHARE = 0.95
"""The input's side over the shorter side of the shrunk picture: 224 of 236, as published for
CSPNeXt.
"""
TOP = (1, 5)


class Classifier:
    """A classification network with its preparation of pictures.

    Args:
        model: Name from the zoo, path of a model file, or a card.
        options: Engine, device, threads, precision.
        card: Describes a file the zoo does not know.

    Raises:
        ModelError: the model cannot be had, is damaged, or is not a classifier.
        BackendError: engine or device are not available.
    """

    def __init__(
        self,
        model: str | Path | ModelCard,
        *,
        options: BackendOptions | None = None,
        card: ModelCard | None = None,
    ) -> None:
        path, known = resolve(model)
        card = card or known
        if card is None:
            raise ModelError(
                f"{path} does not say which classifier it is; name the model of the zoo it"
                " belongs to"
            )
        if card.output != "classes":
            raise ModelError(
                f"{card.id} is for {card.task}, not a classifier; `rtmpose models list` shows those"
            )
        self.path, self.card = path, card
        self.backend: Backend = open_backend(path, card, options or BackendOptions())
        width, height = card.input_wh
        shape = self.backend(np.zeros((1, height, width, 3), np.uint8))[0].shape
        if len(shape) != 2:
            raise ModelError(
                f"{path} is not a classifier: it returns an array of shape {shape}, not (N,"
                " classes)"
            )
        self.classes = int(shape[1])

    def __call__(self, images: Sequence[Image]) -> FloatArray:
        """Scores ``(N, classes)`` of BGR uint8 pictures of any size; the larger, the surer.

        Raises:
            InputError: a picture is not usable.
        """
        if not images:
            return np.zeros((0, self.classes), np.float32)
        crops = np.stack([central_crop(check_image(i), self.card.input_wh) for i in images])
        return self.backend(crops)[0].astype(np.float32, copy=False)


def central_crop(image: Image, input_wh: tuple[int, int]) -> Image:
    """The middle of a picture whose shorter side was made 1/0.95 of the input's, with Pillow's
    bicubic filter.

    Args:
        image: BGR uint8 ``(H, W, 3)``.
        input_wh: Size of the crop.
    """
    width, height = input_wh
    short = int(max(width, height) / CROP_SHARE + 0.5)
    h, w = image.shape[:2]
    new_h, new_w = (short, int(short * w / h + 0.5)) if h < w else (int(short * h / w + 0.5), short)
    left, top = round((new_w - width) / 2), round((new_h - height) / 2)
    # Only the rows and columns of the crop are made, rounded after each direction as Pillow does.
    across = _round(
        np.einsum("xw,hwc->hxc", _bicubic(w, new_w)[left : left + width], image, optimize=True)
    )
    return _round(
        np.einsum("yh,hxc->yxc", _bicubic(h, new_h)[top : top + height], across, optimize=True)
    )


def top_k(scores: FloatArray, labels: NDArray[np.int64], k: int) -> float:
    """Share of the rows of ``(N, classes)`` whose label is among the ``k`` largest scores."""
    if not len(labels):
        return 0.0
    mine = scores[np.arange(len(labels)), labels][:, None]
    return float(((scores > mine).sum(axis=1) < k).mean())


def evaluate_classifier(
    dataset: ImageFolder,
    classifier: Classifier,
    *,
    limit: int | None = None,
    batch: int = 32,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Top-1 and top-5 of a classifier.

    Args:
        dataset: One folder per class; sorted by name they are the classes of the model.
        classifier: The model.
        limit: So many pictures, taken evenly from the set.
        batch: Pictures per call.
        on_progress: Called with pictures done and total.

    Raises:
        InputError: the set has other classes than the model, or no picture can be read.
        ModelError: the model returns NaN.
    """
    if len(dataset.classes) != classifier.classes:
        raise InputError(
            f"{dataset.path} has {len(dataset.classes)} class folders, but {classifier.card.id}"
            f" tells {classifier.classes} classes apart"
        )
    items = dataset.items
    if limit and limit < len(items):
        items = tuple(items[i * len(items) // limit] for i in range(limit))
    scores: list[FloatArray] = []
    labels: list[int] = []
    seconds, skipped = 0.0, 0
    for start in range(0, len(items), batch):
        images: list[Image] = []
        for path, label in items[start : start + batch]:
            try:
                images.append(read_image(path))
                labels.append(label)
            except InputError as error:
                log.warning("skipped: %s", error)
                skipped += 1
        begin = time.perf_counter()
        scores.append(classifier(images))
        seconds += time.perf_counter() - begin
        if on_progress:
            on_progress(min(start + batch, len(items)), len(items))
    if not labels:
        raise InputError(f"none of the {len(items)} pictures of {dataset.path} could be read")
    table, truth = np.concatenate(scores), np.array(labels, np.int64)
    if not np.isfinite(table).all():
        raise ModelError(f"{classifier.card.id} returns NaN or infinite numbers")
    backend = classifier.backend
    settings: dict[str, Any] = {
        "data": str(dataset.path),
        "classifier": classifier.card.id,
        "engine": backend.engine,
        "device": backend.device,
        "precision": backend.precision,
        "classes": classifier.classes,
        "metrics": ["top-k"],
    }
    values = {f"top-{k}": top_k(table, truth, k) for k in TOP}
    return Evaluation(values, settings, len(labels), skipped, 1.0, seconds * 1000 / len(labels), [])


def _bicubic(old: int, new: int) -> FloatArray:
    """Weights ``(new, old)`` of Pillow's bicubic resizing (a = -0.5), widened when shrinking
    against aliasing.
    """
    scale = old / new
    wide = max(scale, 1.0)
    x = np.abs((np.arange(old) + 0.5)[None] - ((np.arange(new) + 0.5) * scale)[:, None]) / wide
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _round(values: FloatArray) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
