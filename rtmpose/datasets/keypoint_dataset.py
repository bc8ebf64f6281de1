"""Annotated keypoint sets in COCO form."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtmpose.datasets.annotation_files import find_annotation_file, locate_images, read_json
from rtmpose.datasets.annotation_repair import (
    BOX_TO_AREA,
    check_keypoint_counts,
    complete_annotation,
)
from rtmpose.datasets.box_forms import image_size_of
from rtmpose.datasets.category_skeletons import (
    category_keypoints,
    skeleton_with_keypoints,
    with_own_sigmas,
)
from rtmpose.datasets.coco_entries import (
    check_content,
    check_one_skeleton,
    default_category,
    short,
    usable_area,
    whole_number,
)
from rtmpose.datasets.coco_types import CocoAnnotation, CocoContent, Json, JsonObject
from rtmpose.errors import InputError
from rtmpose.types import FloatArray, Skeleton

log = logging.getLogger(__name__)

LISTED = "`rtmpose data check` lists every such entry"


@dataclass(frozen=True, eq=False)
class KeypointDataset:
    """A keypoint set in COCO form: what every reader of :mod:`rtmpose.datasets` returns.

    Attributes:
        path: The annotation file (or folder) it came from.
        content: COCO content: ``images``, ``annotations``, ``categories``.
        images: Image id to path.
        annotations: Image id to its annotations; ``bbox`` is x, y, w, h and ``keypoints`` are x, y,
            v triples, both in image pixels; v is 0 for points without a label, 1 for hidden and 2
            for visible ones.
        keypoint_names: Of the first category that has any; empty where none has.
        skeleton: What the keypoints are, where that is known.
    """

    path: Path
    content: CocoContent
    images: Mapping[int, Path]
    annotations: Mapping[int, list[CocoAnnotation]]
    keypoint_names: tuple[str, ...]
    skeleton: Skeleton | None = None

    @classmethod
    def load(cls, data: str | Path, images: str | Path | None = None) -> KeypointDataset:
        """Open a set in COCO format; :func:`rtmpose.datasets.read` knows the others.

        Args:
            data: An annotation file, or a folder holding one (``*.json`` in it or in
                ``annotations/``).
            images: The folder that the file names start from. Unless told, images are looked for
                next to the file, in ``images/``, in the folder above, and in folders named like the
                split (``val2017``).

        Raises:
            InputError: there is no such file, or it is not a COCO keypoint set.
        """
        path = find_annotation_file(Path(data))
        return cls.from_content(read_json(path), images, path)

    @classmethod
    def from_content(
        cls,
        content: CocoContent,
        images_folder: str | Path | None,
        path: str | Path,
        skeleton: Skeleton | None = None,
    ) -> KeypointDataset:
        """A set from COCO content in memory.

        Args:
            content: ``images``, ``annotations``, ``categories``; not changed. Fields that are added
                and repaired are in the result.
            images_folder: The folder that the file names start from; None looks for it around
                ``path``.
            path: Where the content came from: named in errors, and the place images are looked for.
            skeleton: What the keypoints are; None takes the set with the names of the category, if
                there is one.

        Raises:
            InputError: it is not COCO content, an annotation belongs to an image that is not
                listed, or has another number of keypoints than the rest.
        """
        path = Path(path)
        check_content(content, path)
        check_one_skeleton(content, path)

        # Entries are copied, so that the given content stays as it is.
        image_rows = _images(content, path)
        categories = _categories(content, path)
        rows = _annotations(content, path)
        names = category_keypoints({"categories": categories})
        annotations: dict[int, list[CocoAnnotation]] = {i["id"]: [] for i in image_rows}
        for row in rows:
            if row["image_id"] not in annotations:
                raise InputError(
                    f"{path}: annotation {short(row['id'])} is of image {row['image_id']}, which is"
                    f" not listed; {LISTED}"
                )
            annotations[row["image_id"]].append(row)  # type: ignore[arg-type]

        # What is repaired is said once.
        areas = sum("area" in row and usable_area(row) is None for row in rows)
        repaired = sum(complete_annotation(row, path) for row in rows)
        if repaired:
            log.warning(
                "%s: %d annotations are damaged and were repaired: `rtmpose data check` names them",
                path,
                repaired,
            )
        if areas:
            log.warning(
                "%s: %d annotations have an area of 0 or none that is a number; %g of their boxes"
                " is taken",
                path,
                areas,
                BOX_TO_AREA,
            )

        # What the keypoints are, and where the images are.
        if skeleton is None and (known := skeleton_with_keypoints(names)):
            skeleton = with_own_sigmas(known, {"categories": categories})
        check_keypoint_counts(rows, len(skeleton) if skeleton else len(names), path)
        images = locate_images({i["id"]: i["file_name"] for i in image_rows}, images_folder, path)
        content = {
            **content,
            "images": image_rows,
            "annotations": rows,
            "categories": categories,
        }
        return cls(path, content, images, annotations, names, skeleton)

    def labeled(self, image_id: int) -> list[CocoAnnotation]:
        """Annotations of an image that have keypoints and are not crowd regions."""
        rows = self.annotations[image_id]
        return [a for a in rows if a.get("num_keypoints") and not a.get("iscrowd")]

    def boxes(self, image_id: int) -> FloatArray:
        """Boxes ``(N, 4)`` xyxy of :meth:`labeled`."""
        rows = [a["bbox"] for a in self.labeled(image_id)]
        return np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32).reshape(-1, 4)

    def keypoints(self, image_id: int) -> FloatArray:
        """Keypoints ``(N, K, 3)`` x, y, v of :meth:`labeled`."""
        rows = [a["keypoints"] for a in self.labeled(image_id)]
        # Without a row, the shape still says how many keypoints there are.
        if rows:
            k = len(rows[0]) // 3
        else:
            k = len(self.skeleton) if self.skeleton else len(self.keypoint_names)
        return np.array(rows, np.float32).reshape(len(rows), k, 3)


def _images(content: CocoContent, path: Path) -> list[JsonObject]:
    """The entries of images, with whole-number ids.

    Raises:
        InputError: an entry has no usable id or file name.
    """
    rows: list[JsonObject] = []
    for position, entry in enumerate(_list(content, "images", path)):
        try:
            row = {**entry, "id": whole_number(entry["id"], "id")}
            if not isinstance(entry["file_name"], str):
                raise ValueError(f"the file name is {short(entry['file_name'])}")
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(path, f"image entry {position}", entry, error) from error
        # A size that is none counts as unknown.
        if image_size_of(row) is None:
            row.pop("width", None)
            row.pop("height", None)
        rows.append(row)
    return rows


def _annotations(content: CocoContent, path: Path) -> list[JsonObject]:
    """The annotations, with whole-number ids and a category.

    Raises:
        InputError: an annotation has no usable id of an image or category.
    """
    fallback = default_category(content)
    rows: list[JsonObject] = []
    for position, entry in enumerate(_list(content, "annotations", path)):
        try:
            category = entry.get("category_id")
            if category is None:
                category = fallback
            row = {
                **entry,
                "id": whole_number(entry.get("id", position + 1), "id"),
                "image_id": whole_number(entry["image_id"], "image_id"),
                "category_id": whole_number(category, "category_id"),
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _broken(path, f"annotation {position}", entry, error) from error
        rows.append(row)
    return rows


def _categories(content: CocoContent, path: Path) -> list[JsonObject]:
    """The categories, with whole-number ids.

    Raises:
        InputError: a category has no usable id, or keypoints that are no list.
    """
    rows: list[JsonObject] = []
    for position, entry in enumerate(_list(content, "categories", path)):
        try:
            rows.append({**entry, "id": whole_number(entry["id"], "id")})
            if not isinstance(entry.get("keypoints") or [], list):
                raise ValueError(f"the keypoints are {short(entry['keypoints'])}")
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(path, f"category entry {position}", entry, error) from error
    return rows


def _list(content: CocoContent, name: str, path: Path) -> list[Json]:
    values = content.get(name)
    if values is None:
        values = []
    if not isinstance(values, list):
        raise InputError(
            f"{path} is not a COCO keypoint set: {name!r} is {short(values)}, not a list"
        )
    return values


def _broken(path: Path, where: str, entry: Json, error: Exception) -> InputError:
    """What to say of an entry that cannot be used."""
    if not isinstance(entry, dict):
        reason = f"{short(entry)} is not an object"
    elif isinstance(error, KeyError):
        reason = f"{error.args[0]!r} is missing"
    else:
        reason = str(error)
    return InputError(f"{path}: {where}: {reason}; {LISTED}")
