"""YOLO-pose text labels: a line per instance with class, box and keypoints, all relative to the
size of the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtmpose.datasets.annotation_files import parse_numbers, read_lines
from rtmpose.datasets.category_skeletons import category_of, skeleton_from_category
from rtmpose.datasets.coco_content import Annotations, Instance, build_annotations
from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.datasets.image_size import image_size
from rtmpose.datasets.imagenet import IMAGE_SUFFIXES
from rtmpose.datasets.simple_yaml import read_simple_yaml
from rtmpose.errors import InputError
from rtmpose.skeletons import skeleton_for_count
from rtmpose.types import Skeleton

BOX_VALUES = 5
"""Values of a line before the keypoints: class, center x, center y, width, height."""

LabelLines = Mapping[str, Sequence[Sequence[float]]]
"""Image name to the values of each line of its label file."""


@dataclass(frozen=True)
class _Layout:
    """Where the files are, and what ``data.yaml`` says of them."""

    labels: Path
    images: Path
    settings: JsonObject


def read_yolo(
    data: Path, images: Path | None, skeleton: Skeleton | None = None, split: str = ""
) -> Annotations:
    """Read YOLO-pose labels.

    Args:
        data: ``data.yaml`` (its ``path``, ``train``/``val``, ``kpt_shape`` and ``names`` are used),
            or a folder with ``labels/`` next to ``images/``, or a folder of labels itself.
        images: The folder of the images; None takes that of the labels with ``labels`` replaced by
            ``images``.
        skeleton: The keypoints; None takes the published set with that number of points.
        split: ``train``, ``val`` or ``test``; empty takes everything below a folder, and ``train``
            of a ``data.yaml``.

    Raises:
        InputError: there are no labels or images, a line has the wrong number of values, or the
            number of keypoints is unclear.
    """
    # Labels belong to images: an image without a label file is background.
    layout = _layout(data, images, split)
    image_names = _image_names(layout.images)
    lines = {name: _read_labels(layout.labels / _label_name(name)) for name in image_names}

    # What the keypoints are.
    shape = layout.settings.get("kpt_shape") or []
    keypoints, values = _keypoint_shape(lines, shape, skeleton, layout.labels)
    skeleton = skeleton or skeleton_for_count(keypoints)
    if skeleton is None:
        skeleton = skeleton_from_category({}, keypoints)

    # Labels are relative to the size of the image: those of unreadable images are left out.
    sizes = {name: image_size(layout.images / name) for name in image_names}
    instances: list[Instance] = []
    for name, rows in lines.items():
        size = sizes[name]
        if size is not None:
            instances += _instances(name, rows, size, (keypoints, values), layout.labels)

    known_sizes = {name: size or (0, 0) for name, size in sizes.items()}
    result = build_annotations(data, layout.images, skeleton, instances, known_sizes)
    return _with_categories(result, layout.settings.get("names"), skeleton)


def _layout(data: Path, images: Path | None, split: str) -> _Layout:
    """The folders of labels and images."""
    settings: JsonObject = {}
    folder = data
    if data.suffix in (".yaml", ".yml"):
        settings = read_simple_yaml(data)
        root = _root(data, str(settings.get("path", ".")))
        images = images or root / str(settings.get(split or "train", "images"))
        folder = Path(str(images).replace("/images", "/labels"))

    # Labels and images lie in folders side by side that differ in one word.
    labels = folder / "labels" if (folder / "labels").is_dir() else folder
    if split and (labels / split).is_dir():
        labels = labels / split
    if images is None:
        images = Path(*("images" if part == "labels" else part for part in labels.parts))
    return _Layout(labels, images, settings)


def _root(data: Path, path: str) -> Path:
    """The folder that the paths in ``data.yaml`` start from; its own where there is no other."""
    root = Path(path)
    if not (root.is_absolute() and root.is_dir()):
        root = data.parent / root
    return root if root.is_dir() else data.parent


def _image_names(folder: Path) -> list[str]:
    """Paths of the images below a folder, relative to it."""
    images: list[Path] = []
    if folder.is_dir():
        images = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise InputError(f"{folder} holds no images; name their folder with --images")
    return [image.relative_to(folder).as_posix() for image in images]


def _label_name(image_name: str) -> Path:
    return Path(image_name).with_suffix(".txt")


def _read_labels(path: Path) -> list[list[float]]:
    """Values of the lines of a label file; an image without one has nothing in it."""
    if not path.is_file():
        return []
    lines = enumerate(read_lines(path), 1)
    return [parse_numbers(text.split(), path, line) for line, text in lines]


def _keypoint_shape(
    lines: LabelLines, shape: Json, skeleton: Skeleton | None, labels: Path
) -> tuple[int, int]:
    """Number of keypoints, and number of values of each: 2 (x, y) or 3 (x, y, v).

    Args:
        lines: All labels.
        shape: ``kpt_shape`` of ``data.yaml``; empty where it does not say.
        skeleton: The keypoints, if they were given.
        labels: The folder, for errors.
    """
    if shape:
        return int(shape[0]), int(shape[1])

    # Without kpt_shape the length of the lines must say it, and all must agree.
    lengths = {len(row) for rows in lines.values() for row in rows}
    if not lengths:
        raise InputError(f"there is no label with anything in it in {labels}")
    if len(lengths) > 1:
        raise InputError(f"labels in {labels} differ in length: {sorted(lengths)} values per line")

    count = lengths.pop() - BOX_VALUES
    candidates = [(count // n, n) for n in (3, 2) if count > 0 and count % n == 0]
    if skeleton is not None:
        candidates = [c for c in candidates if c[0] == len(skeleton)]
    # Where both fit, v of the triples tells: it is 0, 1 or 2 throughout.
    for keypoints, values in candidates:
        if values == 2 or _are_triples(lines):
            return keypoints, values
    raise InputError(
        f"labels in {labels} have {count} keypoint values per line, which is no set of points; "
        "give --skeleton, or kpt_shape in data.yaml"
    )


def _are_triples(lines: LabelLines) -> bool:
    """Whether every third keypoint value can be a visibility."""
    first_v = BOX_VALUES + 2
    return all(v in (0, 1, 2) for rows in lines.values() for row in rows for v in row[first_v::3])


def _instances(
    name: str,
    rows: Sequence[Sequence[float]],
    size_wh: tuple[int, int],
    shape: tuple[int, int],
    labels: Path,
) -> Iterator[Instance]:
    """The instances of one image, in pixels."""
    width, height = size_wh
    keypoints, values = shape
    for line, row in enumerate(rows, 1):
        if len(row) != BOX_VALUES + keypoints * values:
            raise InputError(
                f"{labels / name}: label line {line} has {len(row)} values, not"
                f" {BOX_VALUES + keypoints * values}"
            )
        # Box from its center, in pixels.
        class_index = int(row[0])
        box_width = row[3] * width
        box_height = row[4] * height
        left = row[1] * width - box_width / 2
        top = row[2] * height - box_height / 2

        # Keypoints in pixels.
        table = np.array(row[BOX_VALUES:]).reshape(keypoints, values)
        points = np.zeros((keypoints, 3))
        points[:, :2] = table[:, :2] * (width, height)
        if values == 3:
            points[:, 2] = table[:, 2]
        else:
            # Without v, a point at the very corner is one without a label.
            points[:, 2] = 2 * (table[:, :2] != 0).any(axis=1)
        points[points[:, 2] == 0] = 0
        box = (left, top, box_width, box_height)
        yield Instance(name, points, box, {"category_id": class_index + 1})


def _with_categories(annotations: Annotations, names: Json, skeleton: Skeleton) -> Annotations:
    """With one category per class, where ``data.yaml`` names classes or labels have several."""
    if isinstance(names, dict):  # by class number, in any order
        names = [names[key] for key in sorted(names, key=int)]
    names = list(names or ())
    used = [a["category_id"] for a in annotations.content["annotations"]]
    if not names and set(used) <= {1}:
        return annotations
    # Labels may use more classes than are named.
    count = max([len(names), *used])
    names += [f"class {i}" for i in range(len(names), count)]
    categories = [category_of(skeleton, str(name), i) for i, name in enumerate(names, 1)]
    content = {**annotations.content, "categories": categories}
    return Annotations(annotations.path, content, annotations.images, skeleton)
