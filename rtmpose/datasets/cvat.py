"""CVAT for images 1.1: one XML file with skeletons, points and boxes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rtmpose.datasets.coco_content import Annotations
from rtmpose.datasets.image_index import ImageIndex
from rtmpose.datasets.labeled_objects import (
    HIDDEN,
    VISIBLE,
    LabeledObject,
    Point,
    box_of_corners,
    content_from_objects,
    put_in_boxes,
)
from rtmpose.datasets.safe_xml import XmlElement, read_xml
from rtmpose.errors import InputError
from rtmpose.types import Skeleton

FILE_NAME = "annotations.xml"

# The picture of a skeleton: which node is which label, and which nodes are joined.
NODE = re.compile(r"<circle\b[^>]*>")
EDGE = re.compile(r"<line\b[^>]*>")
ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')


def read_cvat(data: Path, images: Path | None, skeleton: Skeleton | None = None) -> Annotations:
    """Read an export "CVAT for images 1.1".

    A skeleton is an object; its box is one of the same group, or the smallest that holds it. Points
    outside of a skeleton belong together by their group, else by the box around them. Points marked
    as outside have no label, occluded ones are hidden.

    Args:
        data: ``annotations.xml``, or the folder that holds it.
        images: The folder of the images; None looks around the file.
        skeleton: The keypoints; None takes the labels of the file.

    Raises:
        InputError: it is another export, is damaged, or has no keypoints.
    """
    path = data / FILE_NAME if data.is_dir() else data
    folder = images or path.parent
    index = ImageIndex(folder)
    objects: list[LabeledObject] = []
    sizes: dict[str, tuple[int, int]] = {}
    labels: list[XmlElement] = []
    tracks = 0

    # Image by image; tracks are those of the export for videos.
    def on_element(element: XmlElement) -> None:
        nonlocal tracks
        if element.tag == "meta":
            labels.extend(_labels_in(element))
        elif element.tag == "track":
            tracks += 1
        elif element.tag == "image":
            name = index.find(element.attributes["name"])
            attributes = element.attributes
            sizes[name] = (int(attributes["width"]), int(attributes["height"]))
            objects.extend(_objects(element, name, f"{path}, image {attributes['name']}"))

    try:
        root = read_xml(path, on_element)
    except (LookupError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not of CVAT: {error!r}") from error
    if root != "annotations" or (not sizes and not tracks):
        hint = "; Pascal VOC holds boxes only" if root == "annotation" else ""
        raise InputError(f"{path} is not an export 'CVAT for images 1.1'{hint}")
    if tracks:
        raise InputError(f"{path} is CVAT's export for videos; choose 'CVAT for images 1.1'")
    index.tell(path)
    names = [label.text_of("name") for label in labels if label.text_of("parent")]
    return content_from_objects(
        path, folder, objects, sizes, skeleton, names=_used_names(names, objects),
        links=[link for label in labels for link in _links(label, names)],
    )  # fmt: skip


def _labels_in(meta: XmlElement) -> Iterator[XmlElement]:
    """The labels that the head of the file describes, wherever they are in it."""
    for child in meta.children:
        if child.tag == "label":
            yield child
        else:
            yield from _labels_in(child)


def _used_names(names: Sequence[str], objects: Sequence[LabeledObject]) -> list[str]:
    """Names of the labels of skeletons, if any object has one of them."""
    used = {name for labeled in objects for name in labeled.points}
    return list(dict.fromkeys(names)) if used & set(names) else []


def _links(label: XmlElement, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of points that the picture of a skeleton joins."""
    picture = label.text_of("svg")
    nodes: dict[str, str] = {}
    for node in NODE.findall(picture):
        attributes = dict(ATTRIBUTE.findall(node))
        nodes[attributes.get("data-node-id", "")] = attributes.get("data-label-name", "")
    for edge in EDGE.findall(picture):
        attributes = dict(ATTRIBUTE.findall(edge))
        a = nodes.get(attributes.get("data-node-from", ""), "")
        b = nodes.get(attributes.get("data-node-to", ""), "")
        if a in names and b in names and a != b:
            yield a, b


# ---- one image


