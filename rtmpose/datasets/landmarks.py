"""Faces as published: LaPa (.txt per image), WFLW (one list), 300-W (.pts per image)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets.annotation_files import parse_numbers, read_lines
from rtmpose.datasets.coco_content import Annotations, Instance, build_annotations
from rtmpose.datasets.image_size import image_size
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Skeleton

IMAGE_SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG")

WFLW_EXTRA_WORDS = 11
"""Words of a line of WFLW after the coordinates: 4 of the box, 6 attributes, the file name."""


def read_lapa(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read a LaPa split: a folder with ``images/`` and ``landmarks/`` (a count, then one x y per
    line).

    Args:
        data: The folder, or its ``landmarks/``.
        images: The folder of the images; None takes ``images/``.
        skeleton: The keypoints; None takes ``lapa106``.

    Raises:
        InputError: the folder holds no landmarks, or a file is damaged.
    """
    skeleton = skeleton or get_skeleton("lapa106")
    folder = data / "landmarks" if (data / "landmarks").is_dir() else data
    points = {}
    for file in _files(folder, ".txt"):
        points[file] = _parse_points(file, read_lines(file)[1:], len(skeleton), 1)
    return _faces(data, images or folder.parent / "images", skeleton, points)


def read_300w(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read a folder of iBUG ``.pts`` files next to images of the same names, in it or anywhere
    below.

    The points are Matlab pixels, counted from 1; they become 0-based.

    Args:
        data: The folder.
        images: The folder of the images; None takes that of the ``.pts`` files.
        skeleton: The keypoints; None takes ``300w68``.

    Raises:
        InputError: there are none, or one is damaged.
    """
    skeleton = skeleton or get_skeleton("300w68")
    points = {}
    for file in _files(data, ".pts"):
        lines = read_lines(file)
        if "{" not in lines or "}" not in lines:
            raise InputError(
                f"{file} is not a .pts file: the points should stand between {{ and }}"
            )
        # Between the braces there is one point per line, in Matlab pixels.
        start = lines.index("{") + 1
        rows = lines[start : lines.index("}")]
        points[file] = _parse_points(file, rows, len(skeleton), start) - 1
    return _faces(data, images or data, skeleton, points)


def read_wflw(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read a WFLW list: per face 196 coordinates, x1 y1 x2 y2 of the box, six attributes, the
    image.

    Args:
        data: The list, a text file.
        images: The folder of the images; None looks for ``WFLW_images`` and ``images`` around it.
        skeleton: The keypoints; None takes ``wflw98``.

    Raises:
        InputError: the file cannot be read, or a line holds something else.
    """
    skeleton = skeleton or get_skeleton("wflw98")
    coordinates = 2 * len(skeleton)
    folder = images or next((f for f in _wflw_folders(data) if f.is_dir()), data.parent)
    instances = []
    for line, text in enumerate(read_lines(data), 1):
        words = text.split()
        if len(words) != coordinates + WFLW_EXTRA_WORDS:
            raise InputError(
                f"{data}, line {line}: {len(words)} words, not"
                f" {coordinates + WFLW_EXTRA_WORDS} as in a WFLW list"
            )
        # The attributes (pose, blur, ...) are not needed.
        values = parse_numbers(words[: coordinates + 4], data, line)
        points = _with_labels(np.array(values[:coordinates]).reshape(-1, 2))
        x1, y1, x2, y2 = values[coordinates:]
        instances.append(Instance(words[-1], points, (x1, y1, x2 - x1, y2 - y1)))

    names = dict.fromkeys(instance.file_name for instance in instances)
    sizes = {name: size for name in names if (size := image_size(folder / name))}
    return build_annotations(data, folder, skeleton, instances, sizes, "face")


def _wflw_folders(path: Path) -> list[Path]:
    return [parent / name for parent in path.parents[:4] for name in ("WFLW_images", "images")]


def _files(folder: Path, suffix: str) -> list[Path]:
    files = sorted(folder.rglob(f"*{suffix}")) if folder.is_dir() else []
    if not files:
        raise InputError(f"{folder} holds no {suffix} files")
    return files


def _parse_points(
    path: Path, lines: list[str], keypoints: int, lines_before: int
) -> NDArray[np.float64]:
    """``(K, 2)`` from lines with x and y."""
    rows = []
    for line, text in enumerate(lines, lines_before + 1):
        rows.append(parse_numbers(text.split(), path, line))
    if len(rows) != keypoints or any(len(row) != 2 for row in rows):
        raise InputError(
            f"{path} should hold {keypoints} points of two numbers; it has {len(rows)} lines"
        )
    return np.array(rows)


def _with_labels(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(K, 3)``: all points are visible."""
    return np.hstack([points, np.full((len(points), 1), 2.0)])


def _faces(
    data: Path, folder: Path, skeleton: Skeleton, points: dict[Path, NDArray[np.float64]]
) -> Annotations:
    """One face per file; the image has the file's name, in ``folder`` or next to the file."""
    instances = []
    sizes = {}
    for file, rows in points.items():
        image = _image_of(file, folder)
        # Names are relative to the folder where that is possible.
        in_folder = image.is_relative_to(folder)
        name = image.relative_to(folder).as_posix() if in_folder else str(image)
        if size := image_size(image):
            sizes[name] = size
        instances.append(Instance(name, _with_labels(rows)))
    return build_annotations(data, folder, skeleton, instances, sizes, "face")


def _image_of(file: Path, folder: Path) -> Path:
    """The image of a file of points; where there is none, the path it should have."""
    for suffix in IMAGE_SUFFIXES:
        for base in (folder / file.name, file):
            if base.with_suffix(suffix).is_file():
                return base.with_suffix(suffix)
    return folder / f"{file.stem}.jpg"
