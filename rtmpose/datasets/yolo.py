"""YOLO-pose text labels: a line per instance with class, box and keypoints, all relative to the
size of the image.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtmpose.datasets.category_skeletons import (
    category_of,
    skeleton_from_category,
    skeleton_with_keypoints,
)
from rtmpose.datasets.coco_content import Annotations, Instance, build_annotations
from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.datasets.image_size import image_size
from rtmpose.datasets.keypoint_guess import guess_and_tell, mirror_is_known, set_with_names
from rtmpose.datasets.yolo_labels import (
    BOX_VALUES,
    MAX_CLASSES,
    LabelFaults,
    LabelLine,
    PointShape,
    point_shape,
    read_labels,
    usable_lines,
)
from rtmpose.datasets.yolo_layout import Splits, find_yolo
from rtmpose.errors import InputError
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)


def read_yolo(
    data: Path, images: Path | None, skeleton: Skeleton | None = None, split: Splits = ""
) -> Annotations:
    """Read YOLO-pose labels.

    Lines that do not fit are in ``faults`` of the result. Labels of images that cannot be read
    are left out, as their size is not known.

    Args:
        data: ``data.yaml`` (its ``path``, splits, ``kpt_shape``, ``kpt_names``, ``flip_idx`` and
            ``names`` are used), or a folder with ``labels/`` next to ``images/``, or a folder of
            labels itself.
        images: The folder of the images; None takes that of the labels with ``labels`` replaced by
            ``images``.
        skeleton: The keypoints; None takes what ``data.yaml`` says.
        split: ``train``, ``val`` or ``test``, or several of which the first that is there counts;
            empty takes everything below a folder, and ``train`` of a ``data.yaml``.

    Raises:
        InputError: there are no labels or images, or the number of keypoints is unclear.
    """
    # Labels belong to images: an image without a label file is background.
    files = find_yolo(data, images, split)
    faults = LabelFaults()
    lines = read_labels(files.labels, faults)

    # What the keypoints are.
    shape = point_shape(lines, files.settings.get("kpt_shape"), skeleton, files.where)
    lines = usable_lines(lines, shape, faults)
    classes = _class_names(files.settings.get("names"), lines)
    flip = _flip_indices(files.settings.get("flip_idx"), shape.keypoints, data)
    if skeleton is None:
        names = _keypoint_names(files.settings.get("kpt_names"), shape.keypoints, data)
        skeleton = _skeleton(data, shape.keypoints, names, flip, _used(classes, lines))
    elif len(skeleton) != shape.keypoints:
        raise InputError(
            f"{files.where} has {shape.keypoints} keypoints, the keypoint set {skeleton.name} has"
            f" {len(skeleton)}"
        )

    # Labels are relative to the size of the image.
    sizes = {name: image_size(files.root / name) for name in files.labels}
    instances = list(_instances(lines, sizes, shape))
    known_sizes = {name: size or (0, 0) for name, size in sizes.items()}
    result = build_annotations(data, files.root, skeleton, instances, known_sizes)
    result = replace(result, faults=tuple(faults.found))
    return _with_categories(result, classes, skeleton, flip)


# ---- what data.yaml says


def _class_names(names: Json, lines: Sequence[LabelLine]) -> list[str]:
    """Names of the classes by number: a list, or a mapping from the number.

    Classes without a name are called by their number.
    """
    table: dict[int, str] = {}
    if isinstance(names, Mapping):
        numbered = {int(key): str(name) for key, name in names.items() if str(key).isdecimal()}
        table = {number: name for number, name in numbered.items() if number < MAX_CLASSES}
    elif isinstance(names, list):
        table = dict(enumerate(map(str, names)))
    elif names not in (None, ""):
        table = {0: str(names)}
    used = [int(line.values[0]) for line in lines]
    count = 1 + max([-1, *table, *used])
    return [table.get(i, f"class {i}") for i in range(count)]


def _used(classes: Sequence[str], lines: Sequence[LabelLine]) -> list[str]:
    """Names of the classes that have keypoints."""
    numbers = sorted({int(line.values[0]) for line in lines if len(line.values) > BOX_VALUES})
    return [classes[number] for number in numbers]


def _keypoint_names(value: Json, keypoints: int, data: Path) -> tuple[str, ...]:
    """``kpt_names``: a list, or a list per class; empty without it.

    Raises:
        InputError: it names another number of points, or one twice.
    """
    per_class = isinstance(value, list) and any(isinstance(names, list) for names in value)
    if isinstance(value, Mapping):
        value = list(value.values())
    elif not per_class:
        value = [value]
    lists = [names for names in value if isinstance(names, list) and names]
    if not lists:
        return ()
    names = tuple(map(str, lists[0]))
    if len(names) != keypoints or len(set(names)) != len(names):
        raise InputError(
            f"kpt_names of {data} has {len(set(names))} different names; kpt_shape or the labels"
            f" have {keypoints} keypoints"
        )
    if any(tuple(map(str, other)) != names for other in lists[1:]):
        log.warning("%s: kpt_names differ between classes; those of the first are used", data)
    return names


def _flip_indices(value: Json, keypoints: int, data: Path) -> tuple[int, ...] | None:
    """``flip_idx``: index of each point's mirror image; None without it.

    Raises:
        InputError: it is no list of this many indices that pair up.
    """
    if value in (None, "", []):
        return None
    indices = value if isinstance(value, list) else []
    is_complete = sorted(map(str, indices)) == sorted(map(str, range(keypoints)))
    if is_complete and all(indices[indices[i]] == i for i in range(keypoints)):
        return tuple(indices)
    raise InputError(
        f"flip_idx of {data} should be the {keypoints} indices from 0 in the order of the mirrored"
        f" image, each pair exchanged both ways, not {value}"
    )


def _skeleton(
    data: Path,
    keypoints: int,
    names: tuple[str, ...],
    flip: tuple[int, ...] | None,
    classes: Sequence[str],
) -> Skeleton:
    """The keypoint set by names and mirror images, else what they are taken for."""
    if names:
        known = skeleton_with_keypoints(names) or set_with_names(names)
        category: JsonObject = {"name": "-".join(classes) or "points", "keypoints": list(names)}
        skeleton = known or skeleton_from_category({**category, "flip_idx": flip}, keypoints)
    else:
        skeleton = guess_and_tell(data, keypoints, classes, flip)
        if flip is not None:
            skeleton = replace(skeleton, flip_indices=flip)

    # Where names have sides and flip_idx says something else, one of them is wrong.
    if flip is not None and flip != skeleton.flip_indices:
        moved = next(i for i in range(keypoints) if flip[i] != skeleton.flip_indices[i])
        partner = skeleton.keypoints[skeleton.flip_indices[moved]]
        text = (
            f"flip_idx of {data} mirrors {skeleton.keypoints[moved]} to"
            f" {skeleton.keypoints[flip[moved]]}, but by its name it becomes {partner}"
        )
        if any(i != j for i, j in enumerate(flip)):
            raise InputError(f"{text}; correct flip_idx or kpt_names")
        log.warning("%s; the names are believed", text)
    elif not mirror_is_known(skeleton, {"categories": [{"flip_idx": flip}]}):
        log.warning(
            "%s has no flip_idx and no kpt_names with left and right: trainings do not mirror its"
            " images",
            data,
        )
    return skeleton


# ---- instances


def _instances(
    lines: Sequence[LabelLine], sizes: Mapping[str, tuple[int, int] | None], shape: PointShape
) -> Iterator[Instance]:
    """The instances in pixels; those of images without a size are left out."""
    for line in lines:
        size = sizes[line.image]
        if size is None:
            continue
        # Box from its center, in pixels.
        width, height = size
        row = line.values
        box_width = row[3] * width
        box_height = row[4] * height
        left = row[1] * width - box_width / 2
        top = row[2] * height - box_height / 2

        # Keypoints in pixels; a line with a box only has none.
        points = np.zeros((shape.keypoints, 3))
        if len(row) > BOX_VALUES:
            table = np.array(row[BOX_VALUES:]).reshape(shape.keypoints, shape.values)
            points[:, :2] = table[:, :2] * (width, height)
            if shape.values == 3:
                points[:, 2] = table[:, 2]
            else:
                # Without v, a point at the very corner is one without a label.
                points[:, 2] = 2 * (table[:, :2] != 0).any(axis=1)
        points[points[:, 2] <= 0] = 0
        box = (left, top, box_width, box_height)
        yield Instance(line.image, points, box, {"category_id": int(row[0]) + 1})


def _with_categories(
    annotations: Annotations,
    classes: Sequence[str],
    skeleton: Skeleton,
    flip: tuple[int, ...] | None,
) -> Annotations:
    """With one category per class, and ``flip_idx`` where the data says it."""
    names = list(classes)
    if names == ["class 0"]:  # one class without a name
        names = ["person"]
    told: JsonObject = {"flip_idx": list(flip)} if flip is not None else {}
    categories: list[JsonObject] = []
    for number, name in enumerate(names or ["person"], 1):
        categories.append({**category_of(skeleton, name, number), **told})
    content = {**annotations.content, "categories": categories}
    return replace(annotations, content=content, skeleton=skeleton)