def _objects(image: XmlElement, name: str, where: str) -> list[LabeledObject]:
    """The objects of an image.

    Raises:
        InputError: an object has two points of one name.
    """
    # Boxes, by group where they have one.
    boxes: list[LabeledObject] = []
    by_group: dict[str, LabeledObject] = {}
    for shape in (*image.all("box"), *image.all("polygon")):
        labeled = LabeledObject(name, {}, _box(shape), shape.attributes.get("label", ""))
        boxes.append(labeled)
        if group := _group(shape):
            by_group.setdefault(group, labeled)

    # Skeletons, and points that stand alone.
    skeletons = [_skeleton(shape, name, where) for shape in image.all("skeleton")]
    for shape, labeled in zip(image.all("skeleton"), skeletons, strict=True):
        _take_box(labeled, by_group.get(_group(shape)), boxes)
    loose: list[tuple[str, Point]] = []
    grouped: dict[str, LabeledObject] = {}
    for shape in image.all("points"):
        points = _named_points(shape)
        group = _group(shape)
        if group:
            new = by_group.get(group) or LabeledObject(name)
            target = grouped.setdefault(group, new)
            for point_name, point in points:
                target.add(point_name, point, where)
        elif len(points) > 1:
            # Several points of one label are an object: its class is the label.
            target = LabeledObject(name, dict(points), None, shape.attributes.get("label", ""))
            _take_box(target, None, boxes)
            skeletons.append(target)
        else:
            loose += points
    alone = [o for o in grouped.values() if not any(o is box for box in boxes)]
    return [*boxes, *skeletons, *alone, *put_in_boxes(loose, boxes, name, where)]


def _skeleton(shape: XmlElement, image: str, where: str) -> LabeledObject:
    """A skeleton; its elements are the points."""
    labeled = LabeledObject(image, {}, None, shape.attributes.get("label", ""))
    for element in shape.all("points"):
        for name, point in _named_points(element):
            labeled.add(name, point, where)
    return labeled


def _take_box(
    labeled: LabeledObject, of_group: LabeledObject | None, boxes: list[LabeledObject]
) -> None:
    """Give a skeleton its box, which is no object of its own then."""
    chosen = of_group
    if chosen is None:
        around = [b for b in boxes if not b.points and _holds(b, labeled)]
        same = [b for b in around if b.category == labeled.category] or around
        chosen = min(same, key=lambda b: b.box[2] * b.box[3] if b.box else 0, default=None)
    if chosen is not None and labeled.points:
        labeled.box = chosen.box
        boxes[:] = [box for box in boxes if box is not chosen]


def _holds(box: LabeledObject, labeled: LabeledObject) -> bool:
    """Whether all points lie in a box."""
    if box.box is None:
        return False
    x, y, w, h = box.box
    return all(x <= p[0] <= x + w and y <= p[1] <= y + h for p in labeled.points.values())


def _named_points(shape: XmlElement) -> list[tuple[str, Point]]:
    """The points of a shape: one by its label, several by their number."""
    if shape.attributes.get("outside") == "1":
        return []
    visibility = HIDDEN if shape.attributes.get("occluded") == "1" else VISIBLE
    places = _places(shape)
    label = shape.attributes.get("label", "")
    names = [label] if len(places) == 1 else [str(i) for i in range(len(places))]
    return [(name, (x, y, visibility)) for name, (x, y) in zip(names, places, strict=True)]


def _places(shape: XmlElement) -> list[tuple[float, float]]:
    """``x,y;x,y`` as pairs."""
    pairs = (pair.split(",") for pair in shape.attributes["points"].split(";") if pair.strip())
    return [(float(x), float(y)) for x, y in pairs]


def _box(shape: XmlElement) -> tuple[float, float, float, float]:
    if shape.tag == "polygon":
        return box_of_corners(_places(shape))
    left, top, right, bottom = (float(shape.attributes[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    # A turned box becomes the upright one around it; it turns around its center.
    angle = math.radians(float(shape.attributes.get("rotation", 0)))
    cos, sin = math.cos(angle), math.sin(angle)
    center_x, center_y = (left + right) / 2, (top + bottom) / 2
    offsets = [(x - center_x, y - center_y) for x, y in corners]
    return box_of_corners(
        [(center_x + a * cos - b * sin, center_y + a * sin + b * cos) for a, b in offsets]
    )


def _group(shape: XmlElement) -> str:
    """The group of a shape; empty without one (CVAT writes 0 or nothing)."""
    group = shape.attributes.get("group_id", "")
    return "" if group == "0" else group
