"""FreiHAND as published: 3-d joints and cameras, ``training_xyz.json`` and ``training_K.json``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtmpose.datasets.coco_content import Annotations, Instance, assemble
from rtmpose.datasets.keypoint_dataset import read_json
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Skeleton

SIDE = 224
"""Every picture of the set is a square of so many pixels."""


def read_freihand(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read a folder with ``<split>_xyz.json``, ``<split>_K.json`` and ``<split>/rgb``.

    The joints are projected with the camera matrix: ``K @ xyz``, divided by depth. The training
    pictures come in four backgrounds, one set of labels for all. The box is the whole picture, as
    the published models take it.

    Raises:
        InputError: a file is missing or does not fit the others.
    """
    skeleton = skeleton or get_skeleton("hand21")
    xyz_file = next(iter(sorted(data.glob("*_xyz.json"))), None) if data.is_dir() else data
    if xyz_file is None:
        raise InputError(f"{data} holds no *_xyz.json of FreiHAND")
    split = xyz_file.name.removesuffix("_xyz.json")
    camera_file = xyz_file.with_name(f"{split}_K.json")
    folder = images or xyz_file.parent / split / "rgb"
    try:
        xyz = np.asarray(read_json(xyz_file), np.float64).reshape(-1, len(skeleton), 3)
        cameras = np.asarray(read_json(camera_file), np.float64).reshape(-1, 3, 3)
    except (TypeError, ValueError) as error:
        raise InputError(f"{xyz_file} or {camera_file} is not FreiHAND's: {error}") from error
    if len(xyz) != len(cameras):
        raise InputError(f"{xyz_file} holds {len(xyz)} hands, {camera_file} {len(cameras)} cameras")
    projected = xyz @ cameras.transpose(0, 2, 1)
    points = np.dstack([projected[..., :2] / projected[..., 2:], np.full(xyz.shape[:2], 2.0)])
    files = sorted(folder.glob("*.jpg"))
    names = [f.name for f in files if f.stem.isdigit()] or [f"{i:08d}.jpg" for i in range(len(xyz))]
    instances = [Instance(n, points[int(n[:-4]) % len(xyz)], (0, 0, SIDE, SIDE)) for n in names]
    return assemble(
        xyz_file, folder, skeleton, instances, dict.fromkeys(names, (SIDE, SIDE)), "hand"
    )
