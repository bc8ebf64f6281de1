"""Annotated keypoint sets in COCO form."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton, skeleton_names
from rtmpose.types import Detections, FloatArray, Skeleton

log = logging.getLogger(__name__)

AREA_OF_BOX = 0.53
"""Area of a person as a share of the box, where a set has no segmentation."""

log = logging.getLogger(__name__)

AREA_OF_BOX = 0.53
"""Area of a person as a share of the box, where a set has no segmentation."""


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
    content: Mapping[str, Any]
    images: Mapping[int, Path]
    annotations: Mapping[int, list[dict[str, Any]]]
    keypoint_names: tuple[str, ...]
    skeleton: Skeleton | None = None

    @classmethod
    def load(cls, data: str | Path, images: str | Path | None = None) -> KeypointDataset:
        """Open a set in COCO format; :func:`rtmpose.datasets.read` knows the others.

        Args:
            data: An annotation file, or a folder holding one (``*.json`` in it or in
                ``annotations/``).
            images: The folder that the file names start from. Unless told, images are looked for
                beside the file, in ``images/``, in the folder above, and in folders named like the
                split (``val2017``).

        Raises:
            InputError: there is no such file, or it is not a COCO keypoint set.
        """
        path = annotation_file(Path(data))
        return cls.from_content(read_json(path), images, path)

    @classmethod
    def from_content(
        cls,
        content: Mapping[str, Any],
        images_folder: str | Path | None,
        path: str | Path,
        skeleton: Skeleton | None = None,
    ) -> KeypointDataset:
        """A set from COCO content in memory.

        Args:
            content: ``images``, ``annotations``, ``categories``; not changed. What :func:`complete`
                adds or mends is in the result.
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
        try:
            files = {int(i["id"]): str(i["file_name"]) for i in content["images"]}
            rows = [dict(a) for a in content["annotations"]]
            annotations: dict[int, list[dict[str, Any]]] = {i: [] for i in files}
            for a in rows:
                annotations[int(a["image_id"])].append(a)
            names = category_names(content)
            repaired = sum(complete(a, path) for a in rows)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{path} is not a COCO keypoint set (images, annotations, categories): {error!r}; "
                "`rtmpose data check` lists every such fault"
            ) from error
        if repaired:
            log.warning(
                "%s: %d annotations are damaged: `rtmpose data check` names them", path, repaired
            )
        skeleton = skeleton or skeleton_named(names)
        check_counts(rows, len(skeleton) if skeleton else len(names), path)
        content = {**content, "annotations": rows}
        return cls(
            path, content, locate_images(files, images_folder, path), annotations, names, skeleton
        )

    def labeled(self, image_id: int) -> list[dict[str, Any]]:
        """Annotations of an image that have keypoints and are not crowd regions."""
        return [
            a for a in self.annotations[image_id] if a.get("num_keypoints") and not a.get("iscrowd")
        ]

    def boxes(self, image_id: int) -> FloatArray:
        """Boxes ``(N, 4)`` xyxy of :meth:`labeled`."""
        rows = [a["bbox"] for a in self.labeled(image_id)]
        return np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32).reshape(-1, 4)

    def keypoints(self, image_id: int) -> FloatArray:
        """Keypoints ``(N, K, 3)`` x, y, v of :meth:`labeled`."""
        rows = [a["keypoints"] for a in self.labeled(image_id)]
        k = (
            len(rows[0]) // 3
            if rows
            else len(self.skeleton)
            if self.skeleton
            else len(self.keypoint_names)
        )
        return np.array(rows, np.float32).reshape(len(rows), k, 3)


def load_boxes(path: Path) -> dict[int, Detections]:
    """Boxes by image id from COCO detection results (image_id, bbox x y w h, score).

    Raises:
        InputError: the file is missing or something else.
    """
    rows: dict[int, list[tuple[list[float], float]]] = {}
    try:
        for entry in json.loads(path.read_text(encoding="utf-8")):
            x, y, w, h = entry["bbox"]
            rows.setdefault(int(entry["image_id"]), []).append(
                ([x, y, x + w, y + h], float(entry.get("score", 1)))
            )
    except OSError as error:
        raise InputError(f"the boxes file {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} does not hold COCO detection results (image_id, bbox, score): {error!r}"
        ) from error
    return {i: Detections.from_boxes([b for b, _ in r], [s for _, s in r]) for i, r in rows.items()}


def annotation_file(path: Path) -> Path:
    """The annotation file that ``path`` is or holds.

    Raises:
        InputError: there is none, or more than one.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path} does not exist")
    found = sorted(path.glob("*.json")) or sorted((path / "annotations").glob("*.json"))
    keypoints = [f for f in found if "keypoint" in f.name] or found
    if len(keypoints) != 1:
        names = ", ".join(f.name for f in keypoints) or "none"
        raise InputError(
            f"the folder {path} should hold one annotation file (.json); found: {names}. Name the"
            " file itself"
        )
    return keypoints[0]


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: it cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error


@cache
def skeleton_named(names: tuple[str, ...]) -> Skeleton | None:
    """The set of the package with exactly these keypoints in this order, or None."""
    return next((s for s in map(get_skeleton, skeleton_names()) if s.keypoints == names), None)


def category_names(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Keypoint names of the first category that has any."""
    lists = (c.get("keypoints") for c in content["categories"])
    return next((tuple(map(str, names)) for names in lists if names), ())


