"""Annotated keypoint sets in COCO format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError
from rtmpose.types import Detections, FloatArray


@dataclass(frozen=True, eq=False)
class KeypointDataset:
    """A COCO-format keypoint set.

    Attributes:
        path: The annotation file.
        content: What it holds.
        images: Image id to path.
        annotations: Image id to its annotations.
        keypoint_names: Of the first category; empty where it has none.
    """

    path: Path
    content: Mapping[str, Any]
    images: Mapping[int, Path]
    annotations: Mapping[int, list[dict[str, Any]]]
    keypoint_names: tuple[str, ...]

    @classmethod
    def load(cls, data: str | Path) -> KeypointDataset:
        """Open a set.

        Args:
            data: An annotation file, or a folder holding one (``*.json`` in it or in ``annotations/``). Images are
                looked for beside it, in ``images/``, and in the folder above.

        Raises:
            InputError: there is no such file, or it is not a COCO keypoint set.
        """
        path = _annotation_file(Path(data))
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            images = {int(i["id"]): str(i["file_name"]) for i in content["images"]}
            annotations: dict[int, list[dict[str, Any]]] = {i: [] for i in images}
            for a in content["annotations"]:
                annotations[int(a["image_id"])].append(a)
            names = tuple(content["categories"][0].get("keypoints", ()))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(
                f"{path} is not a COCO keypoint set (images, annotations, categories): {error!r}"
            ) from error
        folders = (path.parent, path.parent / "images", path.parent.parent, path.parent.parent / "images")
        first = next(iter(images.values()), "")
        folder = next((f for f in folders if (f / first).is_file()), folders[1])
        return cls(path, content, {i: folder / n for i, n in images.items()}, annotations, names)

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


def _annotation_file(path: Path) -> Path:
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
