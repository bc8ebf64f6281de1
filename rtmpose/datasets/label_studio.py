"""Label Studio's own JSON: tasks with keypoints and rectangles in percent of the image."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rtmpose.datasets.annotation_files import find_annotation_file, read_json
from rtmpose.datasets.coco_content import Annotations
from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.datasets.image_index import ImageIndex, is_there, plain_path
from rtmpose.datasets.image_size import image_size
from rtmpose.datasets.labeled_objects import (
    HIDDEN,
    VISIBLE,
    Box,
    LabeledObject,
    Point,
    box_of_corners,
    content_from_objects,
    put_in_boxes,
)
from rtmpose.errors import InputError
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the names of uploaded files."""
HIDDEN_WORDS = ("occluded", "hidden", "invisible", "not visible")


def is_label_studio(content: Json) -> bool:
    """Whether parsed JSON is Label Studio's: tasks (or one), as JSON or JSON-MIN."""
    first = content[0] if isinstance(content, list) and content else content
    if not isinstance(first, dict):
        return False
    if isinstance(first.get("data"), dict):
        return any(key in first for key in ("annotations", "completions", "predictions"))
    return any(_is_region_list(value) for value in first.values())


def read_label_studio(
    data: Path, images: Path | None, skeleton: Skeleton | None = None, content: Json = None
) -> Annotations:
    """Read tasks with ``keypointlabels`` and ``rectanglelabels``.

    A keypoint belongs to the rectangle that is its parent (``parentID``, or a relation), else to
    the smallest rectangle around it, else to the one object of the image. Of several annotations of
    a task the one that is marked as ground truth is taken, else the first that was not cancelled.

    Args:
        data: The exported JSON, or a folder that holds it.
        images: The folder of the images; None looks around the file.
        skeleton: The keypoints; None takes the labels of the points.
        content: The parsed file, if it was read before.

    Raises:
        InputError: it is something else, or it is unclear which points belong together.
    """
    path = find_annotation_file(data)
    content = read_json(path) if content is None else content
    tasks = content if isinstance(content, list) else [content]
    folder = images or path.parent
    index = ImageIndex(folder)
    objects: list[LabeledObject] = []
    sizes: dict[str, tuple[int, int]] = {}
    try:
        for number, task in enumerate(tasks, 1):
            results = _results(task)
            name = _image_name(task, index, path)
            sizes[name] = _size(results) or image_size(folder / name) or (0, 0)
            where = f"{path}, task {task.get('id', number)}"
            objects += _objects(results, name, sizes[name], where)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not Label Studio's JSON: {error!r}") from error
    index.tell(path)
    return content_from_objects(path, folder, objects, sizes, skeleton)


# ---- tasks


