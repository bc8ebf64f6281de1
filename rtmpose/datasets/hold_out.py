"""Hold out part of a set by video, subject or anything else that names tell: frames of one clip are
nearly the same, and a model that is tested on the neighbors of its training images looks better
than it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from rtmpose.datasets.coco_types import JsonObject
from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.errors import InputError

GROUP_FIELD = "split_group"
"""Field of images that names their group: they are held out together or not at all."""

BY_IMAGE = "image"
BY_FOLDER = "folder"


@dataclass(frozen=True)
class Part:
    """One of the two parts of a set that was split.

    Attributes:
        dataset: Its images and their annotations.
        groups: Names of its groups, sorted.
    """

    dataset: KeypointDataset
    groups: tuple[str, ...]


def groups_of(dataset: KeypointDataset, group_by: str) -> dict[int, str]:
    """The group of each image.

    Args:
        dataset: The set.
        group_by: ``folder`` (that of the image), ``image`` (each by itself), or a regular
            expression that is looked for in the path: its first group in parentheses, or all that
            it matches, is the name of the group.

    Returns:
        Image id to group.

    Raises:
        InputError: the expression is wrong, or not found in the path of an image.
    """
    # Folders that all images share are left out: they differ from machine to machine.
    paths = {image_id: path.absolute() for image_id, path in dataset.images.items()}
    root = os.path.commonpath([str(path.parent) for path in paths.values()] or ["."])
    inner = {image_id: path.relative_to(root) for image_id, path in paths.items()}
    if group_by == BY_IMAGE:
        return {image_id: path.as_posix() for image_id, path in inner.items()}
    if group_by == BY_FOLDER:
        return {image_id: path.parent.as_posix() for image_id, path in inner.items()}
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise InputError(
            f"--group-by is folder, image or a regular expression; {group_by!r} is none: {error}"
        ) from error

    # Looked for in the name within the set first: folders above it may match by chance.
    groups = {}
    for image_id, path in paths.items():
        found = pattern.search(inner[image_id].as_posix()) or pattern.search(path.as_posix())
        if found is None:
            raise InputError(
                f"--group-by {group_by!r} is not found in {path}: every image needs a group"
            )
        groups[image_id] = next((g for g in found.groups() if g is not None), found.group())
    return groups


def marked(dataset: KeypointDataset, group_by: str) -> KeypointDataset:
    """The set with the group of each image in :data:`GROUP_FIELD`, which trainings keep whole.

    Raises:
        InputError: see :func:`groups_of`.
    """
    groups = groups_of(dataset, group_by)
    images = [{**i, GROUP_FIELD: groups[int(i["id"])]} for i in dataset.content["images"]]
    return _with_images(dataset, images)


def hold_out(dataset: KeypointDataset, what: str, group_by: str = BY_IMAGE) -> tuple[Part, Part]:
    """Split a set; each group is whole in one of the parts. The same set is always split alike.

    Args:
        dataset: The set.
        what: Share of the labeled images to hold out (0 to 1, such as ``0.2``), or names of groups
            with commas between.
        group_by: See :func:`groups_of`.

    Returns:
        The part to train on, and the part that is held out.

    Raises:
        InputError: one of the parts would be empty, a group is unknown, or see
            :func:`groups_of`.
    """
    groups = groups_of(dataset, group_by)
    sizes: dict[str, int] = {}
    for image_id, group in groups.items():
        sizes[group] = sizes.get(group, 0) + bool(dataset.labeled(image_id))
    if len(groups) < 2:
        count = "1 image" if groups else "no images"
        raise InputError(f"{dataset.path} has {count}: there is nothing to hold out from")
    if len(sizes) < 2:
        raise InputError(
            f"{dataset.path} is all of one group ({next(iter(sizes))}): it cannot be"
            f" split by {group_by!r}"
        )
    # A number may also be the name of a group, such as that of a subject.
    fraction = None if what.strip() in sizes else _fraction(what)
    held = _named_groups(what, sizes) if fraction is None else _by_share(sizes, fraction)
    if len(held) == len(sizes):
        raise InputError(f"--hold-out {what} leaves nothing to train on")

    # Groups stay marked, so that the part to train on can be split again.
    dataset = marked(dataset, group_by) if group_by != BY_IMAGE else dataset
    parts = []
    for is_held in (False, True):
        ids = {image_id for image_id, group in groups.items() if (group in held) == is_held}
        names = sorted({groups[image_id] for image_id in ids})
        parts.append(Part(_subset(dataset, ids), tuple(names)))
    return parts[0], parts[1]


def _fraction(what: str) -> float | None:
    """The share to hold out; None where names are meant.

    Raises:
        InputError: it is a number that is no share.
    """
    try:
        fraction = float(what)
    except ValueError:
        return None
    if not 0 < fraction < 1:
        raise InputError(f"--hold-out is a share between 0 and 1, or names of groups, not {what}")
    return fraction


def _named_groups(what: str, sizes: Mapping[str, int]) -> set[str]:
    """Groups by name, or by the last folder of their name."""
    held: set[str] = set()
    for name in filter(None, (part.strip() for part in what.split(","))):
        found = [group for group in sizes if group == name or Path(group).name == name]
        if not found:
            some = ", ".join(sorted(Path(group).name for group in sizes)[:8])
            raise InputError(f"--hold-out {name}: there is no such group; there are {some}")
        held.update(found)
    return held


def _by_share(sizes: Mapping[str, int], fraction: float) -> set[str]:
    """Groups in the order of a hash of their names, until the share is met best; at least one."""
    order = sorted(sizes, key=lambda group: (crc32(group.encode()), group))
    target = fraction * sum(sizes.values())
    held: set[str] = set()
    count = 0
    for group in order:
        # A group that would miss the share by more than going without it is passed over.
        if abs(count + sizes[group] - target) < abs(count - target):
            held.add(group)
            count += sizes[group]
    labeled = [group for group in order if sizes[group]]
    return held or {min(labeled or order, key=lambda group: sizes[group])}


def _subset(dataset: KeypointDataset, ids: set[int]) -> KeypointDataset:
    """The images with these ids and their annotations."""
    images = [i for i in dataset.content["images"] if int(i["id"]) in ids]
    return _with_images(dataset, images)


def _with_images(dataset: KeypointDataset, images: Sequence[JsonObject]) -> KeypointDataset:
    """A set with some of its images, or with changed entries."""
    ids = [int(image["id"]) for image in images]
    annotations = {i: dataset.annotations[i] for i in ids}
    rows = [row for group in annotations.values() for row in group]
    content = {**dataset.content, "images": list(images), "annotations": rows}
    return KeypointDataset(
        dataset.path,
        content,
        {i: dataset.images[i] for i in ids},
        annotations,
        dataset.keypoint_names,
        dataset.skeleton,
    )
