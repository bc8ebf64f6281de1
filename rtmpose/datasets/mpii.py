"""MPII Human Pose as the JSON lists that the field shares (``train.json``, ``mpii_val.json``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtmpose.datasets.annotation_files import find_annotation_file, locate_images, read_json
from rtmpose.datasets.coco import PIXEL_STD
from rtmpose.datasets.coco_content import Annotations, Instance, build_annotations
from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.datasets.image_size import image_size
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Skeleton

CENTER_SHIFT = 15.0
"""Pixels that the center is moved down at scale 1, so that the feet are not cut off (the usual
practice).
"""


def read_mpii(
    data: Path, images: Path | None, skeleton: Skeleton | None = None, content: Json = None
) -> Annotations:
    """Read a list of people: ``image``, ``center``, ``scale``, ``joints`` (16 x, y),
    ``joints_vis``.

    Joints and centers are Matlab pixels, counted from 1; they become 0-based. The box is a square
    of side 200 ``scale`` around the lowered center.

    Args:
        data: The file, or a folder that holds it.
        images: The folder of the images; None looks around.
        skeleton: The keypoints; None takes ``mpii16``.
        content: The parsed file, if it was read before.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    path = find_annotation_file(data)
    content = read_json(path) if content is None else content
    skeleton = skeleton or get_skeleton("mpii16")
    try:
        instances = [_instance(entry, len(skeleton)) for entry in content]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not a list of MPII people (image, center, scale, joints, joints_vis):"
            f" {error!r}"
        ) from error

    # One entry per image, however many people are in it.
    names = list(dict.fromkeys(instance.file_name for instance in instances))
    paths = locate_images(dict(enumerate(names)), images, path)
    sizes = {name: size for i, name in enumerate(names) if (size := image_size(paths[i]))}
    return build_annotations(path, images, skeleton, instances, sizes)


def _instance(entry: JsonObject, keypoints: int) -> Instance:
    # From Matlab pixels to 0-based ones; visible is 2 in COCO.
    points = np.zeros((keypoints, 3))
    points[:, :2] = np.asarray(entry["joints"], np.float64) - 1
    points[:, 2] = 2 * (np.asarray(entry["joints_vis"]) > 0)
    points[points[:, 2] == 0] = 0
    return Instance(str(entry["image"]), points, _box(entry), {"scale": entry["scale"]})


def _box(entry: JsonObject) -> list[float]:
    center_x, center_y = entry["center"]
    scale = float(entry["scale"])
    side = PIXEL_STD * scale
    # -1 stands for an unknown center.
    if center_x != -1:
        center_y += CENTER_SHIFT * scale
    return [center_x - 1 - side / 2, center_y - 1 - side / 2, side, side]
