"""COCO JSON, and the many data sets that are published, or were converted, in its form with
peculiarities.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rtmpose.datasets.annotation_files import find_annotation_file, read_json
from rtmpose.datasets.annotation_repair import BOX_TO_AREA, count_labeled
from rtmpose.datasets.category_skeletons import (
    category_keypoints,
    category_of,
    skeleton_from_category,
    skeleton_with_keypoints,
    with_own_sigmas,
)
from rtmpose.datasets.coco_content import WRITTEN_BY_US, Annotations
from rtmpose.datasets.coco_entries import check_content, entries
from rtmpose.datasets.coco_types import CocoContent, Json, JsonObject
from rtmpose.datasets.image_size import image_size
from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.datasets.keypoint_guess import guess_and_tell, set_with_names
from rtmpose.errors import InputError
from rtmpose.files import write_text
from rtmpose.skeletons import get_skeleton
from rtmpose.text_files import to_json
from rtmpose.types import Skeleton

PIXEL_STD = 200.0
"""Unit of ``scale`` in MPII and the sets that took its form: 1 is a box of 200 pixels."""
WHOLEBODY_FIELDS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")

ImageSizes = Mapping[Json, tuple[Json, Json]]
"""Image id to width and height, as the file has them."""


@dataclass(frozen=True)
class CocoStyle:
    """What is peculiar to a data set in COCO form.

    Attributes:
        skeleton: Its keypoint set; empty takes what the file says.
        fields: Where the keypoints are; several are concatenated.
        one_based: Whether pixels are counted from 1, as in Matlab.
        box: ``bbox``; ``center`` for a square of side 200 ``scale`` around ``center``; ``image``
            for the whole image.
    """

    skeleton: str = ""
    fields: tuple[str, ...] = ("keypoints",)
    one_based: bool = False
    box: Literal["bbox", "center", "image"] = "bbox"


STYLES: Mapping[str, CocoStyle] = {
    "coco": CocoStyle(),
    "coco-wholebody": CocoStyle("coco-wholebody133", fields=WHOLEBODY_FIELDS),
    "halpe": CocoStyle("halpe136"),
    "aic": CocoStyle("aic14"),
    "crowdpose": CocoStyle("crowdpose14"),
    "jhmdb": CocoStyle("jhmdb15", one_based=True),
    "posetrack18": CocoStyle("posetrack18"),
    "ochuman": CocoStyle("coco17"),
    "humanart": CocoStyle("coco17"),
    "humanart21": CocoStyle("humanart21", fields=("keypoints_21",)),
    "ap10k": CocoStyle("ap10k17"),
    "lapa": CocoStyle("lapa106"),
    "wflw": CocoStyle("wflw98", box="center"),
    "300w": CocoStyle("300w68", box="center"),
    "aflw": CocoStyle("aflw19", box="center"),
    "cofw": CocoStyle("cofw29"),
    "freihand": CocoStyle("hand21", box="image"),
    "onehand10k": CocoStyle("hand21"),
    "rhd": CocoStyle("rhd21"),
}
"""The sets by name. Boxes are those the published models were trained and tested with."""


def read_coco(
    data: Path,
    images: Path | None,
    style: CocoStyle,
    skeleton: Skeleton | None = None,
    content: Json = None,
) -> Annotations:
    """Read a COCO-form file.

    Args:
        data: The file, or a folder that holds it.
        images: Where file names start from; None looks around.
        style: What is peculiar to it.
        skeleton: The keypoints, instead of what the style or the file says.
        content: The parsed file, if it was read before.

    Raises:
        InputError: there is no such file, or it is not COCO content.
    """
    # The three lists, and what is known of images and keypoints.
    path = find_annotation_file(data)
    content = read_json(path) if content is None else content
    check_content(content, path)
    rows = entries(content, "annotations")
    categories = entries(content, "categories")
    sizes = _image_sizes(content)
    names = category_keypoints(content)

    # Annotations in plain COCO form, categories with the names of the keypoints.
    if skeleton is None:
        skeleton = _skeleton(path, style, names, categories, rows)
        skeleton = with_own_sigmas(skeleton, content) if skeleton else None
    annotations = [_plain(a, style, sizes) if isinstance(a, dict) else a for a in rows]
    content = {**content}
    if isinstance(content["annotations"], list):
        content["annotations"] = annotations
    if skeleton is not None and isinstance(content.get("categories", []), list):
        content["categories"] = _named_categories(categories, skeleton)
    return Annotations(path, content, images, skeleton, categories=categories)


def read_posetrack(
    data: Path, images: Path | None, skeleton: Skeleton | None = None
) -> Annotations:
    """Read PoseTrack18: one converted file, or a folder of the published ones, one per video.

    Args:
        data: The file or folder.
        images: Where file names start from; None looks around.
        skeleton: The keypoints; None takes ``posetrack18``.

    Raises:
        InputError: nothing of the kind is there.
    """
    # Published: one file per video. Converted: one file for all.
    files = sorted(data.glob("*.json")) if data.is_dir() else [data]
    if not files:
        files = [find_annotation_file(data)]
    merged: JsonObject = {"images": [], "annotations": [], "categories": []}
    for file in files:
        part = read_json(file)
        if not isinstance(part, dict) or "images" not in part:
            raise InputError(
                f"{file} is not a PoseTrack18 annotation file (images, annotations, categories)"
            )
        merged["images"] += entries(part, "images")
        merged["annotations"] += entries(part, "annotations")
        merged["categories"] = merged["categories"] or entries(part, "categories")
    return read_coco(files[0], images, STYLES["posetrack18"], skeleton, merged)


def _image_sizes(content: CocoContent) -> ImageSizes:
    """Of the images whose entry can be used."""
    sizes: dict[Json, tuple[Json, Json]] = {}
    for entry in entries(content, "images"):
        with suppress(AttributeError, TypeError):
            sizes[entry.get("id")] = (entry.get("width"), entry.get("height"))
    return sizes


def _skeleton(
    path: Path,
    style: CocoStyle,
    names: tuple[str, ...],
    categories: Sequence[Json],
    rows: Sequence[Json],
) -> Skeleton | None:
    """The keypoint set by the style, by the names in the file, or by what speaks for a known one;
    None where nothing has keypoints.
    """
    if style.skeleton:
        return get_skeleton(style.skeleton)
    if names:
        category = next(c for c in categories if isinstance(c, dict) and c.get("keypoints"))
        return (
            skeleton_with_keypoints(names)
            or set_with_names(names)
            or skeleton_from_category(category, len(names))
        )

    # The number of points, and the classes that have them.
    labeled = [row for row in rows if isinstance(row, dict) and row.get("keypoints")]
    labeled = [row for row in labeled if isinstance(row["keypoints"], list)]
    counts = (len(_joined_fields(row, ("keypoints",))) // 3 for row in labeled)
    count = next((count for count in counts if count), 0)
    if not count:
        return None
    used = {str(row.get("category_id", 1)) for row in labeled}
    listed = [c for c in categories if isinstance(c, dict)]
    classes = [str(c.get("name", "")) for c in listed if str(c.get("id", 1)) in used]
    return guess_and_tell(path, count, classes)


def _named_categories(categories: Sequence[Json], skeleton: Skeleton) -> list[Json]:
    """Categories whose instances have keypoints get the names and links of the keypoint set.

    These are the categories that name keypoints, or all where none does.
    """
    # Only categories with keypoints get names: others may hold boxes for a detector.
    own = category_of(skeleton)
    if not categories:
        return [{**own}]
    keypoint_fields = {"keypoints": own["keypoints"], "skeleton": own["skeleton"]}
    any_named = any(isinstance(c, dict) and c.get("keypoints") for c in categories)
    named = []
    for category in categories:
        if not isinstance(category, dict):
            named.append(category)
            continue
        has_keypoints = bool(category.get("keypoints")) or not any_named
        named.append({**category, **(keypoint_fields if has_keypoints else {})})
    return named


def _plain(source: JsonObject, style: CocoStyle, sizes: ImageSizes) -> JsonObject:
    """An annotation in plain COCO form; what cannot be read stays as it is: the check finds it."""
    annotation = dict(source)
    offset = 1.0 if style.one_based else 0.0

    # Keypoints: one list of triples, from pixel 0.
    try:
        points = _plain_points(annotation, style.fields, offset)
        labeled = count_labeled(points)
    except (KeyError, TypeError, ValueError, OverflowError):
        points = annotation.get("keypoints") or []
        labeled = 0
    if points or "keypoints" in annotation:
        annotation["keypoints"] = points
    if style.fields != ("keypoints",) or "num_keypoints" not in annotation:
        annotation["num_keypoints"] = labeled
    for name in style.fields:
        if name != "keypoints":
            annotation.pop(name, None)

    # Box and area.
    try:
        box = _plain_box(annotation, style.box, sizes, offset)
        if box is not None:
            annotation["bbox"] = box
        if annotation.get("area") is None:
            annotation["area"] = BOX_TO_AREA * annotation["bbox"][2] * annotation["bbox"][3]
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        annotation.setdefault("bbox", None)
    annotation["iscrowd"] = int(bool(annotation.get("iscrowd")))
    return annotation


def _plain_points(annotation: JsonObject, fields: Sequence[str], offset: float) -> list[float]:
    """Flat x, y, v triples from pixel 0; a length that is no multiple of 3 is left as it is."""
    values = _joined_fields(annotation, fields)
    if len(values) % 3:
        return values
    points: list[float] = []
    for i in range(0, len(values), 3):
        points += _plain_point(values[i], values[i + 1], values[i + 2], offset)
    return points


def _joined_fields(annotation: JsonObject, fields: Sequence[str]) -> list[Json]:
    """Flat x, y, v triples of all fields; parts that are marked as not valid lose their labels."""
    if len(fields) == 1 or fields[1] not in annotation:
        # One field, flat or as a list of triples.
        rows = annotation.get(fields[0], annotation.get("keypoints")) or []
        if rows and isinstance(rows[0], list):
            return [value for row in rows for value in row]
        return list(rows)
    # Several fields: the parts of COCO-WholeBody.
    flat: list[Json] = []
    for name in fields:
        part = list(annotation[name])
        if annotation.get(f"{name.removesuffix('_kpts')}_valid") is False:
            part = [0] * len(part)
        flat += part
    return flat


def _plain_point(x: Json, y: Json, v: Json, offset: float) -> tuple[Json, Json, Json]:
    """One point: no label is 0, 0, 0; a confidence in place of v counts as a label where it is
    above 0.
    """
    # NaN stays, for the check to find.
    if isinstance(v, float) and v == v:
        v = 0 if v <= 0 else min(2, max(1, round(v)))
    if not v:
        return 0, 0, v
    return (x - offset, y - offset, v) if offset else (x, y, v)


def _plain_box(
    annotation: JsonObject, kind: str, sizes: ImageSizes, offset: float
) -> list[float] | None:
    """x, y, w, h from pixel 0; None where the box of the annotation stays as it is."""
    if kind == "center" and "center" in annotation and "scale" in annotation:
        center_x, center_y = annotation["center"]
        side = PIXEL_STD * float(annotation["scale"])
        return [center_x - side / 2, center_y - side / 2, side, side]
    if kind == "image":
        width, height = sizes.get(annotation.get("image_id"), (None, None))
        if width is not None and height is not None:
            return [0.0, 0.0, float(width), float(height)]
    box = annotation.get("bbox")
    if offset and isinstance(box, list) and len(box) == 4:
        x, y, w, h = box
        return [x - offset, y - offset, w, h]
    return None


def save_coco(dataset: KeypointDataset, path: Path) -> None:
    """Write a set as COCO JSON, whole or not at all.

    File names are relative to the folder of the file. The file is marked, so that reading it again
    changes nothing.

    Args:
        dataset: The set.
        path: The file to write; missing folders are created.

    Raises:
        OutputError: it cannot be written.
    """
    # File names relative to the new file, sizes where they were missing.
    images = []
    for entry in dataset.content["images"]:
        place = dataset.images[int(entry["id"])]
        relative = os.path.relpath(place.absolute(), path.parent.absolute())
        image = {**entry, "file_name": Path(relative).as_posix()}
        if not image.get("width") and (size := image_size(place)):
            image["width"], image["height"] = size
        images.append(image)

    # The mark, next to what the source said of itself.
    info = dataset.content.get("info")
    info = dict(info) if isinstance(info, Mapping) else {}
    info[WRITTEN_BY_US] = dataset.skeleton.name if dataset.skeleton else ""
    content = {**dataset.content, "info": info, "images": images}
    text = to_json(content, ensure_ascii=False, separators=(",", ":")) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a character, which only an escape can express
        text = to_json(content, separators=(",", ":")) + "\n"
    write_text(path, text)
