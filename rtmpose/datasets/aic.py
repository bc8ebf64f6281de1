"""AI Challenger keypoints as published (``keypoint_train_annotations_20170909.json``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtmpose.datasets.annotation_files import find_annotation_file, locate_images, read_json
from rtmpose.datasets.coco_content import Annotations, Instance, build_annotations
from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.datasets.image_size import image_size
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Skeleton

VISIBILITY = {1: 2, 2: 1, 3: 0}
"""Published value (1 visible, 2 hidden, 3 not labeled) to COCO's (2 visible, 1 hidden, 0 not)."""


def read_aic(
    data: Path, images: Path | None, skeleton: Skeleton | None = None, content: Json = None
) -> Annotations:
    """Read a list of images with ``image_id``, ``human_annotations`` (x1, y1, x2, y2) and
    ``keypoint_annotations``.

    Args:
        data: The file, or a folder that holds it.
        images: The folder of the images; None looks around.
        skeleton: The keypoints; None takes ``aic14``.
        content: The parsed file, if it was read before.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    path = find_annotation_file(data)
    content = read_json(path) if content is None else content
    skeleton = skeleton or get_skeleton("aic14")
    instances: list[Instance] = []
    names: list[str] = []
    try:
        for entry in content:
            name = f"{entry['image_id']}.jpg"
            names.append(name)
            instances += _people(entry, name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is not AI Challenger's (image_id, human_annotations, keypoint_annotations):"
            f" {error!r}"
        ) from error

    # Images without anybody are kept too: they are background for detectors.
    paths = locate_images(dict(enumerate(names)), images, path)
    sizes = {name: image_size(paths[i]) or (0, 0) for i, name in enumerate(names)}
    return build_annotations(path, images, skeleton, instances, sizes)


def _people(entry: JsonObject, name: str) -> list[Instance]:
    """The annotated people of one image."""
    people = []
    for person, flat in entry["keypoint_annotations"].items():
        # Published values of v to COCO's; points without a label are 0, 0, 0.
        points = np.asarray(flat, np.float64).reshape(-1, 3)
        points[:, 2] = [VISIBILITY[int(v)] for v in points[:, 2]]
        points[points[:, 2] == 0] = 0
        x1, y1, x2, y2 = entry["human_annotations"][person]
        people.append(Instance(name, points, (x1, y1, x2 - x1, y2 - y1)))
    return people
