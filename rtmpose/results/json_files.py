"""COCO results and JSON lines, read back; COCO results of other programs too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError
from rtmpose.results.description import (
    description_from,
    description_next_to,
)
from rtmpose.results.rows import NO_ID, SourceRows, make_clips
from rtmpose.text_files import MAX_DATA_BYTES, parse_json, read_json, read_text
from rtmpose.types import FloatArray
from rtmpose.writers.clip import Clip
from rtmpose.writers.coco_json import WHOLE_BODY_PARTS

Entry = Mapping[str, Any]


def read_coco_json(path: Path) -> list[Clip]:
    """The clips of a list of COCO results.

    Raises:
        InputError: it is something else, or damaged.
    """
    entries = read_json(path, limit=MAX_DATA_BYTES)
    if isinstance(entries, Mapping) and "annotations" in entries:
        raise InputError(
            f"{path} holds annotations, not results: `rtmpose data` reads it; results are a list"
        )
    if isinstance(entries, Mapping) and "people" in entries:
        raise InputError(f"{path} is one frame of OpenPose's; name its folder")
    if not isinstance(entries, list):
        raise InputError(f"{path} is no list of COCO results, as --json writes it")

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


def read_json_lines(path: Path) -> list[Clip]:
    """The clips of a file with a line per frame.

    Raises:
        InputError: it is something else, or damaged.
    """
    lines = read_text(path, limit=MAX_DATA_BYTES).splitlines()
    if not lines:
        raise InputError(f"{path} is empty")
    first = parse_json(lines[0], f"line 1 of {path}")
    if not isinstance(first, Mapping) or "keypoints" not in first or "links" not in first:
        raise InputError(f"{path} does not begin with the line of keypoints that --jsonl writes")
    description = description_from(first, path)
    sources: dict[str, SourceRows] = {}
    count = len(description.keypoints)
    for number, text in enumerate(lines[1:], 2):
        if not text.strip():
            continue
        line = parse_json(text, f"line {number} of {path}")
        try:
            _add_line(sources, line, count)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"line {number} of {path} is damaged: {_word(error)}") from error
    return make_clips(sources, description, count, path)


def _add_line(sources: dict[str, SourceRows], line: Entry, count: int) -> None:
    rows = sources.setdefault(str(line["source"]), SourceRows(complete=True))
    frame = int(line["frame"])
    rows.seen[frame] = float(line["time_s"])
    if rows.size_wh is None and line.get("width"):
        rows.size_wh = (int(line["width"]), int(line["height"]))
    for person in line["people"]:
        _add_person(rows, frame, person, count)


def _add_entry(sources: dict[str, SourceRows], entry: Entry, count: int) -> None:
    # Other programs name the image only by its number.
    rows = sources.setdefault(str(entry.get("image", entry["image_id"])), SourceRows())
    frame = int(entry.get("frame", 0))
    rows.still = "frame" not in entry
    time = entry.get("time_s", 0.0 if rows.still else None)
    rows.seen[frame] = None if time is None else float(time)
    if rows.size_wh is None and entry.get("width"):
        rows.size_wh = (int(entry["width"]), int(entry["height"]))
    _add_person(rows, frame, entry, count)


def _add_person(rows: SourceRows, frame: int, person: Entry, count: int) -> None:
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
    known = points[np.isfinite(points).all(axis=1), :2]
    if not len(known):
        return (0.0, 0.0, 0.0, 0.0)
    return (*known.min(axis=0).tolist(), *known.max(axis=0).tolist())


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
    return f"entry {number} of {path} is damaged: {_word(error)}{expected}"


def _word(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