def _is_region_list(value: Json) -> bool:
    """Whether a value of JSON-MIN is a list of keypoints or rectangles."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and ("keypointlabels" in first or "rectanglelabels" in first)


def _results(task: JsonObject) -> list[JsonObject]:
    """The regions and relations of a task, from either form of the export."""
    if "data" not in task:
        return list(_results_of_min(task))
    annotations = task.get("annotations") or task.get("completions") or []
    usable = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
    # Ground truth comes first; predictions count where nobody annotated.
    usable.sort(key=lambda a: not a.get("ground_truth"))
    chosen = usable or (task.get("predictions") or [])
    return [r for r in chosen[0].get("result") or [] if isinstance(r, dict)] if chosen else []


def _results_of_min(task: JsonObject) -> Iterator[JsonObject]:
    for value in task.values():
        if _is_region_list(value):
            for region in value:
                kind = "keypointlabels" if "keypointlabels" in region else "rectanglelabels"
                yield {**region, "type": kind, "value": region}


def _image_name(task: JsonObject, index: ImageIndex, path: Path) -> str:
    """The image of a task below the folder of the images."""
    values = task.get("data") or {k: v for k, v in task.items() if isinstance(v, str)}
    written = values.get("image") or values.get("img") or values.get("image_url")
    if not written:
        if "video" in values:
            raise InputError(
                f"{path} holds videos; export the frames as images (CVAT and others can)"
            )
        names = (v for v in values.values() if isinstance(v, str) and ("/" in v or "." in v))
        written = next(names, None)
    if not written:
        raise InputError(f"{path} has a task without an image: {list(values)[:5]}")

    # Uploaded files lie under their own names on the disk of the one who uploaded them.
    name = plain_path(str(written))
    own = UPLOAD_PREFIX.sub("", name.rsplit("/", 1)[-1])
    found = index.find(name)
    if not is_there(index.folder / found) and own != name:
        second = index.find(own)
        if is_there(index.folder / second):
            index.missing = index.missing[:-1]
            return second
        index.missing = index.missing[:-1]
    return found


def _size(results: Sequence[JsonObject]) -> tuple[int, int] | None:
    for result in results:
        if result.get("original_width") and result.get("original_height"):
            return int(result["original_width"]), int(result["original_height"])
    return None


# ---- objects


def _objects(
    results: Sequence[JsonObject], image: str, size: tuple[int, int], where: str
) -> list[LabeledObject]:
    """The objects of one image.

    Raises:
        InputError: the size of the image is unknown, or an object has two points of one name.
    """
    regions = [r for r in results if isinstance(r.get("value"), dict)]
    is_needed = any(_labels(r) for r in regions)
    if is_needed and not size[0]:
        raise InputError(
            f"{where}: coordinates are in percent, and the size of {image} is unknown; name the"
            " folder of the images with --images"
        )

    # Rectangles make the objects; names of regions lead to them.
    by_id: dict[str, LabeledObject] = {}
    boxes: list[LabeledObject] = []
    for region in regions:
        labels = region["value"].get("rectanglelabels")
        if labels:
            labeled = LabeledObject(image, {}, _box(region["value"], size), str(labels[0]))
            boxes.append(labeled)
            by_id[str(region.get("id"))] = labeled

    # Keypoints by parent or relation, the others by place.
    parents = _parents(results)
    hidden = _hidden_regions(regions)
    loose: list[tuple[str, Point]] = []
    for region in regions:
        value = region["value"]
        labels = value.get("keypointlabels")
        if not labels:
            continue
        region_id = str(region.get("id"))
        x = float(value["x"]) / 100 * size[0]
        y = float(value["y"]) / 100 * size[1]
        point: Point = (x, y, HIDDEN if region_id in hidden else VISIBLE)
        parent = by_id.get(parents.get(region_id, ""))
        if parent is None:
            loose.append((str(labels[0]), point))
        else:
            parent.add(str(labels[0]), point, where)
    return [*boxes, *put_in_boxes(loose, boxes, image, where)]


def _labels(region: JsonObject) -> Json:
    value = region["value"]
    return value.get("keypointlabels") or value.get("rectanglelabels")


def _parents(results: Sequence[JsonObject]) -> dict[str, str]:
    """Region to the region it belongs to, by ``parentID`` or a relation in either direction."""
    parents: dict[str, str] = {}
    for result in results:
        if result.get("type") == "relation":
            a, b = str(result.get("from_id")), str(result.get("to_id"))
            parents.setdefault(a, b)
            parents.setdefault(b, a)
    for result in results:
        parent = result.get("parentID") or result.get("parent_id")
        if parent:
            parents[str(result.get("id"))] = str(parent)
    return parents


def _hidden_regions(regions: Sequence[JsonObject]) -> set[str]:
    """Ids of regions that a choice of their own marks as hidden."""
    found = set()
    for region in regions:
        choices = region["value"].get("choices") or ()
        if any(str(choice).lower() in HIDDEN_WORDS for choice in choices):
            found.add(str(region.get("id")))
    return found


def _box(value: Mapping[str, Json], size: tuple[int, int]) -> Box:
    """A rectangle in pixels; a turned one becomes the upright box around it."""
    x = float(value["x"]) / 100 * size[0]
    y = float(value["y"]) / 100 * size[1]
    w = float(value["width"]) / 100 * size[0]
    h = float(value["height"]) / 100 * size[1]
    angle = math.radians(float(value.get("rotation") or 0))
    if not angle:
        return x, y, w, h
    # It turns around its upper left corner.
    cos, sin = math.cos(angle), math.sin(angle)
    corners = [(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)]
    return box_of_corners([(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in corners])
