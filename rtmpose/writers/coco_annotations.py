"""COCO annotations: images, categories and people, for labeling tools and training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.files import write_text
from rtmpose.text_files import to_json
from rtmpose.writers.clip import Clip
from rtmpose.writers.clip_names import clip_names, image_name
from rtmpose.writers.lab_options import LabOptions

LABELED = 2
"""Of COCO's visibility: the point has a place."""


def write_coco_annotations(clips: Sequence[Clip], path: Path, options: LabOptions) -> list[Path]:
    """Write one file: every frame is an image, with or without people.

    Images of videos are called as :func:`image_name` says. A missing point is 0, 0, 0.

    Raises:
        OutputError: it cannot be written.
    """
    skeleton = clips[0].skeleton
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.links],
    }
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for clip, name in zip(clips, clip_names(clips), strict=True):
        first = len(images) + 1
        images += _images(clip, name, first)
        for person in _people(clip, first):
            people.append({"id": len(people) + 1, **person})
    content = {
        "info": {"description": "Poses found by rtmpose"},
        "images": images,
        "annotations": people,
        "categories": [category],
    }
    write_text(path, to_json(content) + "\n")
    return [path]


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
