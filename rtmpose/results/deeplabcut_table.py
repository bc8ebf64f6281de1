"""DeepLabCut's CSV of a video, read back: ours, and those of DeepLabCut itself."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtmpose.errors import InputError
from rtmpose.results.description import Description
from rtmpose.results.rows import SourceRows, box_around, make_clips
from rtmpose.results.track_arrays import numbers_of, say_no_rate
from rtmpose.writers.clip import Clip
from rtmpose.writers.deeplabcut import COORDINATES

LEVELS = ("scorer", "individuals", "bodyparts", "coords")
SCORER = re.compile(r"DLC_?[A-Za-z0-9].*$")
"""What DeepLabCut puts behind the name of a video."""


@dataclass(frozen=True)
class Columns:
    """Which column is what.

    Attributes:
        people: Number of each person.
        keypoints: Names of the body parts.
        places: Person and keypoint to the columns of x, y and likelihood, from 1; 0 is none.
    """

    people: tuple[int, ...]
    keypoints: tuple[str, ...]
    places: dict[tuple[int, str], tuple[int, int, int]]


def is_deeplabcut(text: str) -> bool:
    """Whether a table begins like one of DeepLabCut's."""
    return text[:50].lstrip("\ufeff").startswith("scorer,")


def read_deeplabcut(text: str, path: Path) -> list[Clip]:
    """The clip of a table; it tells no times: 30 frames per second are taken.

    Args:
        text: What the file holds.
        path: The file.

    Raises:
        InputError: it is a table of labeled images, or damaged.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline="")) if any(line)]
    except csv.Error as error:
        raise InputError(f"{path} is damaged: {error}") from error
    levels = [line for line in lines[: len(LEVELS)] if line[0].strip().lower() in LEVELS]
    columns = columns_of(levels, path)
    rows = SourceRows()
    for number, values in enumerate(lines[len(levels) :], len(levels) + 1):
        try:
            _add_frame(rows, values, columns)
        except (ValueError, IndexError) as error:
            if not values[0].strip().isdecimal():
                raise InputError(
                    f"line {number} of {path} begins with {values[0]!r}, not with the number of a"
                    " frame: a table of labeled images is read by `rtmpose data`"
                ) from error
            raise InputError(f"line {number} of {path} is damaged: {error}") from error
    say_no_rate(path)
    description = Description("", columns.keypoints)
    return make_clips({source_name(path): rows}, description, len(columns.keypoints), path)


def source_name(path: Path) -> str:
    """The name of a video, without what DeepLabCut puts behind it."""
    return SCORER.sub("", path.stem).rstrip("_") or path.stem


def columns_of(levels: Sequence[Sequence[str]], path: Path) -> Columns:
    """What the rows above the numbers say; each begins with its name.

    Raises:
        InputError: they are incomplete.
    """
    named = {line[0].strip().lower(): [cell.strip() for cell in line[1:]] for line in levels}
    parts, coordinates = named.get("bodyparts"), named.get("coords")
    if not parts or coordinates is None or len(parts) != len(coordinates):
        raise InputError(f"{path} is no whole table of DeepLabCut's: write it anew")
    names = named.get("individuals", [""] * len(parts))
    numbers = numbers_of(list(dict.fromkeys(names)))
    found: dict[tuple[int, str], dict[str, int]] = {}
    for column, (name, part, axis) in enumerate(zip(names, parts, coordinates, strict=True), 1):
        found.setdefault((numbers[name], part), {})[axis] = column
    for (_, part), axes in found.items():
        if not {"x", "y"} <= axes.keys():
            raise InputError(f"{path} has no x and y of {part}")
    places = {
        key: (axes["x"], axes["y"], axes.get(COORDINATES[2], 0)) for key, axes in found.items()
    }
    return Columns(tuple(numbers.values()), tuple(dict.fromkeys(parts)), places)


def _add_frame(rows: SourceRows, values: Sequence[str], columns: Columns) -> None:
    frame = int(values[0])
    rows.seen[frame] = None
    for number in columns.people:
        points = np.full((len(columns.keypoints), 3), np.nan, np.float32)
        for k, name in enumerate(columns.keypoints):
            place = columns.places.get((number, name))
            if place is None:
                continue
            x, y, likelihood = (values[column] if column else "1" for column in place)
            if x and y:
                points[k] = float(x), float(y), float(likelihood or 1)
        if np.isfinite(points).all(axis=1).any():
            rows.add(frame, points, box_around(points), number=number)
