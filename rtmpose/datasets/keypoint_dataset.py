"""Annotated keypoint sets in COCO form."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtmpose.datasets.annotation_files import find_annotation_file, locate_images, read_json
from rtmpose.datasets.annotation_repair import check_keypoint_counts, complete_annotation
from rtmpose.datasets.category_skeletons import category_keypoints, skeleton_with_keypoints
from rtmpose.datasets.coco_types import CocoAnnotation, CocoContent
from rtmpose.errors import InputError
from rtmpose.types import Detections, FloatArray, Skeleton

log = logging.getLogger(__name__)


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
        try:
            # Annotations by image, copied so that the given content stays as it is.
            file_names = {int(i["id"]): str(i["file_name"]) for i in content["images"]}
            rows = [dict(a) for a in content["annotations"]]
            annotations: dict[int, list[CocoAnnotation]] = {i: [] for i in file_names}
            for row in rows:
                annotations[int(row["image_id"])].append(row)  # type: ignore[arg-type]
            names = category_keypoints(content)
            repaired = sum(complete_annotation(row, path) for row in rows)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{path} is not a COCO keypoint set (images, annotations, categories): {error!r}; "
                "`rtmpose data check` lists every such issue"
            ) from error
        if repaired:
            log.warning(
                "%s: %d annotations are damaged and were repaired: `rtmpose data check` names them",
                path,
                repaired,
            )

        # What the keypoints are, and where the images are.
        skeleton = skeleton or skeleton_with_keypoints(names)
        check_keypoint_counts(rows, len(skeleton) if skeleton else len(names), path)
        images = locate_images(file_names, images_folder, path)
        return cls(path, {**content, "annotations": rows}, images, annotations, names, skeleton)

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


def load_boxes(path: Path) -> dict[int, Detections]:
    """Boxes by image id from COCO detection results (image_id, bbox x y w h, score).

    Raises:
        InputError: the file is missing or something else.
    """
    boxes: dict[int, list[list[float]]] = {}
    scores: dict[int, list[float]] = {}
    entries = read_json(path)
    try:
        for entry in entries:
            image_id = int(entry["image_id"])
            x, y, w, h = entry["bbox"]
            score = float(entry.get("score", 1))
            boxes.setdefault(image_id, []).append([x, y, x + w, y + h])
            scores.setdefault(image_id, []).append(score)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} does not hold COCO detection results (image_id, bbox, score): {error!r}"
        ) from error
    return {i: Detections.from_boxes(boxes[i], scores[i]) for i in boxes}
