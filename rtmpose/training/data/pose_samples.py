"""Annotated people as training samples, and batches of augmented crops made in threads ahead of the
training.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.ops.crop import warp
from rtmpose.ops.decoders import keypoint_decoder
from rtmpose.training.data.augment import Augmentation, Halves, place, recolor, transform
from rtmpose.types import FloatArray, Skeleton

log = logging.getLogger(__name__)

SYNONYMS = {
    "head_top": "head",
    "hip_center": "hip",
    "top_head": "head",
    "pelvis": "hip",
    "thorax": "neck",
}
"""Other sets' names of points that ours call otherwise."""

MOST_UNREADABLE = 0.05
"""Share of unreadable images that a training puts up with."""

Batch = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Sample:
    """One person (hand, face, animal).

    Attributes:
        path: Of the image.
        box: ``(4,)`` float32 xyxy in image pixels.
        points: ``(K, 3)`` float32 x, y, weight in image pixels, in the order of the model; weight
            0: no label.
        teacher: ``(K, 3)`` x, y, score of a teacher, or None.
        area: Square pixels of the person, for OKS.
        source: Number of the data set.
        machine: Whether the labels were made by a model.
    """

    path: Path
    box: FloatArray
    points: FloatArray
    teacher: FloatArray | None
    area: float
    source: int
    machine: bool


@dataclass(frozen=True)
class CropSettings:
    """What is needed to make crops: the model's card and keypoint set."""

    card: ModelCard
    skeleton: Skeleton

    @property
    def udp(self) -> bool:
        """Whether crops are cut in the unbiased way."""
        return keypoint_decoder(self.card).udp


def match_names(names: Sequence[str], skeleton: Skeleton) -> list[tuple[int, int]]:
    """Pairs (index in the model's set, index in ``names``) of the points that are the same by name."""
    ours = {n: i for i, n in enumerate(skeleton.keypoints)}
    known = [n if n in ours else SYNONYMS.get(n, n) for n in names]
    return [(ours[n], i) for i, n in enumerate(known) if n in ours]


def read_samples(
    dataset: KeypointDataset, skeleton: Skeleton, source: int = 0
) -> tuple[list[Sample], list[str]]:
    """The labeled people of a set, and for each the key of its photo (so that a split parts photos,
    not people).

    Crowd regions, people without keypoints or with an impossible box or coordinates are left out,
    with a warning.

    Raises:
        InputError: no point of the set is one of the model's, images are missing, or nothing is
            left.
    """
    names = dataset.keypoint_names or (dataset.skeleton.keypoints if dataset.skeleton else ())
    pairs = match_names(names, skeleton)
    if not pairs and not names and _points_per_person(dataset) == len(skeleton):
        pairs = [(i, i) for i in range(len(skeleton))]
    if not pairs:
        raise InputError(
            f"{dataset.path}: none of its keypoints ({', '.join(names[:6]) or 'unnamed'} ...) is"
            f" one of the model's ({skeleton.name}: {', '.join(skeleton.keypoints[:6])} ...);"
            " convert it first (rtmpose data convert)"
        )
    teacher_names = dataset.content["categories"][0].get("keypoints26_names", ())
    teacher_pairs = match_names(teacher_names, skeleton)
    photos = {int(i["id"]): photo_key(i) for i in dataset.content["images"]}
    samples, keys, faults, missing = [], [], 0, []
    for image_id, path in dataset.images.items():
        annotations = dataset.labeled(image_id)
        if annotations and not path.is_file():
            missing.append(path)
            continue
        for annotation in annotations:
            sample = _sample(annotation, path, skeleton, pairs, teacher_pairs, source)
            if sample is None:
                faults += 1
                continue
            samples.append(sample)
            keys.append(photos[image_id])
    _complain(dataset, samples, faults, missing)
    return samples, keys


def _complain(
    dataset: KeypointDataset, samples: list[Sample], faults: int, missing: list[Path]
) -> None:
    number = len(dataset.images)
    if missing:
        text = (
            f"{dataset.path}: {len(missing)} of {number} images are missing, such as {missing[0]}"
        )
        if len(missing) > MOST_UNREADABLE * number:
            raise InputError(f"{text}; is the image folder right? `rtmpose data check` lists them")
        log.warning("%s; training goes on without them", text)
    if faults:
        log.warning(
            "%s: %d annotations were left out: NaN, an empty box, or no point of the model's",
            dataset.path,
            faults,
        )
    if not samples:
        raise InputError(
            f"{dataset.path} holds no annotation with keypoints to train on ({faults} unusable)"
        )


def held_out(keys: Sequence[str], share: float) -> NDArray[np.bool_]:
    """Which photos are kept for evaluation: a fixed choice by the hash of their key."""
    return np.array([crc32(k.encode()) % 10000 < share * 10000 for k in keys], bool)


