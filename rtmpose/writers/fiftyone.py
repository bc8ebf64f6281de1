"""FiftyOne's samples as JSON: each makes a ``fiftyone.Sample``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError
from rtmpose.files import atomic_text
from rtmpose.text_files import to_json
from rtmpose.types import Skeleton
from rtmpose.writers.clip import Clip
from rtmpose.writers.clip_names import ClipNames, image_name
from rtmpose.writers.json_items import JsonItems
from rtmpose.writers.lab_options import LabOptions

LABEL = "person"


def write_fiftyone(clips: Iterable[Clip], path: Path, options: LabOptions) -> list[Path]:
    """Write ``samples`` and the ``skeleton``; ``fiftyone.Sample.from_dict`` reads each sample.

    Points, boxes and confidences are in 0..1 of the image; a missing point is null. ``index`` is
    the number of a tracked person. Frames of videos are images, called as
    :func:`rtmpose.writers.clip_names.image_name` says.

    Raises:
        InputError: the size of a source is not known.
        OutputError: it cannot be written.
    """
    names = ClipNames()
    with atomic_text(path) as file:
        samples: JsonItems | None = None
        for clip in clips:
            if samples is None:
                file.write(f'{{"skeleton": {to_json(_skeleton(clip.skeleton))}, "samples": [')
                samples = JsonItems(file)
            samples.add_all(_samples(clip, names.name(clip)))
        file.write("]}\n")
    return [path]


def _skeleton(skeleton: Skeleton) -> dict[str, Any]:
    return {
        "labels": list(skeleton.keypoints),
        "edges": [list(link) for link in skeleton.links],
    }


def _samples(clip: Clip, name: str) -> list[dict[str, Any]]:
    if clip.size_wh is None:
        raise InputError(f"the size of {clip.source} is not known, which fractions of it need")
    size = np.array(clip.size_wh, np.float64)
    points, confidences = clip.keypoints / size, clip.confidences
    keypoints: list[list[dict[str, Any]]] = [[] for _ in clip.frames]
    boxes: list[list[dict[str, Any]]] = [[] for _ in clip.frames]
    for row, place in enumerate(clip.rows.tolist()):
        number = {} if clip.ids is None else {"index": int(clip.ids[row])}
        keypoints[place].append(
            {
                "_cls": "Keypoint",
                "label": LABEL,
                "points": points[row].tolist(),
                "confidence": confidences[row].tolist(),
                **number,
            }
        )
        corners = clip.boxes[row].reshape(2, 2) / size
        boxes[place].append(
            {
                "_cls": "Detection",
                "label": LABEL,
                "bounding_box": [*corners[0].tolist(), *(corners[1] - corners[0]).tolist()],
                "confidence": float(clip.box_scores[row]),
                **number,
            }
        )
    return [
        {
            "filepath": image_name(clip, name, frame),
            "frame_number": frame + 1,
            "keypoints": {"_cls": "Keypoints", "keypoints": keypoints[place]},
            "detections": {"_cls": "Detections", "detections": boxes[place]},
        }
        for place, frame in enumerate(clip.frames.tolist())
    ]
