"""YOLO-pose text labels: a line per instance with class, box and keypoints in shares of the
picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.datasets.coco_content import (
    Annotations,
    Instance,
    assemble,
    category_of,
    image_size,
    numbers,
    skeleton_from_category,
    text_lines,
)
from rtmpose.datasets.imagenet import SUFFIXES
from rtmpose.errors import InputError
from rtmpose.skeletons import skeleton_for_count
from rtmpose.types import Skeleton


def read_yolo(
    data: Path, images: Path | None, skeleton: Skeleton | None = None, split: str = ""
) -> Annotations:
    """Read YOLO-pose labels.

    Args:
        data: ``data.yaml`` (its ``path``, ``train``/``val``, ``kpt_shape``, ``flip_idx``, ``names``
            are used), or a folder with ``labels/`` beside ``images/``, or a folder of labels
            itself.
        images: The folder of the pictures; None takes that of the labels with ``labels`` replaced
            by ``images``.
        skeleton: The keypoints; None takes the published set with so many points.
        split: ``train``, ``val`` or ``test``; empty takes everything below a folder, and ``train``
            of a ``data.yaml``.

    Raises:
        InputError: there are no labels or pictures, a line has the wrong number of values, or the
            number of keypoints is unclear.
    """
    settings: dict[str, Any] = {}
    folder = data
    if data.suffix in (".yaml", ".yml"):
        settings = read_simple_yaml(data)
        root = Path(str(settings.get("path", ".")))
        root = root if root.is_absolute() and root.is_dir() else data.parent / root
        root = root if root.is_dir() else data.parent
        images = images or root / str(settings.get(split or "train", "images"))
        folder = (
            Path(str(images).replace("/images", "/labels")) if "/images" in str(images) else images
        )
    labels = folder / "labels" if (folder / "labels").is_dir() else folder
    labels = labels / split if split and (labels / split).is_dir() else labels
    pictures = images or Path(*("images" if p == "labels" else p for p in labels.parts))
    found = _pictures(pictures)
    shape = settings.get("kpt_shape") or []
    lines = {name: _lines(labels / f"{Path(name).with_suffix('.txt')}") for name in found}
    k, width = _shape(lines, shape, skeleton, labels)
    skeleton = skeleton or skeleton_for_count(k) or skeleton_from_category({}, k)
    sizes = {name: size for name in found if (size := image_size(pictures / name))}
    instances = [
        instance
        for name, rows in lines.items()
        if name in sizes
        for instance in _instances(name, rows, sizes[name], k, width, labels)
    ]
    result = assemble(data, pictures, skeleton, instances, {n: sizes.get(n, (0, 0)) for n in found})
    classes = settings.get("names")
    if isinstance(classes, dict):
        classes = [classes[key] for key in sorted(classes, key=int)]
    if classes or any(a["category_id"] != 1 for a in result.content["annotations"]):
        count = max(
            [len(classes or ()), *(a["category_id"] for a in result.content["annotations"])]
        )
        names = [*(classes or ()), *(f"class {i}" for i in range(len(classes or ()), count))]
        categories = [category_of(skeleton, str(n), i) for i, n in enumerate(names, 1)]
        result = Annotations(data, {**result.content, "categories": categories}, pictures, skeleton)
    return result


def _pictures(folder: Path) -> list[str]:
    found = (
        sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if folder.is_dir()
        else []
    )
    if not found:
        raise InputError(f"{folder} holds no pictures; name their folder with --images")
    return [p.relative_to(folder).as_posix() for p in found]


def _lines(path: Path) -> list[list[float]]:
    """Values of the lines of a label file; a picture without one has nothing in it."""
    if not path.is_file():
        return []
    return [numbers(text.split(), path, i) for i, text in enumerate(text_lines(path), 1)]


def _shape(
    lines: dict[str, list[list[float]]], shape: Any, skeleton: Skeleton | None, labels: Path
) -> tuple[int, int]:
    """Number of keypoints, and of values for each: 2 or 3."""
    if shape:
        return int(shape[0]), int(shape[1])
    counts = {len(row) - 5 for rows in lines.values() for row in rows}
    if not counts:
        raise InputError(f"there is no label with anything in it in {labels}")
    if len(counts) > 1:
        raise InputError(
            f"labels in {labels} differ in length: {sorted(c + 5 for c in counts)} values per line"
        )
    count = counts.pop()
    fits = [(count // w, w) for w in (3, 2) if count > 0 and count % w == 0]
    if skeleton is not None:
        fits = [f for f in fits if f[0] == len(skeleton)]
    # Where both fit, v of the triples tells: it is 0, 1 or 2 throughout.
    for k, width in fits:
        if width == 2 or all(
            v in (0, 1, 2) for rows in lines.values() for row in rows for v in row[7::3]
        ):
            return k, width
    raise InputError(
        f"labels in {labels} have {count} keypoint values per line, which is no set of points; "
        "give --skeleton, or kpt_shape in data.yaml"
    )


def _instances(
    name: str, rows: Iterable[list[float]], size: tuple[int, int], k: int, width: int, labels: Path
) -> Iterable[Instance]:
    w, h = size
    for line, row in enumerate(rows, 1):
        if len(row) != 5 + k * width:
            raise InputError(
                f"{labels / name}: label line {line} has {len(row)} values, not {5 + k * width}"
            )
        cx, cy, bw, bh = row[1] * w, row[2] * h, row[3] * w, row[4] * h
        values = np.array(row[5:]).reshape(k, width)
        points = np.zeros((k, 3))
        points[:, :2] = values[:, :2] * (w, h)
        # Without v, a point at the very corner is one without a label.
        points[:, 2] = values[:, 2] if width == 3 else 2 * (values[:, :2] != 0).any(axis=1)
        points[points[:, 2] == 0] = 0
        yield Instance(
            name, points, (cx - bw / 2, cy - bh / 2, bw, bh), {"category_id": int(row[0]) + 1}
        )


def read_simple_yaml(path: Path) -> dict[str, Any]:
    """The top-level keys of a plain YAML file such as ``data.yaml``: scalars, lists and one level
    of mapping.

    Raises:
        InputError: it cannot be read.
    """
    table: dict[str, Any] = {}
    key = ""
    for line in text_lines_indented(path):
        text = line.strip()
        if text.startswith("- "):
            if not isinstance(table.get(key), list):
                table[key] = []
            table[key].append(_scalar(text[2:]))
        elif ":" in text:
            name, _, value = text.partition(":")
            if line[0] in " \t" and key:
                if not isinstance(table.get(key), dict):
                    table[key] = {}
                table[key][name.strip().strip("'\"")] = _scalar(value)
            else:
                key = name.strip().strip("'\"")
                table[key] = _scalar(value)
    return table


def text_lines_indented(path: Path) -> list[str]:
    """Lines of a YAML file without comments, indentation kept."""
    text_lines(path)
    lines = (line.split(" #")[0].rstrip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.lstrip().startswith("#")]


def _scalar(text: str) -> Any:
    text = text.strip()
    if text.startswith(("[", "{")):
        try:
            return json.loads(text.replace("'", '"'))
        except ValueError:
            return [_scalar(part) for part in text.strip("[]{}").split(",")]
    plain = text.strip("'\"")
    try:
        return int(plain)
    except ValueError:
        return plain
