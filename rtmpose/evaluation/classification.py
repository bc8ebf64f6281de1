"""Score a classifier by top-1 and top-5 accuracy."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.datasets import ImageFolder
from rtmpose.errors import InputError, ModelError
from rtmpose.evaluation.pose import Evaluation
from rtmpose.model_card import ModelCard
from rtmpose.ranges import FRAMES, check_optional
from rtmpose.sources import read_image
from rtmpose.types import FloatArray, Image, check_image
from rtmpose.zoo import resolve

log = logging.getLogger(__name__)

CROP_RATIO = 0.95
"""The input's side over the shorter side of the resized image: 224 of 236, as published for
CSPNeXt.
"""
TOP_K = (1, 5)
BATCH = 32


class Classifier:
    """A classification network with the preprocessing of images.

    Args:
        model: Name from the zoo, path of a model file, or a card.
        options: Engine, device, threads, precision.
        card: Describes a file the zoo does not know.

    Raises:
        ModelError: the model cannot be found, is damaged, or is not a classifier.
        BackendError: engine or device are not available.
    """

    def __init__(
        self,
        model: str | Path | ModelCard,
        *,
        options: BackendOptions | None = None,
        card: ModelCard | None = None,
    ) -> None:
        # The model's file and card.
        path, known_card = resolve(model)
        card = card or known_card
        if card is None:
            raise ModelError(
                f"{path} does not say which classifier it is; name the model of the zoo it"
                " belongs to"
            )
        if card.output != "classes":
            raise ModelError(
                f"{card.id} is for {card.task}, not a classifier; `rtmpose models list` shows those"
            )
        self.path = path
        self.card = card
        self.backend: Backend = open_backend(path, card, options or BackendOptions())

        # The number of classes is known from the output.
        width, height = card.input_wh
        shape = self.backend(np.zeros((1, height, width, 3), np.uint8))[0].shape
        if len(shape) != 2:
            raise ModelError(
                f"{path} is not a classifier: it returns an array of shape {shape}, not (N,"
                " classes)"
            )
        self.classes = int(shape[1])

    def __call__(self, images: Sequence[Image]) -> FloatArray:
        """Scores ``(N, classes)`` float32 of BGR uint8 images of any size; larger is more likely.

        Raises:
            InputError: an image is not usable.
        """
        if not images:
            return np.zeros((0, self.classes), np.float32)
        # (N, h, w, 3)
        crops = np.stack([center_crop(check_image(i), self.card.input_wh) for i in images])
        return self.backend(crops)[0].astype(np.float32, copy=False)


def center_crop(image: Image, input_wh: tuple[int, int]) -> Image:
    """The middle of an image whose shorter side was made 1/0.95 of the input's, with Pillow's
    bicubic filter.

    Args:
        image: BGR uint8 ``(H, W, 3)``.
        input_wh: Size of the crop.
    """
    crop_width, crop_height = input_wh
    # Size of the resized image, of which the middle is taken.
    height, width = image.shape[:2]
    short_side = int(max(input_wh) / CROP_RATIO + 0.5)
    if height < width:
        new_height = short_side
        new_width = int(short_side * width / height + 0.5)
    else:
        new_width = short_side
        new_height = int(short_side * height / width + 0.5)
    left = round((new_width - crop_width) / 2)
    top = round((new_height - crop_height) / 2)

    # Only the rows and columns of the crop are computed, rounded after each direction as Pillow
    # does.
    column_weights = _bicubic_weights(width, new_width)[left : left + crop_width]
    columns = _rounded(np.einsum("xw,hwc->hxc", column_weights, image, optimize=True))
    row_weights = _bicubic_weights(height, new_height)[top : top + crop_height]
    return _rounded(np.einsum("yh,hxc->yxc", row_weights, columns, optimize=True))


def top_k_accuracy(scores: FloatArray, labels: NDArray[np.int64], k: int) -> float:
    """Fraction of the rows of ``(N, classes)`` whose label is among the ``k`` largest scores."""
    if not len(labels):
        return 0.0
    label_scores = scores[np.arange(len(labels)), labels][:, None]  # (N, 1)
    rank = (scores > label_scores).sum(axis=1)  # how many classes score higher than the right one
    return float((rank < k).mean())


def evaluate_classifier(
    dataset: ImageFolder,
    classifier: Classifier,
    *,
    limit: int | None = None,
    batch: int = BATCH,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Top-1 and top-5 accuracy of a classifier.

    Args:
        dataset: One folder per class; sorted by name they are the classes of the model.
        classifier: The model.
        limit: Evaluate at most this number of images, taken evenly from the set.
        batch: Images per call.
        on_progress: Called with the number of images done and in total.

    Raises:
        InputError: the set has other classes than the model, or no image can be read.
        ModelError: the model returns NaN.
    """
    if len(dataset.classes) != classifier.classes:
        raise InputError(
            f"{dataset.path} has {len(dataset.classes)} class folders, but {classifier.card.id}"
            f" tells {classifier.classes} classes apart"
        )
    check_optional("limit", limit, FRAMES)

    # A limit takes images evenly: the first ones would be of a few classes.
    items = dataset.items
    if limit and limit < len(items):
        items = tuple(items[i * len(items) // limit] for i in range(limit))

    # Classify batch by batch.
    batches: list[FloatArray] = []
    labels: list[int] = []
    seconds = 0.0
    for start in range(0, len(items), batch):
        # Reading is not timed.
        images, batch_labels = _read(items[start : start + batch])
        labels += batch_labels
        begin = time.perf_counter()
        batches.append(classifier(images))
        seconds += time.perf_counter() - begin
        if on_progress:
            on_progress(min(start + batch, len(items)), len(items))
    if not labels:
        raise InputError(f"none of the {len(items)} images of {dataset.path} could be read")

    scores = np.concatenate(batches)
    if not np.isfinite(scores).all():
        raise ModelError(f"{classifier.card.id} returns NaN or infinite numbers")
    true_labels = np.array(labels, np.int64)
    return Evaluation(
        metrics={f"top-{k}": top_k_accuracy(scores, true_labels, k) for k in TOP_K},
        settings=_settings(dataset, classifier),
        images=len(labels),
        skipped=len(items) - len(labels),
        people_per_image=1.0,
        ms_per_image=seconds * 1000 / len(labels),
        results=[],
    )


def _read(items: Sequence[tuple[Path, int]]) -> tuple[list[Image], list[int]]:
    """Images and labels; what cannot be read is left out with a warning."""
    images: list[Image] = []
    labels: list[int] = []
    for path, label in items:
        try:
            images.append(read_image(path))
            labels.append(label)
        except InputError as error:
            log.warning("skipped: %s", error)
    return images, labels


def _settings(dataset: ImageFolder, classifier: Classifier) -> dict[str, object]:
    """What the metrics depend on."""
    return {
        "data": str(dataset.path),
        "classifier": classifier.card.id,
        "engine": classifier.backend.engine,
        "device": classifier.backend.device,
        "precision": classifier.backend.precision,
        "classes": classifier.classes,
        "metrics": ["top-k"],
    }


def _bicubic_weights(old: int, new: int) -> FloatArray:
    """Weights ``(new, old)`` of Pillow's bicubic resizing (a = -0.5), widened when shrinking
    against aliasing.
    """
    scale = old / new  # old pixels per new pixel
    support = max(scale, 1.0)
    # Distance of each new pixel from each old one, in units of the filter's support.
    old_centers = (np.arange(old) + 0.5)[None]
    new_centers = ((np.arange(new) + 0.5) * scale)[:, None]
    x = np.abs(old_centers - new_centers) / support

    # The two pieces of the cubic kernel, for distances below 1 and below 2.
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)  # rows sum to 1


def _rounded(values: FloatArray) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
