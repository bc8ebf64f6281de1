"""A folder of OpenPose's JSON, one file per frame, read back: the points of the body."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError
from rtmpose.results.description import Description
from rtmpose.results.rows import NO_ID, SourceRows, box_around, make_clips
from rtmpose.results.track_arrays import say_no_rate
from rtmpose.skeletons import skeleton_for_count
from rtmpose.text_files import read_json
from rtmpose.types import FloatArray
from rtmpose.writers.clip import DEFAULT_FPS, Clip
from rtmpose.writers.openpose_layouts import BODY25, COCO18

NUMBER = re.compile(r"(\d+)(?=(_keypoints)?\.json$)")
"""The last number of a name is the frame."""
FRAME_BYTES = 16_000_000
"""A frame has less, even with a crowd in it."""
SUFFIXES = ("_openpose", "_json")
BODIES = {25: ("body25", BODY25), 18: ("coco18", COCO18)}


def is_openpose_folder(folder: Path) -> bool:
    """Whether a folder looks like what ``--openpose`` or OpenPose itself writes."""
    files = [path for path in folder.iterdir() if NUMBER.search(path.name)]
    return bool(files) and all(_is_frame(path) for path in files[:1])


def read_openpose_folder(folder: Path) -> list[Clip]:
    """The clip of a folder. The files tell no times: 30 frames per second are taken.

    Points at 0, 0 with score 0 are missing. Face and hands are left out.

    Raises:
        InputError: a file is something else, or damaged.
    """
    name = folder.name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    rows = SourceRows()
    count = 0
    for path in sorted(folder.iterdir()):
        match = NUMBER.search(path.name)
        if match is None:
            continue
        frame = int(match[1])
        rows.seen[frame] = frame / DEFAULT_FPS
        try:
            for person in read_json(path)["people"]:
                points = _points(person)
                count = count or len(points)
                _add(rows, frame, points, person, count)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path} is no frame of OpenPose's: {error}") from error
    if not count:
        raise InputError(f"the files of {folder} have nobody in them")
    say_no_rate(folder)
    return make_clips({name: rows}, _description(count), count, folder)


def _is_frame(path: Path) -> bool:
    # Results of other formats may be large, or no JSON at all.
    if not path.is_file() or path.stat().st_size > FRAME_BYTES:
        return False
    try:
        content = read_json(path)
    except InputError:
        return False
    return isinstance(content, dict) and "people" in content


def _points(person: dict[str, Any]) -> FloatArray:
    points = np.array(person["pose_keypoints_2d"], np.float32).reshape(-1, 3)
    points[(points == 0).all(axis=1)] = np.nan
    return points


def _add(
    rows: SourceRows, frame: int, points: FloatArray, person: dict[str, Any], count: int
) -> None:
    if len(points) != count:
        raise ValueError(f"it has {len(points)} points where others have {count}")
    numbers = person.get("person_id", [NO_ID])
    number = int(numbers[0]) if numbers else NO_ID
    rows.add(frame, points, box_around(points), number=number)


def _description(count: int) -> Description:
    if count in BODIES:
        name, keypoints = BODIES[count]
        return Description(name, keypoints)
    known = skeleton_for_count(count)
    return Description() if known is None else Description(known.name, known.keypoints)
