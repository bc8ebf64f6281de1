"""Annotated people as training samples, and batches of augmented crops."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.ops.crop import warp
from rtmpose.ops.decoders import keypoint_decoder
from rtmpose.paths import is_existing_file
from rtmpose.training.data.augment import (
    Augmentation,
    BodyHalves,
    change_pixels,
    crop_transform,
    transform_points,
)
from rtmpose.training.data.images import (
    ReadFailures,
    image_key,
    read_image_or_none,
    warn_of_missing,
)
from rtmpose.training.data.packed import is_packed
from rtmpose.training.task import Batch
from rtmpose.types import FloatArray, Skeleton

log = logging.getLogger(__name__)

SYNONYMS = {
    "head_top": "head",
    "hip_center": "hip",
    "top_head": "head",
    "pelvis": "hip",
    "thorax": "neck",
}
"""Names that other sets have for points of ours."""

AREA_OF_BOX = 0.53
"""Area of a person as a share of the box, where the annotations have none (the usual figure)."""

KeypointPairs: TypeAlias = Sequence[tuple[int, int]]
"""Indices of the same keypoint in the model's set and in another."""


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
        pseudo: Whether the labels were made by a model.
    """

    path: Path
    box: FloatArray
    points: FloatArray
    teacher: FloatArray | None
    area: float
    source: int
    pseudo: bool


@dataclass(frozen=True)
class CropSettings:
    """What is needed to make crops: the model's card and keypoint set."""

    card: ModelCard
    skeleton: Skeleton

    @property
    def udp(self) -> bool:
        """Whether crops are cut in the unbiased way."""
        return keypoint_decoder(self.card).udp


def match_keypoints(names: Sequence[str], skeleton: Skeleton) -> list[tuple[int, int]]:
    """Pairs (index in the model's set, index in ``names``) of the points with the same name."""
    # Same names, or the other name that sets have for the same point.
    ours = {n: i for i, n in enumerate(skeleton.keypoints)}
    known = [n if n in ours else SYNONYMS.get(n, n) for n in names]
    return [(ours[n], i) for i, n in enumerate(known) if n in ours]


def read_samples(
    dataset: KeypointDataset, skeleton: Skeleton, source: int = 0
) -> tuple[list[Sample], list[str]]:
    """The labeled people of a set, and for each the key of its image (so that a split separates
    images, not people).

    Crowd regions, people without keypoints or with an impossible box or coordinates are left out,
    with a warning.

    Raises:
        InputError: no point of the set is one of the model's, images are missing, or nothing is
            left.
    """
    # Which of the set's points are which of the model's.
    names = dataset.keypoint_names or (dataset.skeleton.keypoints if dataset.skeleton else ())
    pairs = match_keypoints(names, skeleton)

    # A set without names is taken for the model's own keypoints, if their number is the same.
    if not pairs and not names and _points_per_person(dataset) == len(skeleton):
        pairs = [(i, i) for i in range(len(skeleton))]
    if not pairs:
        raise InputError(
            f"{dataset.path}: none of its keypoints ({', '.join(names[:6]) or 'unnamed'} ...) is"
            f" one of the model's ({skeleton.name}: {', '.join(skeleton.keypoints[:6])} ...);"
            " convert it first (rtmpose data convert)"
        )

    # A set labeled by a teacher holds the teacher's points under names of its category.
    teacher_names = dataset.content["categories"][0].get("keypoints26_names", ())
    teacher_pairs = match_keypoints(teacher_names, skeleton)

    # Each person keeps the key of its image, by which the validation split is made.
    image_keys = {int(i["id"]): image_key(i) for i in dataset.content["images"]}
    samples: list[Sample] = []
    keys: list[str] = []
    missing: list[Path] = []
    faults = 0
    packed = is_packed(dataset)
    for image_id, path in dataset.images.items():
        annotations = dataset.labeled(image_id)
        if annotations and not packed and not is_existing_file(path):
            missing.append(path)
            continue
        for annotation in annotations:
            sample = _sample(annotation, path, skeleton, pairs, teacher_pairs, source)
            if sample is None:
                faults += 1
                continue
            samples.append(sample)
            keys.append(image_keys[image_id])
    _warn(dataset, samples, faults, missing)
    return samples, keys


def _warn(
    dataset: KeypointDataset, samples: list[Sample], faults: int, missing: list[Path]
) -> None:
    warn_of_missing(dataset, missing)
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


