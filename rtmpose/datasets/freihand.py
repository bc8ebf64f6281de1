"""FreiHAND as published: 3-d joints and cameras, ``training_xyz.json`` and ``training_K.json``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets.annotation_files import read_json
from rtmpose.datasets.coco_content import Annotations, Instance, build_annotations
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Skeleton

IMAGE_SIDE = 224
"""Width and height in pixels of every image of the set."""


def read_freihand(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read a folder with ``<split>_xyz.json``, ``<split>_K.json`` and ``<split>/rgb``.

    The joints are projected with the camera matrix: ``K @ xyz``, divided by depth. The training
    images come in four backgrounds, with one set of labels for all. The box is the whole image, as
    the published models take it.

    Args:
        data: The folder, or its ``<split>_xyz.json``.
        images: The folder of the images; None takes ``<split>/rgb``.
        skeleton: The keypoints; None takes ``hand21``.

    Raises:
        InputError: a file is missing or does not fit the others.
    """
    skeleton = skeleton or get_skeleton("hand21")
    xyz_file = next(iter(sorted(data.glob("*_xyz.json"))), None) if data.is_dir() else data
    if xyz_file is None:
        raise InputError(f"{data} holds no *_xyz.json of FreiHAND")
    split = xyz_file.name.removesuffix("_xyz.json")
    folder = images or xyz_file.parent / split / "rgb"
    points = _projected(xyz_file, xyz_file.with_name(f"{split}_K.json"), len(skeleton))

    # Images beyond the number of labels are the same hands in front of other backgrounds.
    files = sorted(folder.glob("*.jpg"))
    names = [f.name for f in files if f.stem.isdigit()]
    if not names:
        names = [f"{i:08d}.jpg" for i in range(len(points))]
    whole_image = (0, 0, IMAGE_SIDE, IMAGE_SIDE)
    instances = []
    for name in names:
        number = int(name.removesuffix(".jpg"))
        instances.append(Instance(name, points[number % len(points)], whole_image))
    sizes = dict.fromkeys(names, (IMAGE_SIDE, IMAGE_SIDE))
    return build_annotations(xyz_file, folder, skeleton, instances, sizes, "hand")


def _projected(xyz_file: Path, camera_file: Path, keypoints: int) -> NDArray[np.float64]:
    """``(N, K, 3)`` x, y in image pixels and v, which is 2 throughout."""
    try:
        xyz = np.asarray(read_json(xyz_file), np.float64).reshape(-1, keypoints, 3)
        cameras = np.asarray(read_json(camera_file), np.float64).reshape(-1, 3, 3)
    except (TypeError, ValueError) as error:
        raise InputError(f"{xyz_file} or {camera_file} is not FreiHAND's: {error}") from error
    if len(xyz) != len(cameras):
        raise InputError(f"{xyz_file} holds {len(xyz)} hands, {camera_file} {len(cameras)} cameras")
    # Perspective: divide by depth. All joints are labeled, none is marked as hidden.
    projected = xyz @ cameras.transpose(0, 2, 1)
    visible = np.full(xyz.shape[:2], 2.0)
    return np.dstack([projected[..., :2] / projected[..., 2:], visible])
