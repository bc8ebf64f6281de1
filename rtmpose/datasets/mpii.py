"""MPII Human Pose as the JSON lists that the field shares (``train.json``, ``mpii_val.json``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.datasets.coco import PIXEL_STD
from rtmpose.datasets.coco_content import Annotations, Instance, assemble, image_size
from rtmpose.datasets.keypoint_dataset import annotation_file, locate_images, read_json
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Skeleton

LIFT = 15.0
"""The center is moved down by so many pixels at scale 1, so that the feet are not cut off (the
usual practice).
"""


def read_mpii(
    data: Path, images: Path | None, skeleton: Skeleton | None = None, content: Any = None
) -> Annotations:
    """Read a list of people: ``image``, ``center``, ``scale``, ``joints`` (16 x, y),
    ``joints_vis``.

    Joints and centers are Matlab pixels, counted from 1; they become 0-based. The box is a square
    of side 200 ``scale`` around the lowered center.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    path = annotation_file(data)
    content = read_json(path) if content is None else content
    skeleton = skeleton or get_skeleton("mpii16")
    instances = []
    try:
        for entry in content:
            points = np.zeros((len(skeleton), 3))
            points[:, :2] = np.asarray(entry["joints"], np.float64) - 1
            points[:, 2] = 2 * (np.asarray(entry["joints_vis"]) > 0)
            points[points[:, 2] == 0] = 0
            instances.append(
                Instance(str(entry["image"]), points, _box(entry), {"scale": entry["scale"]})
            )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not a list of MPII people (image, center, scale, joints, joints_vis):"
            f" {error!r}"
        ) from error
    names = list(dict.fromkeys(i.file_name for i in instances))
    places = locate_images(dict(enumerate(names)), images, path)
    sizes = {name: size for i, name in enumerate(names) if (size := image_size(places[i]))}
    return assemble(path, images, skeleton, instances, sizes)


def _box(entry: dict[str, Any]) -> list[float]:
    (cx, cy), scale = entry["center"], float(entry["scale"])
    side = PIXEL_STD * scale
    if cx != -1:
        cy += LIFT * scale
    return [cx - 1 - side / 2, cy - 1 - side / 2, side, side]
