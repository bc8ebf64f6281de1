"""COCO annotations: images, categories and people, for labeling tools and training."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from rtmpose.files import atomic_text
from rtmpose.text_files import to_json
from rtmpose.types import Skeleton
from rtmpose.writers.clip import Clip
from rtmpose.writers.clip_names import ClipNames, image_name
from rtmpose.writers.json_items import JsonItems
from rtmpose.writers.lab_options import LabOptions

LABELED = 2
"""Of COCO's visibility: the point has a place."""


def write_coco_annotations(clips: Iterable[Clip], path: Path, options: LabOptions) -> list[Path]:
    """Write one file: every frame is an image, with or without people.

    Images of videos are called as :func:`image_name` says. A missing point is 0, 0, 0.

    Raises:
        OutputError: it cannot be written.
    """
    names = ClipNames()
    info = {"description": "Poses found by rtmpose"}
    categories: list[dict[str, Any]] = []
    # Images stand before people in the file, and both come clip by clip.
    with atomic_text(path) as file, TemporaryFile("w+", encoding="utf-8") as later:
        file.write(f'{{"info": {to_json(info)}, "images": [')
        images, people = JsonItems(file), JsonItems(later)
        for clip in clips:
            categories = categories or [_category(clip.skeleton)]
            first = images.count + 1
            images.add_all(_images(clip, names.name(clip), first))
            for person in _people(clip, first):
                people.add({"id": people.count + 1, **person})
        file.write('], "annotations": [')
        later.seek(0)
        shutil.copyfileobj(later, file)
        file.write(f'], "categories": {to_json(categories)}}}\n')
    return [path]


def _category(skeleton: Skeleton) -> dict[str, Any]:
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.links],
    }


def _images(clip: Clip, name: str, first: int) -> list[dict[str, Any]]:
    width, height = clip.size_wh or (0, 0)
    return [
        {
            "id": first + k,
            "file_name": image_name(clip, name, frame),
            "width": width,
            "height": height,
        }
        for k, frame in enumerate(clip.frames.tolist())
    ]


def _people(clip: Clip, first: int) -> Iterator[dict[str, Any]]:
    """The people of a clip, whose frames are the images from ``first`` on."""
    known = np.asarray(np.isfinite(clip.keypoints).all(axis=2))
    sizes = clip.boxes[:, 2:] - clip.boxes[:, :2]
    for row, place in enumerate(clip.rows.tolist()):
        flags = np.where(known[row], LABELED, 0)[:, None]
        points = np.concatenate([np.nan_to_num(clip.keypoints[row]), flags], axis=1)
        width, height = sizes[row].tolist()
        person: dict[str, Any] = {
            "image_id": first + place,
            "category_id": 1,
            "bbox": [round(v, 2) for v in [*clip.boxes[row, :2].tolist(), width, height]],
            "area": round(width * height, 2),
            "iscrowd": 0,
            "num_keypoints": int(known[row].sum()),
            "keypoints": [round(v, 3) for v in points.ravel().tolist()],
            "score": round(float(clip.box_scores[row]), 5),
        }
        if clip.ids is not None:
            person["track_id"] = int(clip.ids[row])
        yield person
