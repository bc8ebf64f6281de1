"""Label Studio's tasks with predictions: people as a start for labeling by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rtmpose.errors import InputError
from rtmpose.files import atomic_text
from rtmpose.writers.clip import Clip
from rtmpose.writers.clip_names import ClipNames, image_name
from rtmpose.writers.json_items import JsonItems
from rtmpose.writers.lab_options import LabOptions

BOX_NAME = "box"
POINTS_NAME = "keypoints"
IMAGE_NAME = "image"
LABEL = "person"
POINT_WIDTH = 0.5
"""Of a point as it is shown, in percent of the image."""


def write_label_studio(clips: Iterable[Clip], path: Path, options: LabOptions) -> list[Path]:
    """Write one file: a task per image, with a rectangle for everybody and a keypoint for each
    point that is not missing; ``parentID`` says whose it is.

    Tasks need a labeling setup with ``<Image name="image" value="$image"/>``,
    ``<RectangleLabels name="box" toName="image">`` and ``<KeyPointLabels name="keypoints" ...>``.
    Frames of videos are called as :func:`rtmpose.writers.clip_names.image_name` says.

    Raises:
        InputError: the size of a source is not known.
        OutputError: it cannot be written.
    """
    names = ClipNames()
    with atomic_text(path) as file:
        file.write("[")
        tasks = JsonItems(file)
        for clip in clips:
            tasks.add_all(_tasks(clip, names.name(clip)))
        file.write("]\n")
    return [path]


def _tasks(clip: Clip, name: str) -> list[dict[str, Any]]:
    if clip.size_wh is None:
        raise InputError(f"the size of {clip.source} is not known, which percents of it need")
    version = clip.models.get("pose", "rtmpose")
    tasks = []
    results: list[list[dict[str, Any]]] = [[] for _ in clip.frames]
    scores: list[float] = [0.0] * len(clip)
    for row, place in enumerate(clip.rows.tolist()):
        results[place] += _person(clip, row, f"p{row}")
        scores[place] = max(scores[place], float(clip.box_scores[row]))
    for place, frame in enumerate(clip.frames.tolist()):
        prediction = {"model_version": version, "score": scores[place], "result": results[place]}
        image = image_name(clip, name, frame)
        tasks.append({"data": {IMAGE_NAME: image}, "predictions": [prediction]})
    return tasks


def _person(clip: Clip, row: int, region: str) -> Iterator[dict[str, Any]]:
    """A rectangle and its keypoints, in percent of the image."""
    assert clip.size_wh is not None
    width, height = clip.size_wh
    shared = {
        "to_name": IMAGE_NAME,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
    }
    x1, y1, x2, y2 = clip.boxes[row].tolist()
    box = {
        "x": 100 * x1 / width,
        "y": 100 * y1 / height,
        "width": 100 * (x2 - x1) / width,
        "height": 100 * (y2 - y1) / height,
        "rotation": 0,
        "rectanglelabels": [LABEL],
    }
    yield {"id": region, "type": "rectanglelabels", "from_name": BOX_NAME, **shared, "value": box}
    points = zip(clip.skeleton.keypoints, clip.keypoints[row].tolist(), strict=True)
    for k, (name, (x, y)) in enumerate(points):
        if x != x:
            continue
        point = {
            "x": 100 * x / width,
            "y": 100 * y / height,
            "width": POINT_WIDTH,
            "keypointlabels": [name],
        }
        yield {
            "id": f"{region}-{k}",
            "type": "keypointlabels",
            "from_name": POINTS_NAME,
            "parentID": region,
            **shared,
            "value": point,
        }
