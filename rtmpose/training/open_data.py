"""The annotated sets of a pose training, in the keypoints of its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from rtmpose.datasets import (
    MIXTURES,
    SCORING_SPLITS,
    KeypointDataset,
    convert,
    load_mixture,
    open_mixture,
    read,
)
from rtmpose.skeletons import skeleton_names
from rtmpose.training.data.packed import is_packed, read_packed
from rtmpose.types import Skeleton


class OpenedSet(NamedTuple):
    """A set that has been read, and how often its samples occur in an epoch."""

    dataset: KeypointDataset
    share: float


DataSource: TypeAlias = "str | Path | OpenedSet"
"""An annotation file or its folder, a packed file (``.zip``), ``MIXTURE:FOLDER``, a mixture's TOML;
or a set read before.
"""


@dataclass(frozen=True)
class ReadOptions:
    """How single sets are read; a mixture says it itself.

    Attributes:
        images: The folder that file names start from; None looks around.
        category: Take the instances of this category only.
        to_score: Whether the sets are evaluated on: their validation split is read, not that to
            train on.
    """

    images: Path | None = None
    category: str = ""
    to_score: bool = False


AS_FOUND = ReadOptions()
"""All categories, images looked for, the split to train on."""


def open_sets(
    data: Sequence[DataSource],
    skeleton: Skeleton | None = None,
    options: ReadOptions = AS_FOUND,
) -> list[OpenedSet]:
    """The sets that a user names.

    Args:
        data: What to read; sets that have been read are taken as they are.
        skeleton: Names for the points of single sets whose own names have nothing in common with
            it, if their number is the same.
        options: How single sets are read.

    Raises:
        InputError: a set is missing or damaged.
    """
    # Each entry is a named mixture in a folder, a mixture file, or one set.
    found: list[OpenedSet] = []
    for entry in data:
        if isinstance(entry, OpenedSet):
            found.append(entry)
            continue
        mixture, _, folder = str(entry).partition(":")
        if mixture in MIXTURES and folder:
            found += [OpenedSet(*part) for part in open_mixture(mixture, folder)]
        elif str(entry).endswith(".toml"):
            found += [OpenedSet(*part) for part in open_mixture(*load_mixture(entry))]
        else:
            found.append(OpenedSet(_read_as(entry, skeleton, options), 1.0))
    return found


def open_data(
    data: Sequence[DataSource], skeleton: Skeleton, options: ReadOptions = AS_FOUND
) -> tuple[list[KeypointDataset], list[float]]:
    """Data sets in the keypoints of the model, and how often each occurs in an epoch.

    Raises:
        InputError: a set is missing, damaged, or has none of the keypoints.
    """
    own = skeleton if skeleton.name not in skeleton_names() else None
    found = open_sets(data, own, options)
    # All sets in the model's order of keypoints.
    return [in_keypoints_of(skeleton, d) for d, _ in found], [share for _, share in found]


def in_keypoints_of(skeleton: Skeleton, dataset: KeypointDataset) -> KeypointDataset:
    """The set in the model's keypoints; teacher points (``keypoints26``) are matched later.

    Raises:
        InputError: it has none of them.
    """
    names = dataset.keypoint_names

    # Nothing to convert: same points, unnamed ones, or a teacher's (matched by name later).
    if names == skeleton.keypoints or not names or has_teacher_points(dataset):
        return dataset
    return convert(dataset, skeleton if skeleton.name not in skeleton_names() else skeleton.name)


def has_teacher_points(dataset: KeypointDataset) -> bool:
    """Whether its annotations hold the points of a teacher."""
    categories = dataset.content["categories"]
    return bool(categories) and "keypoints26_names" in categories[0]


def _read_as(entry: str | Path, skeleton: Skeleton | None, options: ReadOptions) -> KeypointDataset:
    """One set; its points are renamed where they are as many as the skeleton's, but other ones."""
    if is_packed(entry):
        return read_packed(entry)
    split = SCORING_SPLITS if options.to_score else ""
    reading = partial(read, entry, images=options.images, split=split, category=options.category)
    dataset = reading()
    if skeleton is None:
        return dataset
    names = dataset.keypoint_names or (dataset.skeleton.keypoints if dataset.skeleton else ())
    renamed = len(names) == len(skeleton) and not set(names) & set(skeleton.keypoints)
    return reading(skeleton=skeleton) if renamed else dataset
