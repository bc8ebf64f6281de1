"""COCO annotations, read as results: what people labeled or corrected, here or elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from rtmpose.errors import InputError
from rtmpose.results.description import Description
from rtmpose.results.rows import NO_ID, SourceRows, box_around, make_clips
from rtmpose.types import FloatArray
from rtmpose.writers.clip import Clip

Entry = Mapping[str, Any]

NUMBERED = re.compile(r"(\d+)\.\w+$")
"""Images of a video are called after their frame."""
FLAGS = {0.0, 1.0, 2.0}
"""COCO's visibility: not labeled, hidden, visible. Other numbers are scores."""


def read_annotations(content: Entry, path: Path) -> list[Clip]:
    """A photo for each image; images of a folder with track ids are the frames of a video.

    Args:
        content: What the file holds.
        path: The file, for errors.

    Raises:
        InputError: it has no keypoints, or is damaged.
    """
    try:
        images = {image["id"]: image for image in content["images"]}
        description = _description(content)
        people = [p for p in content["annotations"] if p.get("keypoints") and not p.get("iscrowd")]
        if not description.keypoints and not people:
            raise InputError(f"{path} has annotations without keypoints; results need them")
        count = len(description.keypoints) or len(people[0]["keypoints"]) // 3
        follows = bool(people) and all("track_id" in person for person in people)
        rows: dict[str, SourceRows] = {}
        for image in images.values():
            _add_image(rows, image, follows=follows)
        for person in people:
            source, frame = _place(images[person["image_id"]], follows=follows)
            _add_person(rows[source], frame, person, count)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise InputError(f"{path} is no whole file of COCO annotations: {what}") from error
    return make_clips(rows, description, count, path)


def _description(content: Entry) -> Description:
    """The keypoints of the only category that has some.

    Raises:
        ValueError: several have others.
    """
    with_points = [c for c in content.get("categories", ()) if c.get("keypoints")]
    sets = {tuple(map(str, category["keypoints"])) for category in with_points}
    if len(sets) > 1:
        raise ValueError("its categories have different keypoints, and results have one set")
    if not sets:
        return Description()
    # Links count from 1 there.
    links: tuple[tuple[int, int], ...] = tuple(
        (int(a) - 1, int(b) - 1) for a, b in with_points[0].get("skeleton") or ()
    )
    (keypoints,) = sets
    if any(not 0 <= end < len(keypoints) for link in links for end in link):
        links = ()
    return Description("", keypoints, links)


def _place(image: Entry, *, follows: bool) -> tuple[str, int]:
    """Source and frame of an image."""
    name = str(image["file_name"])
    match = NUMBERED.search(name)
    if not follows or match is None:
        return name, 0
    parent = str(PurePosixPath(name.replace("\\", "/")).parent)
    return ("video" if parent == "." else parent), int(match[1])


def _add_image(rows: dict[str, SourceRows], image: Entry, *, follows: bool) -> None:
    source, frame = _place(image, follows=follows)
    own = rows.setdefault(source, SourceRows(still=not follows))
    own.seen[frame] = None if follows else 0.0
    if own.size_wh is None and image.get("width") and image.get("height"):
        own.size_wh = (int(image["width"]), int(image["height"]))


def _add_person(rows: SourceRows, frame: int, person: Entry, count: int) -> None:
    points = _points(person["keypoints"], count)
    box = box_around(points)
    if person.get("bbox"):
        x, y, width, height = (float(value) for value in person["bbox"])
        box = (x, y, x + width, y + height)
    number = int(person.get("track_id", NO_ID))
    rows.add(frame, points, box, number=number, box_score=float(person.get("score", 1)))


def _points(values: Any, count: int) -> FloatArray:
    """``(K, 3)``: flags become scores, 0 for points that are not there."""
    points = np.array(values, np.float32).reshape(count, 3)
    flags = points[:, 2]
    if set(flags.tolist()) <= FLAGS:
        points[:, 2] = np.minimum(flags, 1)
    points[flags <= 0] = np.nan
    return points