def _points_per_person(dataset: KeypointDataset) -> int:
    return next(
        (len(a["keypoints"]) // 3 for i in dataset.annotations for a in dataset.labeled(i)), 0
    )


def _sample(
    annotation: Mapping[str, object],
    path: Path,
    skeleton: Skeleton,
    pairs: KeypointPairs,
    teacher_pairs: KeypointPairs,
    source: int,
) -> Sample | None:
    """The sample of an annotation; None where its numbers are unusable or nothing is labeled."""
    # Anything but numbers in the right shape makes the annotation unusable.
    try:
        x, y, w, h = np.asarray(annotation["bbox"], np.float64).tolist()
        theirs = np.asarray(annotation["keypoints"], np.float32).reshape(-1, 3)
        area = float(np.asarray(annotation.get("area") or 0, np.float64))
    except (KeyError, TypeError, ValueError):
        return None

    # NaN, infinity and empty boxes would spread into the crop and the loss.
    labels = theirs[theirs[:, 2] > 0]
    if not all(map(math.isfinite, (x, y, w, h))) or w <= 0 or h <= 0:
        return None
    if not np.isfinite(labels).all():
        return None

    # The labeled points in the order of the model.
    points = np.zeros((len(skeleton), 3), np.float32)
    for ours, other in pairs:
        if other < len(theirs) and theirs[other, 2] > 0:
            points[ours] = (*theirs[other, :2], 1)

    # Points of a teacher, where the set has them, may train a person without human labels.
    teacher = None
    if teacher_pairs and "keypoints26" in annotation:
        teacher = _teacher_points(annotation["keypoints26"], len(skeleton), teacher_pairs)
    if not points[:, 2].any() and teacher is None:
        return None

    # COCO's x, y, width, height to corners; a typical area where none is stored.
    box = np.array([x, y, x + w, y + h], np.float32)
    area = area if area > 0 else AREA_OF_BOX * w * h
    pseudo = annotation.get("label_source") == "teacher"
    return Sample(path, box, points, teacher, area, source, pseudo)


def _teacher_points(stored: object, keypoints: int, pairs: KeypointPairs) -> FloatArray:
    """Stored points of a teacher ``(K, 3)`` in the order of the model; 0 where unusable."""
    found = np.asarray(stored, np.float32).reshape(-1, 3)
    teacher = np.zeros((keypoints, 3), np.float32)
    for ours, other in pairs:
        teacher[ours] = found[other]
    teacher[~np.isfinite(teacher).all(axis=1)] = 0
    return teacher


class CropBatches:
    """Makes batches of crops; a crop is the same in every thread, process and run.

    Args:
        samples: To choose from.
        settings: What the model takes.
        augmentation: How crops vary.
        seed: With the sample's number it determines what is drawn.
        failures: Counts images that cannot be read, over several epochs; a new count by default.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        settings: CropSettings,
        augmentation: Augmentation,
        seed: tuple[int, ...],
        failures: ReadFailures | None = None,
    ) -> None:
        self.samples = samples
        self.settings = settings
        self.augmentation = augmentation
        self.seed = seed
        self.halves = BodyHalves.of(settings.skeleton)
        self.flip = np.array(settings.skeleton.flip_indices)
        self.failures = failures or ReadFailures(len(samples), "it is left out of the loss")

    def __call__(self, rows: NDArray[np.int64], repeats: NDArray[np.int64]) -> Batch:
        """The crops of samples ``rows``; ``repeats`` tells a sample's repetitions in an epoch
        apart.

        Returns:
            ``images`` BGR uint8 ``(N, h, w, 3)``; ``points`` and ``teacher`` ``(N, K, 3)`` x, y in
            crop pixels, weight or score; ``pseudo`` ``(N,)``; ``matrices`` ``(N, 2, 3)`` image to
            crop.

        Raises:
            InputError: too many images cannot be read.
        """
        width, height = self.settings.card.input_wh
        number = len(rows)
        keypoints = len(self.settings.skeleton)
        # Cleared: a crop beyond the image's edge is black there.
        images = np.zeros((number, height, width, 3), np.uint8)
        points = np.zeros((number, keypoints, 3), np.float32)
        teacher = np.zeros((number, keypoints, 3), np.float32)
        matrices = np.zeros((number, 2, 3))
        pseudo = np.zeros(number, bool)

        # Each crop draws from a generator of its sample and repetition, whichever worker makes it.
        for i, (row, repeat) in enumerate(zip(rows, repeats, strict=True)):
            sample = self.samples[row]
            rng = np.random.default_rng((*self.seed, int(row), int(repeat)))
            image = read_image_or_none(sample.path)
            if image is None:
                self.failures.add(sample.path)  # stays black, with no labeled point
                matrices[i] = np.eye(2, 3)
                continue

            # One affine map takes pixels and points to the crop.
            matrix, flipped = crop_transform(
                rng,
                self.augmentation,
                sample.box,
                sample.points,
                (width, height),
                self.halves,
                udp=self.settings.udp,
            )
            warp(image, matrix[None], images[i : i + 1])
            change_pixels(rng, self.augmentation, images[i])
            points[i] = transform_points(sample.points, matrix, flipped, self.flip)
            if sample.teacher is not None:
                teacher[i] = transform_points(sample.teacher, matrix, flipped, self.flip)
            matrices[i] = matrix
            pseudo[i] = sample.pseudo

        # Unlabeled points have no place: 0, so that no stray number reaches the loss.
        points[..., :2][points[..., 2] == 0] = 0
        return {
            "images": torch.from_numpy(images),
            "points": torch.from_numpy(points),
            "teacher": torch.from_numpy(teacher),
            "pseudo": torch.from_numpy(pseudo),
            "matrices": torch.from_numpy(matrices),
        }
