"""TRC, read back: ours, and those of Sports2D and others that lie in a plane."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.results.description import Description, SourceInfo
from rtmpose.results.rows import SourceRows, box_around, make_clips
from rtmpose.text_files import MAX_DATA_BYTES, read_text
from rtmpose.writers.clip import Clip
from rtmpose.writers.marker_names import marker_name
from rtmpose.writers.openpose_layouts import HALPE26

log = logging.getLogger(__name__)

HEAD = 5
PERSON = re.compile(r"_person(\d+)", re.IGNORECASE)
END = re.compile(r"_(px|m)$", re.IGNORECASE)
PIXEL_UNITS = {"px", "pixel", "pixels"}
MILLIMETERS = {"m": 1000.0, "meters": 1000.0, "cm": 10.0, "mm": 1.0, "millimeters": 1.0}
"""Of a unit, in lower case."""
FLAT = 1e-6
"""Largest distance of markers from one plane."""
POINTS = {marker_name(name): name for name in HALPE26} | {
    "CHip": "hip", "LSmallToe": "left_small_toe", "RSmallToe": "right_small_toe",
}  # fmt: skip
"""Names of Pose2Sim's markers to those of keypoints."""


@dataclass(frozen=True, eq=False)
class Track:
    """One file.

    Attributes:
        markers: Names as they are written.
        frames: Numbers, from 0.
        times: Seconds.
        places: ``(F, M, 3)`` float64 in the unit; NaN where missing.
        unit: In lower case.
        fps: Frames per second.
    """

    markers: tuple[str, ...]
    frames: list[int]
    times: list[float]
    places: NDArray[np.float64]
    unit: str
    fps: float


def trc_groups(files: Sequence[Path]) -> list[list[Path]]:
    """Files that belong to one clip together: a file holds one person."""
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(source_name(file), []).append(file)
    return list(groups.values())


def source_name(path: Path) -> str:
    """``walk_person01_px.trc`` is of the clip ``walk``."""
    return PERSON.sub("", END.sub("", path.stem)) or path.stem


def read_trc(path: Path) -> list[Clip]:
    """The clip of one file, which has one person."""
    return read_trc_files([path])


def read_trc_files(paths: Sequence[Path]) -> list[Clip]:
    """The clip of files of one person each. Pixels stay; of meters a millimeter is a pixel.

    Raises:
        InputError: one is damaged, has three dimensions, or other markers than the others.
    """
    source = source_name(paths[0])
    rows = SourceRows()
    description = Description()
    for place, path in enumerate(paths, 1):
        track = _parsed(path)
        keypoints = tuple(POINTS.get(marker, marker) for marker in track.markers)
        if description.keypoints and description.keypoints != keypoints:
            raise InputError(f"{path} has other markers than {paths[0]}; name one of them")
        description.keypoints = keypoints
        description.sources[source] = SourceInfo(fps=track.fps)
        match = PERSON.search(path.stem)
        _add(rows, track, int(match[1]) if match else place, path)
    return make_clips({source: rows}, description, len(description.keypoints), paths[0])


def _add(rows: SourceRows, track: Track, number: int, path: Path) -> None:
    points = np.ones_like(track.places)
    points[..., :2] = track.places[..., :2]
    if track.unit not in PIXEL_UNITS:
        scale = MILLIMETERS[track.unit]
        # Heights go up, rows of an image go down.
        points[..., :2] *= (scale, -scale)
        log.warning(
            "%s is in %s: a millimeter becomes a pixel, with y down; --meters-per-pixel 0.001"
            " --floor-y 0 makes meters again",
            path,
            track.unit,
        )
    people = points.astype(np.float32)
    for frame, time, person in zip(track.frames, track.times, people, strict=True):
        rows.seen[frame] = time
        if np.isfinite(person).all(axis=1).any():
            rows.add(frame, person, box_around(person), number=number)


def _parsed(path: Path) -> Track:
    lines = read_text(path, limit=MAX_DATA_BYTES).splitlines()
    try:
        if not lines[0].startswith("PathFileType"):
            raise InputError(f"{path} is no TRC file: it begins with {lines[0][:40]!r}")
        titles, numbers = (line.split("\t") for line in lines[1:3])
        said = {title.strip(): value.strip() for title, value in zip(titles, numbers, strict=False)}
        unit, fps = said["Units"].lower(), float(said["DataRate"])
        markers = tuple(name.strip() for name in lines[3].split("\t")[2:] if name.strip())
        frames, times, places = _table(lines[HEAD:], len(markers))
    except (IndexError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged: {error}") from error
    if unit not in PIXEL_UNITS | MILLIMETERS.keys():
        known = ", ".join(sorted(PIXEL_UNITS | MILLIMETERS.keys()))
        raise InputError(f"{path} has the unit {unit!r}; known are {known}")
    depths = places[..., 2][np.isfinite(places[..., 2])]
    if len(depths) and float(np.ptp(depths)) > FLAT:
        raise InputError(
            f"{path} has markers in three dimensions; results lie in an image, or in one plane"
        )
    if not fps > 0:
        raise InputError(f"{path} has a DataRate of {fps:g}")
    return Track(markers, frames, times, places, unit, fps)


def _table(lines: Sequence[str], count: int) -> tuple[list[int], list[float], NDArray[np.float64]]:
    """Frames, times and places of the rows; what is blank is missing."""
    frames: list[int] = []
    times: list[float] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines, HEAD + 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.rstrip("\r\n").split("\t")]
        values = [float(cell) if cell else float("nan") for cell in cells[2 : 2 + 3 * count]]
        if len(cells) < 2 or any(cells[2 + 3 * count :]):
            raise ValueError(f"line {number} has {len(cells) - 2} numbers for {count} markers")
        # Blanks at the end of a line are lost.
        values += [float("nan")] * (3 * count - len(values))
        frames.append(int(float(cells[0])) - 1)
        times.append(float(cells[1]))
        rows.append(values)
    if any(after <= before for before, after in pairwise(frames)):
        raise ValueError("the numbers of its frames do not rise")
    return frames, times, np.array(rows, np.float64).reshape(-1, count, 3)
