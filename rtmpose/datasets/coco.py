"""COCO JSON and the many data sets that are published, or were converted, in its form with habits
of their own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rtmpose.datasets.coco_content import (
    MARK,
    Annotations,
    category_of,
    image_size,
    skeleton_from_category,
)
from rtmpose.datasets.keypoint_dataset import (
    AREA_OF_BOX,
    KeypointDataset,
    annotation_file,
    category_names,
    read_json,
    skeleton_named,
)
from rtmpose.errors import InputError
from rtmpose.files import write_text
from rtmpose.skeletons import get_skeleton, skeleton_for_count
from rtmpose.types import Skeleton

PIXEL_STD = 200.0
"""What ``scale`` counts in, in MPII and the sets that took its form: 1 is a box of 200 pixels."""
WHOLEBODY_FIELDS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")


@dataclass(frozen=True)
class Style:
    """What is peculiar to a data set in COCO form.

    Attributes:
        skeleton: Its keypoint set; empty takes what the file says.
        fields: Where the keypoints are; several are put one after the other.
        one_based: Whether pixels are counted from 1, as Matlab does.
        box: ``bbox``; ``center`` for a square of side 200 ``scale`` around ``center``; ``image``
            for the whole picture.
    """

    skeleton: str = ""
    fields: tuple[str, ...] = ("keypoints",)
    one_based: bool = False
    box: Literal["bbox", "center", "image"] = "bbox"


STYLES: Mapping[str, Style] = {
    "coco": Style(),
    "coco-wholebody": Style("coco-wholebody133", fields=WHOLEBODY_FIELDS),
    "halpe": Style("halpe136"),
    "aic": Style("aic14"),
    "crowdpose": Style("crowdpose14"),
    "jhmdb": Style("jhmdb15", one_based=True),
    "posetrack18": Style("posetrack18"),
    "ochuman": Style("coco17"),
    "humanart": Style("coco17"),
    "humanart21": Style("humanart21", fields=("keypoints_21",)),
    "ap10k": Style("ap10k17"),
    "lapa": Style("lapa106"),
    "wflw": Style("wflw98", box="center"),
    "300w": Style("300w68", box="center"),
    "aflw": Style("aflw19", box="center"),
    "cofw": Style("cofw29"),
    "freihand": Style("hand21", box="image"),
    "onehand10k": Style("hand21"),
    "rhd": Style("rhd21"),
}
"""The sets by name. Boxes are those the published models were trained and tested with."""


def read_coco(
    data: Path,
    images: Path | None,
    style: Style,
    skeleton: Skeleton | None = None,
    content: Any = None,
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
    path = annotation_file(data)
    content = read_json(path) if content is None else content
    try:
        rows: list[Any] = list(content["annotations"])
        categories = list(content["categories"])
        sizes = {i.get("id"): (i.get("width"), i.get("height")) for i in content["images"]}
        names = category_names(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not a COCO keypoint set (images, annotations, categories): {error!r}"
        ) from error
    skeleton = skeleton or _skeleton(style, names, categories, rows)
    annotations = [_annotation(a, style, sizes) if isinstance(a, dict) else a for a in rows]
    if skeleton is not None:
        own = category_of(skeleton)
        points = {"keypoints": own["keypoints"], "skeleton": own["skeleton"]}
        categories = [
            {**c, **(points if _has_points(c, categories) else {})} for c in categories
        ] or [own]
    return Annotations(
        path, {**content, "annotations": annotations, "categories": categories}, images, skeleton
    )


def read_posetrack(
    data: Path, images: Path | None, skeleton: Skeleton | None = None
) -> Annotations:
    """Read PoseTrack18: one converted file, or a folder of the published ones, one per video.

    Raises:
        InputError: nothing of the kind is there.
    """
    files = sorted(data.glob("*.json")) if data.is_dir() else [data]
    if not files:
        files = [annotation_file(data)]
    parts = [read_json(f) for f in files]
    merged: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for file, part in zip(files, parts, strict=True):
        if not isinstance(part, dict) or "images" not in part:
            raise InputError(
                f"{file} is not a PoseTrack18 annotation file (images, annotations, categories)"
            )
        merged["images"] += part["images"]
        merged["annotations"] += part.get("annotations", [])
        merged["categories"] = merged["categories"] or part.get("categories", [])
    return read_coco(files[0], images, STYLES["posetrack18"], skeleton, merged)


def _skeleton(
    style: Style,
    names: tuple[str, ...],
    categories: Sequence[Mapping[str, Any]],
    rows: Sequence[Any],
) -> Skeleton | None:
    if style.skeleton:
        return get_skeleton(style.skeleton)
    if names:
        category = next(c for c in categories if c.get("keypoints"))
        return skeleton_named(names) or skeleton_from_category(category, len(names))
    k = next(
        (len(a["keypoints"]) // 3 for a in rows if isinstance(a, dict) and a.get("keypoints")), 0
    )
    return skeleton_for_count(k)


def _has_points(category: Mapping[str, Any], categories: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the instances of a category have keypoints: it names some, or none of the categories
    does.
    """
    return bool(category.get("keypoints")) or not any(c.get("keypoints") for c in categories)


