"""Faces as their publishers give them out: LaPa (.txt per picture), WFLW (one list), 300-W (.pts
per picture).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets.coco_content import (
    Annotations,
    Instance,
    assemble,
    image_size,
    numbers,
    text_lines,
)
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Skeleton

PICTURES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG")


def read_lapa(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read a LaPa split: a folder with ``images/`` and ``landmarks/`` (a count, then one x y per
    line).

    Raises:
        InputError: the folder holds no landmarks, or a file is damaged.
    """
    skeleton = skeleton or get_skeleton("lapa106")
    folder = data / "landmarks" if (data / "landmarks").is_dir() else data
    pictures = images or folder.parent / "images"
    files = _files(folder, ".txt")
    points = {f: _rows(f, text_lines(f)[1:], len(skeleton), 1) for f in files}
    return _faces(data, pictures, skeleton, points)


def read_300w(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read a folder of iBUG ``.pts`` files beside pictures of the same names, in it or anywhere
    below.

    The points are Matlab pixels, counted from 1; they become 0-based.

    Raises:
        InputError: there are none, or one is damaged.
    """
    skeleton = skeleton or get_skeleton("300w68")
    points = {}
    for file in _files(data, ".pts"):
        lines = text_lines(file)
        if "{" not in lines or "}" not in lines:
            raise InputError(
                f"{file} is not a .pts file: the points should stand between {{ and }}"
            )
        start = lines.index("{") + 1
        points[file] = _rows(file, lines[start : lines.index("}")], len(skeleton), start) - 1
    return _faces(data, images or data, skeleton, points)


def read_wflw(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read a WFLW list: per face 196 coordinates, x1 y1 x2 y2 of the box, six attributes, the
    picture.

    Raises:
        InputError: the file cannot be read, or a line holds something else.
    """
    skeleton = skeleton or get_skeleton("wflw98")
    k = 2 * len(skeleton)
    folder = images or next((f for f in _wflw_folders(data) if f.is_dir()), data.parent)
    instances = []
    for line, text in enumerate(text_lines(data), 1):
        words = text.split()
        if len(words) != k + 11:
            raise InputError(
                f"{data}, line {line}: {len(words)} words, not {k + 11} as in a WFLW list"
            )
        values = numbers(words[: k + 4], data, line)
        points = _labeled(np.array(values[:k]).reshape(-1, 2))
        x1, y1, x2, y2 = values[k:]
        instances.append(Instance(words[-1], points, (x1, y1, x2 - x1, y2 - y1)))
    names = dict.fromkeys(i.file_name for i in instances)
    sizes = {name: size for name in names if (size := image_size(folder / name))}
    return assemble(data, folder, skeleton, instances, sizes, "face")


def _wflw_folders(path: Path) -> list[Path]:
    return [p / name for p in path.parents[:4] for name in ("WFLW_images", "images")]


def _files(folder: Path, suffix: str) -> list[Path]:
    files = sorted(folder.rglob(f"*{suffix}")) if folder.is_dir() else []
    if not files:
        raise InputError(f"{folder} holds no {suffix} files")
    return files


def _rows(path: Path, lines: list[str], k: int, skipped: int) -> NDArray[np.float64]:
    rows = [numbers(line.split(), path, skipped + i) for i, line in enumerate(lines, 1)]
    if len(rows) != k or any(len(r) != 2 for r in rows):
        raise InputError(f"{path} should hold {k} points of two numbers; it has {len(rows)} lines")
    return np.array(rows)


def _labeled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hstack([points, np.full((len(points), 1), 2.0)])


def _faces(
    data: Path, folder: Path, skeleton: Skeleton, points: dict[Path, NDArray[np.float64]]
) -> Annotations:
    """One face per file; the picture has the file's name, in ``folder`` or beside the file."""
    instances = []
    sizes = {}
    for file, rows in points.items():
        beside = [p.with_suffix(s) for s in PICTURES for p in (folder / file.name, file)]
        picture = next((p for p in beside if p.is_file()), folder / f"{file.stem}.jpg")
        name = (
            picture.relative_to(folder).as_posix()
            if picture.is_relative_to(folder)
            else str(picture)
        )
        if size := image_size(picture):
            sizes[name] = size
        instances.append(Instance(name, _labeled(rows)))
    return assemble(data, folder, skeleton, instances, sizes, "face")
