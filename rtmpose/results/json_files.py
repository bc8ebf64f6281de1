"""COCO results, read back; those of other programs too, and annotations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError
from rtmpose.results.coco_annotations import read_annotations
from rtmpose.results.description import description_next_to
from rtmpose.results.rows import NO_ID, SourceRows, box_around, make_clips
from rtmpose.text_files import MAX_DATA_BYTES, read_json
from rtmpose.types import FloatArray
from rtmpose.writers.clip import Clip
from rtmpose.writers.coco_json import WHOLE_BODY_PARTS

Entry = Mapping[str, Any]

SHOWN = 6
"""Names of a file that an error tells."""


def read_coco_json(path: Path) -> list[Clip]:
    """The clips of a list of COCO results.

    Raises:
        InputError: it is something else, or damaged.
    """
    entries = read_json(path, limit=MAX_DATA_BYTES)
    if isinstance(entries, Mapping) and "annotations" in entries:
        return read_annotations(entries, path)
    if isinstance(entries, Mapping) and "people" in entries:
        raise InputError(f"{path} is one frame of OpenPose's; name its folder")
    if not isinstance(entries, list):
        what = f"an object with {', '.join(map(repr, list(entries)[:SHOWN]))}" if entries else "{}"
        what = what if isinstance(entries, Mapping) else repr(entries)[:40]
        raise InputError(f"{path} is no list of COCO results, as --json writes it, but {what}")

    description = description_next_to(path)
    sources: dict[str, SourceRows] = {}
    count = len(description.keypoints)
    for number, entry in enumerate(entries):
        try:
            count = count or _count_of(entry)
            _add_entry(sources, entry, count)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(_entry_fault(path, number, error, count)) from error
        if not description.skeleton_name and entry.get("skeleton"):
            description.skeleton_name = str(entry["skeleton"])
    return make_clips(sources, description, count, path)


def _add_entry(sources: dict[str, SourceRows], entry: Entry, count: int) -> None:
    # Other programs name the image only by its number.
    rows = sources.setdefault(str(entry.get("image", entry["image_id"])), SourceRows())
    frame = int(entry.get("frame", 0))
    rows.still = "frame" not in entry
    time = entry.get("time_s", 0.0 if rows.still else None)
    rows.seen[frame] = None if time is None else float(time)
    if rows.size_wh is None and entry.get("width"):
        rows.size_wh = (int(entry["width"]), int(entry["height"]))
    add_person(rows, frame, entry, count)


def add_person(rows: SourceRows, frame: int, person: Entry, count: int) -> None:
    """Add a COCO result to the rows of its source.

    Raises:
        KeyError, TypeError, ValueError: it is none, or has other keypoints.
    """
    points = _points(person, count)
    score = float(person.get("box_score", person.get("score", 1)))
    rows.add(
        frame,
        points,
        _box(person, points),
        number=int(person.get("track_id", NO_ID)),
        box_score=score,
        filled=bool(person.get("filled", False)),
    )


def _points(person: Entry, count: int) -> FloatArray:
    """``(K, 3)``; of 133 points the parts are put together."""
    values = list(person["keypoints"])
    if len(values) < 3 * count and all(key in person for key in WHOLE_BODY_PARTS):
        values = [v for key in WHOLE_BODY_PARTS for v in person[key]]
    return np.array([np.nan if v is None else v for v in values], np.float32).reshape(count, 3)


def _box(person: Entry, points: FloatArray) -> tuple[float, ...]:
    """The box as xyxy; other programs leave it out, so it is put around the points."""
    if "bbox" in person:
        x, y, width, height = (float(v) for v in person["bbox"])
        return (x, y, x + width, y + height)
    return box_around(points)


def _count_of(entry: Entry) -> int:
    parts = all(key in entry for key in WHOLE_BODY_PARTS)
    keys = list(WHOLE_BODY_PARTS) if parts else ["keypoints"]
    values = sum(len(entry[key]) for key in keys)
    if not values or values % 3:
        raise ValueError(f"{values} numbers of keypoints are not x, y and score of each")
    return values // 3


def _entry_fault(path: Path, number: int, error: Exception, count: int) -> str:
    if isinstance(error, KeyError) and error.args[0] == "keypoints":
        return f"entry {number} of {path} has no keypoints; are these results of a detector?"
    expected = f" (there should be {count} keypoints)" if count else ""
    return f"entry {number} of {path} is damaged: {fault_word(error)}{expected}"


def fault_word(error: Exception) -> str:
    """What was wrong with an entry, in words."""
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