def _annotation(
    source: dict[str, Any], style: Style, sizes: Mapping[Any, tuple[Any, Any]]
) -> dict[str, Any]:
    """An annotation in plain COCO form; what cannot be read stays as it is, for the check to find."""
    a = dict(source)
    shift = 1.0 if style.one_based else 0.0
    try:
        points = _points(a, style.fields)
        if len(points) % 3 == 0:
            points = [
                c
                for i in range(0, len(points), 3)
                for c in _point(points[i], points[i + 1], points[i + 2], shift)
            ]
        count = sum(1 for v in points[2::3] if v > 0)
    except (TypeError, ValueError):
        points, count = a.get("keypoints") or [], 0
    if points or "keypoints" in a:
        a["keypoints"] = points
    if len(style.fields) > 1 or style.fields[0] != "keypoints" or "num_keypoints" not in a:
        a["num_keypoints"] = count
    for name in style.fields:
        if name != "keypoints":
            a.pop(name, None)
    try:
        if (box := _box(a, style.box, sizes, shift)) is not None:
            a["bbox"] = box
        if "area" not in a:
            a["area"] = AREA_OF_BOX * a["bbox"][2] * a["bbox"][3]
    except (KeyError, TypeError, ValueError, IndexError):
        a.setdefault("bbox", None)
    a["iscrowd"] = int(bool(a.get("iscrowd")))
    return a


def _points(a: Mapping[str, Any], fields: Sequence[str]) -> list[Any]:
    """The flat x, y, v triples of an annotation, parts that are marked as not valid without labels."""
    if len(fields) == 1 or fields[1] not in a:
        rows = a.get(fields[0], a.get("keypoints")) or []
        return (
            [v for row in rows for v in row] if rows and isinstance(rows[0], list) else list(rows)
        )
    flat: list[Any] = []
    for name in fields:
        part = list(a[name])
        if a.get(f"{name.removesuffix('_kpts')}_valid") is False:
            part = [0] * len(part)
        flat += part
    return flat


def _point(x: Any, y: Any, v: Any, shift: float) -> tuple[Any, Any, Any]:
    """One point: no label is 0, 0, 0; a confidence in place of v counts as a label where it is
    above 0.
    """
    if isinstance(v, float) and v == v:
        v = 0 if v <= 0 else min(2, max(1, round(v)))
    if not v:
        return 0, 0, v
    return (x - shift, y - shift, v) if shift else (x, y, v)


def _box(
    a: Mapping[str, Any], kind: str, sizes: Mapping[Any, tuple[Any, Any]], shift: float
) -> list[float] | None:
    if kind == "center" and "center" in a and "scale" in a:
        (cx, cy), side = a["center"], PIXEL_STD * float(a["scale"])
        return [cx - side / 2, cy - side / 2, side, side]
    if kind == "image" and None not in (size := sizes.get(a.get("image_id"), (None, None))):
        return [0.0, 0.0, float(size[0]), float(size[1])]
    if shift and isinstance(a.get("bbox"), list) and len(a["bbox"]) == 4:
        x, y, w, h = a["bbox"]
        return [x - shift, y - shift, w, h]
    return None


def save_coco(dataset: KeypointDataset, path: Path) -> None:
    """Write a set as COCO JSON, whole or not at all.

    File names are relative to the folder of the file. The file is marked, so that reading it again
    changes nothing.

    Raises:
        OutputError: it cannot be written.
    """
    info = dataset.content.get("info")
    info = dict(info) if isinstance(info, Mapping) else {}
    images = []
    for entry in dataset.content["images"]:
        place = dataset.images[int(entry["id"])]
        image = {
            **entry,
            "file_name": Path(os.path.relpath(place.absolute(), path.parent.absolute())).as_posix(),
        }
        if not image.get("width") and (size := image_size(place)):
            image["width"], image["height"] = size
        images.append(image)
    name = dataset.skeleton.name if dataset.skeleton else ""
    content = {**dataset.content, "info": {**info, MARK: name}, "images": images}
    write_text(path, json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