def _points_per_person(dataset: KeypointDataset) -> int:
    return next(
        (len(a["keypoints"]) // 3 for i in dataset.annotations for a in dataset.labeled(i)), 0
    )


def photo_key(image: Mapping[str, Any]) -> str:
    """The same for the same photo in several sets: COCO's own files are named by the id."""
    for field in ("coco_image_id", "source_image"):
        if field in image:
            return f"{field}:{image[field]}"
    name = Path(image["file_name"])
    if len(name.stem) == 12 and name.stem.isdecimal():
        return f"coco_image_id:{int(name.stem)}"
    return str(image["file_name"])


def _sample(
    annotation: Mapping[str, Any],
    path: Path,
    skeleton: Skeleton,
    pairs: Sequence[tuple[int, int]],
    teacher_pairs: Sequence[tuple[int, int]],
    source: int,
) -> Sample | None:
    try:
        x, y, w, h = (float(v) for v in annotation["bbox"])
        theirs = np.array(annotation["keypoints"], np.float32).reshape(-1, 3)
    except (KeyError, TypeError, ValueError):
        return None
    labels = theirs[theirs[:, 2] > 0]
    if (
        not all(map(math.isfinite, (x, y, w, h)))
        or w <= 0
        or h <= 0
        or not np.isfinite(labels).all()
    ):
        return None
    points = np.zeros((len(skeleton), 3), np.float32)
    for ours, other in pairs:
        if other < len(theirs) and theirs[other, 2] > 0:
            points[ours] = (*theirs[other, :2], 1)
    teacher = None
    if teacher_pairs and "keypoints26" in annotation:
        found = np.array(annotation["keypoints26"], np.float32).reshape(-1, 3)
        teacher = np.zeros((len(skeleton), 3), np.float32)
        for ours, other in teacher_pairs:
            teacher[ours] = found[other]
        teacher[~np.isfinite(teacher).all(axis=1)] = 0
    if not points[:, 2].any() and teacher is None:
        return None
    area = float(annotation.get("area") or 0)
    machine = annotation.get("label_source") == "teacher"
    box = np.array([x, y, x + w, y + h], np.float32)
    return Sample(path, box, points, teacher, area if area > 0 else 0.53 * w * h, source, machine)


def read_crop_image(path: Path) -> NDArray[np.uint8] | None:
    """BGR pixels, upright; None where the file is missing or damaged."""
    try:
        data = np.fromfile(path, np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error):
        return None


class BatchMaker:
    """Makes batches of crops, each the same whenever and wherever it is made.

    Args:
        samples: To choose from.
        settings: What the model takes.
        augmentation: How crops vary.
        seed: With the epoch and the sample's number it determines what is drawn.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        settings: CropSettings,
        augmentation: Augmentation,
        seed: tuple[int, ...],
    ) -> None:
        self.samples, self.settings, self.augmentation, self.seed = (
            samples,
            settings,
            augmentation,
            seed,
        )
        self.halves = Halves.of(settings.skeleton)
        self.flip = np.array(settings.skeleton.flip_indices)
        self.unreadable: set[Path] = set()

    def __call__(self, rows: NDArray[np.int64], salts: NDArray[np.int64]) -> Batch:
        """The crops of samples ``rows``; ``salts`` tells a sample's repetitions in an epoch apart.

        Returns:
            ``images`` BGR uint8 ``(N, h, w, 3)``; ``points`` and ``teacher`` ``(N, K, 3)`` x, y in
            crop pixels, weight or score; ``machine`` ``(N,)``; ``matrices`` ``(N, 2, 3)`` image to
            crop.
        """
        w, h = self.settings.card.input_wh
        n, k = len(rows), len(self.settings.skeleton)
        # Cleared: a crop beyond the image's edge is black there.
        images = np.zeros((n, h, w, 3), np.uint8)
        points, teacher = np.zeros((n, k, 3), np.float32), np.zeros((n, k, 3), np.float32)
        matrices, machine = np.zeros((n, 2, 3)), np.zeros(n, bool)
        for i, (row, salt) in enumerate(zip(rows, salts, strict=True)):
            sample = self.samples[row]
            rng = np.random.default_rng((*self.seed, int(row), int(salt)))
            image = read_crop_image(sample.path)
            if image is None:
                self._note(sample.path)
                matrices[i] = np.eye(2, 3)
                continue
            matrix, flipped = place(
                rng,
                self.augmentation,
                sample.box,
                sample.points,
                (w, h),
                self.halves,
                udp=self.settings.udp,
            )
            warp(image, matrix[None], images[i : i + 1])
            recolor(rng, self.augmentation, images[i])
            points[i] = transform(sample.points, matrix, flipped, self.flip)
            if sample.teacher is not None:
                teacher[i] = transform(sample.teacher, matrix, flipped, self.flip)
            matrices[i], machine[i] = matrix, sample.machine
        points[..., :2][points[..., 2] == 0] = 0
        arrays = {
            "images": images,
            "points": points,
            "teacher": teacher,
            "machine": machine,
            "matrices": matrices,
        }
        return {key: torch.from_numpy(value) for key, value in arrays.items()}

    def _note(self, path: Path) -> None:
        self.unreadable.add(path)
        number = len(self.unreadable)
        if number > max(10, MOST_UNREADABLE * len(self.samples)):
            raise InputError(
                f"{number} images cannot be read, the last of them {path}; `rtmpose data check`"
                " lists all of them"
            )
        log.warning("%s is missing or damaged; it is left out of the loss", path)


class Ahead:
    """Items made in threads, a few ahead of their use, in order.

    Args:
        make: Makes item i.
        count: How many there are.
        workers: Threads; 0 makes each when it is asked for.
        ahead: Items that may wait.
    """

    def __init__(
        self, make: Callable[[int], Any], count: int, workers: int, ahead: int = 4
    ) -> None:
        self.make, self.count, self.workers, self.ahead, self.start = make, count, workers, ahead, 0

    def skip(self, number: int) -> None:
        """Start behind the first ``number`` items."""
        self.start = number

    def __iter__(self) -> Iterator[Any]:
        numbers = iter(range(self.start, self.count))
        if not self.workers:
            yield from map(self.make, numbers)
            return
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="crops")
        waiting: deque[Future[Any]] = deque()
        try:
            for number in numbers:
                waiting.append(pool.submit(self.make, number))
                if len(waiting) >= self.ahead + self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Not waited for: what was left half-way may be cleared away by one of these very
            # threads.
            pool.shutdown(wait=False, cancel_futures=True)
