"""A detector's training pictures: mosaic, mixup, random size, crop, flip and color, each photo
resized once.

Mosaic and the resize and crop behind it are worked out on numbers first; then every photo is warped
straight to its place in the picture that the network sees, and only the part that is seen. A
picture follows from the seed, the epoch and its number alone, whoever makes it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.ops.letterbox import PAD_VALUE
from rtmpose.training.data.augment import NO_AUGMENTATION, recolor
from rtmpose.training.data.pose_samples import read_crop_image
from rtmpose.types import FloatArray, Image

HSV_ONLY = type(NO_AUGMENTATION)(
    flip=0,
    half_body=0,
    scale=(1, 1),
    rotate=0,
    rotate_prob=0,
    shift=0,
    shift_prob=0,
    color="hsv",
    blur=0,
    dropout=0,
)
CACHE_BYTES = 400_000_000
LEAST_SIDE = 1.0
"""Boxes thinner than this many pixels in the picture are no use."""


@dataclass(frozen=True, eq=False)
class DetectionSample:
    """An annotated photo.

    Attributes:
        id: Image id in its set.
        path: The file.
        size_wh: Width and height in pixels.
        boxes: ``(M, 4)`` float32 xyxy in image pixels.
        labels: ``(M,)`` int64 classes.
        weights: ``(M,)`` float32 how much each box counts; 1 for human labels.
        crowds: ``(R, 4)`` float32 xyxy regions in which nothing is known.
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
    """How training pictures are made. The defaults are those of the published nano person detector.

    Attributes:
        mosaic: Probability that a picture is put together of four photos.
        mosaic_cache: The other three are drawn from so many photos before it.
        mixup: Probability that another photo is mixed in, half and half.
        mixup_cache: Likewise.
        scale: Smallest and largest factor on a photo's size; 1 makes it (a quarter of a mosaic) fit
            the picture.
        flip: Probability of mirroring.
        color: ``hsv`` or ``none``.
        cover: Factor 1 makes a photo that stands alone cover the picture, rather than fit into it.
        least_visible: Boxes of which less than this share is left in the picture become unknown
            regions.
    """

    mosaic: float = 1.0
    mosaic_cache: int = 20
    mixup: float = 0.0
    mixup_cache: int = 20
    scale: tuple[float, float] = (0.5, 1.5)
    flip: float = 0.5
    color: str = "hsv"
    cover: bool = False
    least_visible: float = 0.0


