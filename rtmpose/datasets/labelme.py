"""labelme: one JSON file per image with points, rectangles and polygons."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from rtmpose.datasets.annotation_files import read_json
from rtmpose.datasets.coco_content import Annotations
from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.datasets.image_index import ImageIndex, is_there
from rtmpose.datasets.image_size import image_size
from rtmpose.datasets.labeled_objects import (
    HIDDEN,
    VISIBLE,
    LabeledObject,
    Point,
    box_of_corners,
    content_from_objects,
    put_in_boxes,
)
from rtmpose.errors import InputError
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

AREAS = ("rectangle", "polygon", "circle", "mask", "rotation", "oriented_rectangle")
"""Shapes that say where an object is."""
HIDDEN_FLAGS = ("occluded", "hidden", "invisible")
"""Flags of a point that say it is not seen."""
PROGRESS_EVERY = 5000


def is_labelme(content: Json) -> bool:
    """Whether parsed JSON is a labelme file."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("shapes"), list)
        and ("imagePath" in content or "imageData" in content)
    )


def read_labelme(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read labelme files: a point's label is the name of the keypoint, shapes of one ``group_id``
    are one object, and the label of a rectangle (or polygon) is its class.

    Points without a group belong to the smallest rectangle around them, or, without any, to the one
    object of the image. A point with the flag ``occluded`` or ``hidden`` counts as hidden.

    Args:
        data: A folder, which is looked through with all folders in it, or one file.
        images: The folder of the images; None takes that of the files.
        skeleton: The keypoints; None takes the labels of the points.

    Raises:
        InputError: there is no such file, one is damaged, or it is unclear which points belong
            together.
    """
    files = sorted(data.rglob("*.json")) if data.is_dir() else [data]
    folder = images or (data if data.is_dir() else data.parent)
    index = ImageIndex(folder)
    objects: list[LabeledObject] = []
    sizes: dict[str, tuple[int, int]] = {}
    others = 0
    for number, file in enumerate(files, 1):
        content = read_json(file)
        if not is_labelme(content):
            others += 1
            continue
        name = _image_name(file, content, index, folder)
        sizes[name] = _size(content) or image_size(folder / name) or (0, 0)
        objects += _objects(file, content, name)
        if number % PROGRESS_EVERY == 0:
            log.info("%s: %d of %d files", data, number, len(files))

    if not sizes:
        raise InputError(f"{data} holds no labelme files (JSON with shapes and imagePath)")
    if others:
        log.warning("%s: %d JSON files are not labelme's and were left out", data, others)
    index.tell(data)
    return content_from_objects(data, folder, objects, sizes, skeleton)


def _image_name(file: Path, content: JsonObject, index: ImageIndex, folder: Path) -> str:
    """The image of a file: by the path in it, which starts from the file's own folder."""
    written = str(content.get("imagePath") or file.with_suffix(".jpg").name)
    # A name beside the file is the surest: folders of several clips have the same names.
    beside = file.parent / written.replace("\\", "/")
    if is_there(beside) and beside.resolve().is_relative_to(folder.resolve()):
        return beside.resolve().relative_to(folder.resolve()).as_posix()
    if file.is_relative_to(folder):
        return index.find((file.relative_to(folder).parent / Path(written).name).as_posix())
    return index.find(written)


def _size(content: JsonObject) -> tuple[int, int] | None:
    width = content.get("imageWidth")
    height = content.get("imageHeight")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None


def _objects(file: Path, content: JsonObject, image: str) -> list[LabeledObject]:
    """The objects of one image.

    Raises:
        InputError: a shape is damaged, or an object has two points of one name.
    """
    try:
        shapes = [(shape, _corners(shape)) for shape in content["shapes"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file} has a shape without label or points: {error!r}") from error

    # Areas first: they make the objects, by group or one each.
    groups: dict[str, LabeledObject] = {}
    boxes: list[LabeledObject] = []
    for shape, corners in shapes:
        if shape.get("shape_type") not in AREAS or not corners:
            continue
        labeled = LabeledObject(image, {}, _box_of(shape, corners), str(shape["label"]))
        group = _group(shape)
        if not group:
            boxes.append(labeled)
        elif group not in groups:
            groups[group] = labeled

    # Then the points: of a group, or of the box around them.
    loose: list[tuple[str, Point]] = []
    for shape, corners in shapes:
        if shape.get("shape_type", "point") != "point" or len(corners) != 1:
            continue
        label = str(shape["label"]).strip()
        point = (*corners[0], HIDDEN if _is_hidden(shape) else VISIBLE)
        group = _group(shape)
        if not group:
            loose.append((label, point))
        else:
            groups.setdefault(group, LabeledObject(image)).add(label, point, str(file))
    with_boxes = [*boxes, *groups.values()]
    return [*with_boxes, *put_in_boxes(loose, with_boxes, image, str(file))]


def _group(shape: JsonObject) -> str:
    """The group of a shape, a number or a text; empty without one."""
    group = shape.get("group_id")
    return "" if group is None else str(group)


def _corners(shape: JsonObject) -> list[tuple[float, float]]:
    """Places of a shape in pixels."""
    str(shape["label"])
    return [(float(x), float(y)) for x, y in shape["points"]]


def _box_of(
    shape: JsonObject, corners: Sequence[tuple[float, float]]
) -> tuple[float, float, float, float]:
    # A circle is its center and a point on it.
    if shape.get("shape_type") == "circle" and len(corners) == 2:
        (x, y), (edge_x, edge_y) = corners
        radius = ((edge_x - x) ** 2 + (edge_y - y) ** 2) ** 0.5
        return x - radius, y - radius, 2 * radius, 2 * radius
    return box_of_corners(corners)


def _is_hidden(shape: JsonObject) -> bool:
    flags = shape.get("flags")
    if not isinstance(flags, dict):
        return False
    return any(str(name).lower() in HIDDEN_FLAGS and is_set for name, is_set in flags.items())
