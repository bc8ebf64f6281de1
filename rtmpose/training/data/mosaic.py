"""A detector's training inputs: mosaic, mixup, random size, crop, flip and color, each image
resized once.

Mosaic and the resize and crop behind it are computed on numbers first
(:mod:`rtmpose.training.data.mosaic_geometry`); then every image is warped straight to its place in
the network's input, and only the part that is seen. An input depends on the seed, the epoch and its
number alone, whichever thread or process makes it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.ops.letterbox import PAD_VALUE
from rtmpose.ranges import COUNT, FRACTION, Range, check_fields, check_flags, check_order
from rtmpose.training.data.augment import NO_AUGMENTATION, change_pixels
from rtmpose.training.data.images import ReadFailures, read_image_or_none
from rtmpose.training.data.mosaic_geometry import (
    Placement,
    draw_image,
    place_boxes,
    place_mosaic,
    place_single,
)
from rtmpose.types import FloatArray, Image

HSV_ONLY = replace(NO_AUGMENTATION, color="hsv")

CACHE_BYTES = 400_000_000

MIN_SIDE = 1.0
"""Boxes thinner than this number of pixels in the input are dropped."""


@dataclass(frozen=True, eq=False)
class DetectionSample:
    """An annotated image.

    Attributes:
        id: Image id in its set.
        path: The file.
        size_wh: Width and height in pixels.
        boxes: ``(M, 4)`` float32 xyxy in image pixels.
        labels: ``(M,)`` int64 classes.
        weights: ``(M,)`` float32 how much each box counts; 1 for human labels.
        crowds: ``(R, 4)`` float32 xyxy regions that do not count as background.
    """

    id: int
    path: Path
    size_wh: tuple[int, int]
    boxes: FloatArray
    labels: NDArray[np.int64]
    weights: FloatArray
    crowds: FloatArray


@dataclass(frozen=True)
class MosaicConfig:
    """How training inputs are composed. The defaults are those of the published nano person
    detector.

    Attributes:
        mosaic: Probability that an input is composed of four images.
        mosaic_cache: The other three are drawn from this number of images before it.
        mixup: Probability that another image is mixed in, half and half.
        mixup_cache: It is drawn from this number of images before.
        scale: Smallest and largest factor on an image's size; 1 makes it (a quarter of a mosaic)
            fit the input.
        flip: Probability of mirroring.
        color: ``hsv`` or ``none``.
        cover: Factor 1 makes a single image cover the input, rather than fit into it.
        min_visible: Boxes of which less than this share is left in the input become regions that
            do not count as background.
    """

    mosaic: float = 1.0
    mosaic_cache: int = 20
    mixup: float = 0.0
    mixup_cache: int = 20
    scale: tuple[float, float] = (0.5, 1.5)
    flip: float = 0.5
    color: Literal["hsv", "none"] = "hsv"
    cover: bool = False
    min_visible: float = 0.0

    def __post_init__(self) -> None:
        part = "detector.augment"
        check_fields(
            self,
            part,
            mosaic_cache=COUNT,
            mixup_cache=COUNT,
            scale=Range(0.01, 100),
            **dict.fromkeys(("mosaic", "mixup", "flip", "min_visible"), FRACTION),
        )
        check_order(self, "scale", part)
        check_flags(self, "cover", part=part)


NO_MOSAIC = MosaicConfig(mosaic=0, scale=(1, 1), flip=0, color="none")
"""Nothing random: what the runtime does."""


@dataclass(frozen=True, eq=False)
class DetectorInput:
    """What the network sees, and the people in it.

    Attributes:
        image: BGR uint8 ``(H, W, 3)``.
        boxes: ``(M, 4)`` float32 xyxy in its pixels, clipped to it.
        labels: ``(M,)`` int64.
        weights: ``(M,)`` float32.
        crowds: ``(R, 4)`` float32.
    """

    image: Image
    boxes: FloatArray
    labels: NDArray[np.int64]
    weights: FloatArray
    crowds: FloatArray


class ImageCache:
    """Decoded images, the least recently used dropped first; shared by threads.

    Args:
        limit_bytes: Of all kept pixels.
    """

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self.limit = limit_bytes
        self.bytes = 0
        self.kept: OrderedDict[Path, Image] = OrderedDict()
        self.lock = threading.Lock()

    def __call__(self, path: Path) -> Image | None:
        """BGR pixels; None where the file is missing or damaged."""
        # The lock is held for the lookup only: reading takes long, and threads may read at once.
        with self.lock:
            if path in self.kept:
                self.kept.move_to_end(path)
                return self.kept[path]
        image = read_image_or_none(path)
        if image is None:
            return None

        # Another thread may have read the same file in the meantime.
        with self.lock:
            if path not in self.kept:
                self.kept[path] = image
                self.bytes += image.nbytes

            # At least one image stays, however large it is.
            while self.bytes > self.limit and len(self.kept) > 1:
                self.bytes -= self.kept.popitem(last=False)[1].nbytes
        return image


class MosaicLoader:
    """Composes training inputs.

    Args:
        samples: In the order of the epoch; the partners of a mosaic are drawn from those before.
        config: How.
        seed: With the number of an input it determines what is drawn.
        cache: Of decoded images; a new one by default.
        failures: Counts images that cannot be read; a new count by default.
    """

    def __init__(
        self,
        samples: Sequence[DetectionSample],
        config: MosaicConfig,
        seed: tuple[int, ...],
        cache: ImageCache | None = None,
        failures: ReadFailures | None = None,
    ) -> None:
        self.samples = samples
        self.config = config
        self.seed = seed
        self.cache = cache or ImageCache()
        self.failures = failures or ReadFailures(len(samples), "its place stays gray")

    def __call__(self, number: int, input_wh: tuple[int, int]) -> DetectorInput:
        """The input of sample ``number``; gray and empty where its image cannot be read.

        Raises:
            InputError: too many images cannot be read.
        """
        config = self.config

        # All draws of an input come from its number, so that any worker makes the same.
        rng = np.random.default_rng((*self.seed, number))
        mosaic = rng.random() < config.mosaic
        result = self._compose(rng, number, input_wh, config.scale, mosaic=mosaic)
        if config.color == "hsv":
            change_pixels(rng, HSV_ONLY, result.image)
        if rng.random() < config.flip:
            result = mirror(result)

        # The other image of a mixup keeps its colors and its size.
        if rng.random() < config.mixup:
            partner = self._earlier(rng, number, config.mixup_cache)
            other = self._compose(rng, partner, input_wh, (1, 1), mosaic=False)
            result = mixup(result, mirror(other) if rng.random() < 0.5 else other)
        return result

    def _earlier(self, rng: np.random.Generator, number: int, cache: int) -> int:
        """One of the ``cache`` samples before ``number``."""
        total = len(self.samples)
        # It is the sample itself only where the cache spans the whole set.
        return (number - int(rng.integers(1, min(cache, total) + 1))) % total

    def _compose(
        self,
        rng: np.random.Generator,
        number: int,
        input_wh: tuple[int, int],
        scale: tuple[float, float],
        *,
        mosaic: bool,
    ) -> DetectorInput:
        """One image or four at their places."""
        # The partners of a mosaic; what cannot be read is reported and leaves gray.
        numbers = [number]
        for _ in range(3 if mosaic else 0):
            numbers.append(self._earlier(rng, number, self.config.mosaic_cache))
        samples = [self.samples[i] for i in numbers]
        images = [self.cache(sample.path) for sample in samples]
        loaded = list(zip(samples, images, strict=True))
        for sample, image in loaded:
            if image is None:
                self.failures.add(sample.path)

        # The true size counts, in case the annotations are wrong about it.
        sizes = [
            sample.size_wh if image is None else (image.shape[1], image.shape[0])
            for sample, image in loaded
        ]
        if mosaic:
            placements = place_mosaic(rng, sizes, input_wh, scale)
        else:
            placements = [place_single(rng, sizes[0], input_wh, scale, cover=self.config.cover)]

        # Images and their boxes.
        canvas = np.full((input_wh[1], input_wh[0], 3), PAD_VALUE, np.uint8)
        parts = [NO_BOXES]
        for (sample, image), placement in zip(loaded, placements, strict=True):
            if image is not None:
                draw_image(image, placement, canvas)
                parts.append(_placed(sample, placement, self.config.min_visible))
        return DetectorInput(canvas, *_joined(parts))


Columns: TypeAlias = tuple[FloatArray, NDArray[np.int64], FloatArray, FloatArray]
"""Boxes, labels, weights and crowds."""

NO_BOXES: Columns = (
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.int64),
    np.zeros(0, np.float32),
    np.zeros((0, 4), np.float32),
)


def mirror(inputs: DetectorInput) -> DetectorInput:
    """Left and right exchanged."""
    width = inputs.image.shape[1]

    # The left edge is the mirrored right one.
    def mirror_boxes(boxes: FloatArray) -> FloatArray:
        return np.stack(
            [width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1
        )

    return replace(
        inputs,
        image=np.asarray(cv2.flip(inputs.image, 1), np.uint8),
        boxes=mirror_boxes(inputs.boxes),
        crowds=mirror_boxes(inputs.crowds),
    )


def mixup(a: DetectorInput, b: DetectorInput) -> DetectorInput:
    """Half of each input's pixels, all of their boxes (mixup for detection, Zhang et al., 2019)."""
    image = cv2.addWeighted(a.image, 0.5, b.image, 0.5, 0)
    return DetectorInput(np.asarray(image, np.uint8), *_joined([_columns(a), _columns(b)]))


def _columns(inputs: DetectorInput) -> Columns:
    return inputs.boxes, inputs.labels, inputs.weights, inputs.crowds


def _joined(parts: Sequence[Columns]) -> Columns:
    """The rows of all parts."""
    boxes, labels, weights, crowds = zip(*parts, strict=True)
    return (
        np.concatenate(boxes),
        np.concatenate(labels),
        np.concatenate(weights),
        np.concatenate(crowds),
    )


def _placed(sample: DetectionSample, placement: Placement, min_visible: float) -> Columns:
    """The boxes of a sample at its place, without those that are hardly visible."""
    # Boxes in input pixels, clipped; ``left`` is the share of each that is still visible.
    boxes, left = place_boxes(sample.boxes, placement)
    size = boxes[:, 2:] - boxes[:, :2]
    seen = (size > MIN_SIDE).all(axis=1)
    keep = seen & (left >= min_visible)

    # What was cut off too far is no background either.
    crowds, _ = place_boxes(sample.crowds, placement)
    crowds = np.concatenate([crowds, boxes[seen & ~keep]])
    crowds = crowds[(crowds[:, 2:] - crowds[:, :2] > 0).all(axis=1)]
    return boxes[keep], sample.labels[keep], sample.weights[keep], crowds
