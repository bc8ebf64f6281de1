"""AI Challenger keypoints as published (``keypoint_train_annotations_20170909.json``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.datasets.coco_content import Annotations, Instance, assemble, image_size
from rtmpose.datasets.keypoint_dataset import annotation_file, locate_images, read_json
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Skeleton

# Published: 1 visible, 2 hidden, 3 not labeled. COCO: 2 visible, 1 hidden, 0 not labeled.
VISIBILITY = {1: 2, 2: 1, 3: 0}


def read_aic(
    data: Path, images: Path | None, skeleton: Skeleton | None = None, content: Any = None
) -> Annotations:
    """Read a list of pictures with ``image_id``, ``human_annotations`` (x1, y1, x2, y2) and
    ``keypoint_annotations``.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    path = annotation_file(data)
    content = read_json(path) if content is None else content
    skeleton = skeleton or get_skeleton("aic14")
    instances, names = [], []
    try:
        for picture in content:
            name = f"{picture['image_id']}.jpg"
            names.append(name)
            for person, flat in picture["keypoint_annotations"].items():
                points = np.asarray(flat, np.float64).reshape(-1, 3)
                points[:, 2] = [VISIBILITY[int(v)] for v in points[:, 2]]
                points[points[:, 2] == 0] = 0
                x1, y1, x2, y2 = picture["human_annotations"][person]
                instances.append(Instance(name, points, (x1, y1, x2 - x1, y2 - y1)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is not AI Challenger's (image_id, human_annotations, keypoint_annotations):"
            f" {error!r}"
        ) from error
    places = locate_images(dict(enumerate(names)), images, path)
    sizes = {name: image_size(places[i]) or (0, 0) for i, name in enumerate(names)}
    return assemble(path, images, skeleton, instances, sizes)