PLAIN = MosaicConfig(mosaic=0, scale=(1, 1), flip=0, color="none")
"""Nothing by chance: what the runtime does."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What the network sees, and what is in it.

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


class PhotoCache:
    """Decoded photos, the least recently used dropped first; shared by threads.

    Args:
        limit_bytes: Of all kept pixels.
    """

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self.limit, self.bytes = limit_bytes, 0
        self.kept: OrderedDict[Path, Image] = OrderedDict()
        self.lock = threading.Lock()

    def __call__(self, path: Path) -> Image | None:
        """BGR pixels; None where the file is missing or damaged."""
        with self.lock:
            if path in self.kept:
                self.kept.move_to_end(path)
                return self.kept[path]
        image = read_crop_image(path)
        if image is None:
            return None
        with self.lock:
            if path not in self.kept:
                self.kept[path] = image
                self.bytes += image.nbytes
            while self.bytes > self.limit and len(self.kept) > 1:
                self.bytes -= self.kept.popitem(last=False)[1].nbytes
        return image


@dataclass(frozen=True)
class Placement:
    """Where a photo goes: a factor on its size, and the place of its top left corner in the
    picture.

    Attributes:
        scale: Picture pixels per image pixel.
        x: Left edge in picture pixels; may be negative.
        y: Upper edge.
        window: x0, y0, x1, y1: the whole pixels of the picture that it may fill.
    """

    scale: float
    x: float
    y: float
    window: tuple[int, int, int, int]


def fit(size_wh: tuple[int, int], into_wh: tuple[int, int]) -> float:
    """The factor at which a photo just fits."""
    return min(into_wh[0] / size_wh[0], into_wh[1] / size_wh[1])


def place_one(
    rng: np.random.Generator,
    size_wh: tuple[int, int],
    picture_wh: tuple[int, int],
    scale: tuple[float, float],
    *,
    cover: bool = False,
) -> Placement:
    """Random size and crop of one photo; one that is smaller than the picture lies in the top left
    corner.
    """
    whole = (
        max(p / s for p, s in zip(picture_wh, size_wh, strict=True))
        if cover
        else fit(size_wh, picture_wh)
    )
    factor = whole * rng.uniform(*scale)
    spare_x, spare_y = (max(s * factor - p, 0.0) for s, p in zip(size_wh, picture_wh, strict=True))
    left, top = rng.random(2)
    return Placement(factor, -round(left * spare_x), -round(top * spare_y), (0, 0, *picture_wh))


def place_four(
    rng: np.random.Generator,
    sizes_wh: Sequence[tuple[int, int]],
    picture_wh: tuple[int, int],
    scale: tuple[float, float],
) -> list[Placement]:
    """A mosaic of four photos on a canvas of twice the picture's size, then a random size and crop
    of that.

    The photos meet with a corner each in a point in the middle half of the canvas; what reaches
    beyond the canvas is cut off (Bochkovskiy et al., 2020; the cache is RTMDet's).
    """
    width, height = picture_wh
    factor = rng.uniform(*scale)
    canvas = (2 * width * factor, 2 * height * factor)
    center = (rng.uniform(0.5, 1.5) * width * factor, rng.uniform(0.5, 1.5) * height * factor)
    left, top = (
        round(r * max(c - p, 0.0))
        for r, c, p in zip(rng.random(2), canvas, picture_wh, strict=True)
    )
    x, y = center[0] - left, center[1] - top
    edge_x, edge_y = (
        min(p, int(c - o)) for p, c, o in zip(picture_wh, canvas, (left, top), strict=True)
    )
    middle_x, middle_y = (
        int(np.clip(round(v), 0, e)) for v, e in zip((x, y), (edge_x, edge_y), strict=True)
    )
    placements = []
    for quarter, size in enumerate(sizes_wh):
        right, low = quarter % 2 == 1, quarter >= 2
        s = fit(size, picture_wh) * factor
        window = (
            middle_x if right else 0,
            middle_y if low else 0,
            edge_x if right else middle_x,
            edge_y if low else middle_y,
        )
        corner = (x if right else x - size[0] * s, y if low else y - size[1] * s)
        placements.append(Placement(s, *corner, window))
    return placements


def draw(image: Image, placement: Placement, canvas: Image) -> None:
    """Warp the visible part of a photo to its place, bilinear."""
    p = placement
    x0, y0, x1, y1 = p.window
    height, width = image.shape[:2]
    x0, y0 = max(x0, int(np.floor(p.x + 0.5))), max(y0, int(np.floor(p.y + 0.5)))
    x1, y1 = min(x1, round(p.x + width * p.scale)), min(y1, round(p.y + height * p.scale))
    if x1 <= x0 or y1 <= y0:
        return
    # Pixel centers: where the center of picture pixel (i, j) of the part lies in the photo.
    back = 1 / p.scale
    shift_x, shift_y = (x0 + 0.5 - p.x) * back - 0.5, (y0 + 0.5 - p.y) * back - 0.5
    matrix = np.array([[back, 0, shift_x], [0, back, shift_y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(
        image, matrix, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    canvas[y0:y1, x0:x1] = part


def move(boxes: FloatArray, placement: Placement) -> tuple[FloatArray, FloatArray]:
    """Boxes ``(M, 4)`` of a photo in picture pixels, clipped to its window, and the share of each
    that is left.
    """
    p = placement
    whole = boxes * np.float32(p.scale) + np.array([p.x, p.y, p.x, p.y], np.float32)
    low, high = np.array(p.window[:2] * 2, np.float32), np.array(p.window[2:] * 2, np.float32)
    clipped = np.clip(whole, low, high)
    area = np.maximum((whole[:, 2:] - whole[:, :2]).prod(axis=1), 1e-6)
    return clipped, (clipped[:, 2:] - clipped[:, :2]).prod(axis=1) / area


class MosaicLoader:
    """Makes training pictures.

    Args:
        photos: In the order of the epoch; the partners of a mosaic are drawn from those before.
        pictures: How.
        seed: With the number of a picture it determines what is drawn.
        cache: Of decoded photos.
    """

    def __init__(
        self,
        photos: Sequence[DetectionSample],
        pictures: MosaicConfig,
        seed: tuple[int, ...],
        cache: PhotoCache | None = None,
    ) -> None:
        self.photos, self.pictures, self.seed = photos, pictures, seed
        self.cache = cache or PhotoCache()
        self.unreadable: set[Path] = set()

    def __call__(self, number: int, picture_wh: tuple[int, int]) -> Picture:
        """The picture of photo ``number``; gray and empty where the photo cannot be read."""
        p = self.pictures
        rng = np.random.default_rng((*self.seed, number))
        picture = self._composed(rng, number, picture_wh, rng.random() < p.mosaic)
        if p.color == "hsv":
            recolor(rng, HSV_ONLY, picture.image)
        if rng.random() < p.flip:
            picture = mirrored(picture)
        if rng.random() < p.mixup:
            other = self._composed(
                rng, self._earlier(rng, number, p.mixup_cache), picture_wh, False, scale=(1, 1)
            )
            picture = mixed(picture, mirrored(other) if rng.random() < 0.5 else other)
        return picture

    def _earlier(self, rng: np.random.Generator, number: int, cache: int) -> int:
        return (number - int(rng.integers(1, min(cache, len(self.photos)) + 1))) % len(self.photos)

    def _composed(
        self,
        rng: np.random.Generator,
        number: int,
        picture_wh: tuple[int, int],
        mosaic: bool,
        scale: tuple[float, float] | None = None,
    ) -> Picture:
        chosen = [
            number,
            *(
                self._earlier(rng, number, self.pictures.mosaic_cache)
                for _ in range(3 if mosaic else 0)
            ),
        ]
        photos = [self.photos[i] for i in chosen]
        images = [self.cache(photo.path) for photo in photos]
        self.unreadable |= {
            photo.path for photo, image in zip(photos, images, strict=True) if image is None
        }
        # The true size counts, in case the annotations are wrong about it.
        sizes = [
            p.size_wh if i is None else (i.shape[1], i.shape[0])
            for p, i in zip(photos, images, strict=True)
        ]
        scale = scale or self.pictures.scale
        if mosaic:
            placements = place_four(rng, sizes, picture_wh, scale)
        else:
            placements = [place_one(rng, sizes[0], picture_wh, scale, cover=self.pictures.cover)]
        canvas = np.full((picture_wh[1], picture_wh[0], 3), PAD_VALUE, np.uint8)
        parts = []
        for photo, image, placement in zip(photos, images, placements, strict=True):
            if image is not None:
                draw(image, placement, canvas)
                parts.append(_content(photo, placement, self.pictures.least_visible))
        empty = (
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.int64),
            np.zeros(0, np.float32),
            np.zeros((0, 4), np.float32),
        )
        columns = zip(*parts, strict=True) if parts else ([e] for e in empty)
        return Picture(canvas, *(np.concatenate(column) for column in columns))


def _content(
    photo: DetectionSample, placement: Placement, least_visible: float
) -> tuple[FloatArray, NDArray[np.int64], FloatArray, FloatArray]:
    boxes, left = move(photo.boxes, placement)
    size = boxes[:, 2:] - boxes[:, :2]
    seen = (size > LEAST_SIDE).all(axis=1)
    keep = seen & (left >= least_visible)
    crowds, _ = move(photo.crowds, placement)
    crowds = np.concatenate([crowds, boxes[seen & ~keep]])
    crowds = crowds[(crowds[:, 2:] - crowds[:, :2] > 0).all(axis=1)]
    return boxes[keep], photo.labels[keep], photo.weights[keep], crowds


def mirrored(picture: Picture) -> Picture:
    """Left and right exchanged."""
    width = picture.image.shape[1]

    def turn(boxes: FloatArray) -> FloatArray:
        return np.stack(
            [width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1
        )

    image = cv2.flip(picture.image, 1)
    return Picture(
        np.asarray(image, np.uint8),
        turn(picture.boxes),
        picture.labels,
        picture.weights,
        turn(picture.crowds),
    )


def mixed(a: Picture, b: Picture) -> Picture:
    """Half of each picture's pixels, all of their boxes (mixup for detection, Zhang et al., 2019)."""
    image = cv2.addWeighted(a.image, 0.5, b.image, 0.5, 0)
    names = ("boxes", "labels", "weights", "crowds")
    joined = (np.concatenate([getattr(a, n), getattr(b, n)]) for n in names)
    return Picture(np.asarray(image, np.uint8), *joined)