def complete(annotation: dict[str, Any], path: Path) -> bool:
    """Give an annotation what others count on, in place, and mend what would poison a training.

    Without them ``num_keypoints`` is counted, ``area`` is estimated as 0.53 of the box (the mean
    ratio of people, as in mmpose) and ``iscrowd`` is 0. Points that are not finite lose their
    label. A box that is not finite or has no area is put around the labeled points, or, where there
    are none, the instance counts as without keypoints.

    Returns:
        Whether something was mended.
    """
    points = annotation.get("keypoints") or []
    try:
        total, box = sum(points), [float(v) for v in annotation.get("bbox") or ()]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: annotation {annotation.get('id')} does not hold numbers (keypoints, bbox):"
            f" {error}"
        ) from error
    mended = not math.isfinite(total)
    if mended:
        rows = [points[i : i + 3] for i in range(0, len(points), 3)]
        points = [v for row in rows for v in (row if math.isfinite(sum(row)) else (0, 0, 0))]
        annotation["keypoints"] = points
        annotation.pop("num_keypoints", None)
    if points and "num_keypoints" not in annotation:
        annotation["num_keypoints"] = sum(1 for v in points[2::3] if v > 0)
    if (len(box) != 4 or not math.isfinite(sum(box)) or min(box[2:]) <= 0) and annotation.get(
        "num_keypoints"
    ):
        mended = True
        box = box_around(points)
        annotation["bbox"] = box
        if min(box[2:]) <= 0:
            annotation["num_keypoints"] = 0
    annotation.setdefault("iscrowd", 0)
    if "area" not in annotation and len(box) == 4:
        annotation["area"] = AREA_OF_BOX * box[2] * box[3]
    return mended


def box_around(points: Sequence[float]) -> list[float]:
    """The smallest box x, y, w, h around labeled points (flat x, y, v triples); zeros where there
    are none.
    """
    rows = [
        (x, y) for x, y, v in zip(points[::3], points[1::3], points[2::3], strict=True) if v > 0
    ]
    if not rows:
        return [0.0, 0.0, 0.0, 0.0]
    (x1, y1), (x2, y2) = (tuple(float(f(c)) for c in zip(*rows, strict=True)) for f in (min, max))
    return [x1, y1, x2 - x1, y2 - y1]


def check_counts(annotations: Iterable[Mapping[str, Any]], k: int, path: Path) -> None:
    """Every annotation with keypoints must have ``k`` of them, or as many as the first one where
    ``k`` is 0.

    Raises:
        InputError: one has not.
    """
    for a in annotations:
        n = len(a.get("keypoints") or ())
        if n and n != 3 * (k := k or n // 3):
            raise InputError(
                f"{path}: annotation {a.get('id')} has {n} keypoint numbers, not {3 * k} (x, y, v"
                f" of {k} points); `rtmpose data check` lists all such faults"
            )


def locate_images(
    files: Mapping[int, str], folder: str | Path | None, path: Path
) -> dict[int, Path]:
    """Paths of the images of an annotation file.

    Annotation tools write names in several ways: relative to the export, with backslashes, or with
    the folders of the machine they ran on. Leading folders are left out, one after the other, until
    a name leads to an existing file; the first way (and folder) that does so for one of the first
    images is used for all.

    Args:
        files: Image id to file name, as written.
        folder: Where they start from; None looks around ``path``.
        path: The annotation file.
    """
    folders = [Path(folder)] if folder is not None else _image_folders(path)
    sample = [name.replace("\\", "/") for name, _ in zip(files.values(), range(20), strict=False)]
    deepest = max((name.count("/") for name in sample), default=0)
    for skip in range(deepest + 1):
        for start in folders:
            if any((start / _without(name, skip)).is_file() for name in sample):
                return {
                    i: start / _without(name.replace("\\", "/"), skip) for i, name in files.items()
                }
    start = folders[0] if folder is not None else path.parent / "images"
    return {i: start / name.replace("\\", "/") for i, name in files.items()}


def _without(name: str, folders: int) -> str:
    """A name without so many leading folders, but always with its last part."""
    parts = name.split("/")
    return "/".join(parts[min(folders, len(parts) - 1) :])


def _image_folders(path: Path) -> list[Path]:
    """Where the images of an annotation file may be, likeliest first."""
    here = path if path.is_dir() else path.parent
    split = path.stem.rsplit("_", 1)[-1]
    names = ("", "images", split, f"images/{split}")
    return [folder / name for folder in (here, here.parent, here.parent.parent) for name in names]
