"""Annotated keypoint sets in COCO form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton, skeleton_names
from rtmpose.types import Detections, FloatArray, Skeleton


@dataclass(frozen=True, eq=False)
class KeypointDataset:
    """A keypoint set in COCO form: what every reader of :mod:`rtmpose.datasets` returns.

    Attributes:
        path: The annotation file (or folder) it came from.
        content: COCO content: ``images``, ``annotations``, ``categories``.
        images: Image id to path.
        annotations: Image id to its annotations; ``bbox`` is x, y, w, h and ``keypoints`` are x, y, v triples, both in
            image pixels; v is 0 for points without a label, 1 for hidden and 2 for visible ones.
        keypoint_names: Of the first category; empty where it has none.
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
            data: An annotation file, or a folder holding one (``*.json`` in it or in ``annotations/``).
            images: The folder that the file names start from. Unless told, images are looked for beside the file, in
                ``images/``, in the folder above, and in folders named like the split (``val2017``).

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
            content: ``images``, ``annotations``, ``categories``. Annotations without ``num_keypoints`` are given it.
            images_folder: The folder that the file names start from; None looks for it around ``path``.
            path: Where the content came from: named in errors, and the place images are looked for.
            skeleton: What the keypoints are; None takes the set with the names of the first category, if there is one.

        Raises:
            InputError: it is not COCO content, or an annotation belongs to an image that is not listed.
        """
        path = Path(path)
        try:
            files = {int(i["id"]): str(i["file_name"]) for i in content["images"]}
            annotations: dict[int, list[dict[str, Any]]] = {i: [] for i in files}
            for a in content["annotations"]:
                annotations[int(a["image_id"])].append(a)
            names = tuple(str(n) for n in content["categories"][0].get("keypoints", ()))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise InputError(
                f"{path} is not a COCO keypoint set (images, annotations, categories): {error!r}; "
                "`rtmpose data check` lists every such fault"
            ) from error
        for rows in annotations.values():
            for a in rows:
                if "num_keypoints" not in a and a.get("keypoints"):
                    a["num_keypoints"] = sum(1 for v in a["keypoints"][2::3] if v > 0)
        if skeleton is None and names:
            skeleton = skeleton_named(names)
        return cls(path, content, locate_images(files, images_folder, path), annotations, names, skeleton)

    def labelled(self, image_id: int) -> list[dict[str, Any]]:
        """Annotations of an image that have keypoints and are not crowd regions."""
        return [a for a in self.annotations[image_id] if a.get("num_keypoints") and not a.get("iscrowd")]

    def boxes(self, image_id: int) -> FloatArray:
        """Boxes ``(N, 4)`` xyxy of :meth:`labelled`."""
        rows = [a["bbox"] for a in self.labelled(image_id)]
        return np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32).reshape(-1, 4)

    def keypoints(self, image_id: int) -> FloatArray:
        """Keypoints ``(N, K, 3)`` x, y, v of :meth:`labelled`."""
        rows = [a["keypoints"] for a in self.labelled(image_id)]
        return np.array(rows, np.float32).reshape(len(rows), -1, 3)


def load_boxes(path: Path) -> dict[int, Detections]:
    """Boxes by image id from COCO detection results (image_id, bbox x y w h, score).

    Raises:
        InputError: the file is missing or something else.
    """
    rows: dict[int, list[tuple[list[float], float]]] = {}
    try:
        for entry in json.loads(path.read_text(encoding="utf-8")):
            x, y, w, h = entry["bbox"]
            rows.setdefault(int(entry["image_id"]), []).append(([x, y, x + w, y + h], float(entry.get("score", 1))))
    except OSError as error:
        raise InputError(f"the boxes file {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} does not hold COCO detection results (image_id, bbox, score): {error!r}") from error
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
            f"the folder {path} should hold one annotation file (.json); found: {names}. Name the file itself"
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


def locate_images(files: Mapping[int, str], folder: str | Path | None, path: Path) -> dict[int, Path]:
    """Paths of the images of an annotation file.

    Annotation tools write names in several ways: relative to the export, with backslashes, or with the folders of the
    machine they ran on. The first way (and folder) that leads to an existing file is used for all.

    Args:
        files: Image id to file name, as written.
        folder: Where they start from; None looks around ``path``.
        path: The annotation file.
    """
    folders = [Path(folder)] if folder is not None else _image_folders(path)
    sample = [name for name, _ in zip(files.values(), range(20), strict=False)]
    for spell in (_as_written, _last_part):
        for start in folders:
            if any((start / spell(name)).is_file() for name in sample):
                return {i: start / spell(name) for i, name in files.items()}
    start = folders[0] if folder is not None else path.parent / "images"
    return {i: start / _as_written(name) for i, name in files.items()}


def _as_written(name: str) -> str:
    return name.replace("\\", "/")


def _last_part(name: str) -> str:
    return _as_written(name).rsplit("/", 1)[-1]


def _image_folders(path: Path) -> list[Path]:
    """Where the images of an annotation file may be, likeliest first."""
    here, above = path.parent if path.suffix else path, (path.parent if path.suffix else path).parent
    split = path.stem.rsplit("_", 1)[-1]
    names = ("", "images", split, f"images/{split}")
    return [here / n for n in names] + [above / n for n in names]
