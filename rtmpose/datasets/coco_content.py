"""What a reader returns: COCO content with its errors still in it, and functions that build it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets.annotation_repair import BOX_TO_AREA
from rtmpose.datasets.category_skeletons import category_of
from rtmpose.datasets.check_report import tell_faults
from rtmpose.datasets.coco_entries import check_one_skeleton
from rtmpose.datasets.coco_types import CocoContent, CocoImage, Json, JsonObject
from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.types import Skeleton

WRITTEN_BY_US = "rtmpose_keypoint_set"
"""Key in ``info`` of the files that this package wrote: they are plain COCO, whatever their
keypoints are called.
"""

DECIMALS = 3


@dataclass(frozen=True, eq=False)
class Annotations:
    """The content of an annotation file in COCO form, unchecked.

    Attributes:
        path: The file or folder it came from.
        content: ``images``, ``annotations``, ``categories``.
        images: The folder that the file names start from, where the format says so.
        skeleton: What the keypoints are, where the format says so.
        faults: Kind (of :data:`rtmpose.datasets.check_report.ISSUE_KINDS`) and text of what a
            reader found that COCO content cannot hold.
        categories: Of a COCO file, as they are in it; in ``content`` they have the names and links
            of ``skeleton``.
    """

    path: Path
    content: CocoContent
    images: Path | None = None
    skeleton: Skeleton | None = None
    categories: Sequence[Json] = ()
    faults: Sequence[tuple[str, str]] = ()

    def dataset(self) -> KeypointDataset:
        """The set, checked and repaired as :meth:`KeypointDataset.from_content` does.

        Raises:
            InputError: see there; or a fault of the reader is an error.
        """
        tell_faults(self.path, self.faults)
        check_one_skeleton({"categories": list(self.categories)}, self.path)
        return KeypointDataset.from_content(self.content, self.images, self.path, self.skeleton)


@dataclass(frozen=True, eq=False)
class Instance:
    """One labeled person, face, hand or animal, not yet in COCO form.

    Attributes:
        file_name: Its image.
        points: ``(K, 3)`` x, y in image pixels (pixel centers at whole numbers, from 0) and v 0, 1,
            2.
        box: x, y, w, h; None puts it around the labeled points.
        extra: Further fields of the annotation.
    """

    file_name: str
    points: NDArray[np.float64]
    box: Sequence[float] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


def build_annotations(
    path: Path,
    folder: Path | None,
    skeleton: Skeleton,
    instances: Iterable[Instance],
    sizes: Mapping[str, tuple[int, int]] | None = None,
    category: str = "person",
) -> Annotations:
    """COCO content from single instances; images are numbered from 1 in the order they come.

    Args:
        path: Where they came from.
        folder: The folder of the images.
        skeleton: Their keypoints.
        instances: Labeled instances.
        sizes: Width and height of images by name, (0, 0) if unknown; those without an instance are
            listed too.
        category: Name of the one category.
    """
    sizes = sizes or {}
    # Images with a size come first, in their order, whether they have instances or not.
    image_ids = {name: number for number, name in enumerate(sizes, 1)}
    annotations = []
    for number, instance in enumerate(instances, 1):
        image_id = image_ids.setdefault(instance.file_name, len(image_ids) + 1)
        annotations.append(_annotation(number, image_id, instance))

    # Sizes are known where the files are there.
    images = []
    for name, image_id in image_ids.items():
        image: CocoImage = {"id": image_id, "file_name": name}
        width, height = sizes.get(name, (0, 0))
        if width:
            image["width"] = width
            image["height"] = height
        images.append(image)

    content = {
        "images": images,
        "annotations": annotations,
        "categories": [category_of(skeleton, category)],
    }
    return Annotations(path, content, folder, skeleton)


def _annotation(number: int, image_id: int, instance: Instance) -> JsonObject:
    """A COCO annotation of category 1."""
    points = instance.points
    labeled = points[points[:, 2] > 0, :2]
    # A thousandth of a pixel is plenty, and makes files smaller.
    keypoints: list[float] = []
    for x, y, v in points:
        keypoints += (round(float(x), DECIMALS), round(float(y), DECIMALS), int(v))

    box = instance.box if instance.box is not None else _box_around(labeled)
    x, y, w, h = (round(float(v), DECIMALS) for v in box)
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [x, y, w, h],
        "area": round(BOX_TO_AREA * w * h, DECIMALS),
        "keypoints": keypoints,
        "num_keypoints": len(labeled),
        **instance.extra,
    }


def _box_around(labeled: NDArray[np.float64]) -> list[float]:
    """x, y, w, h around ``(N, 2)`` points; zeros where there are none."""
    if not len(labeled):
        return [0.0, 0.0, 0.0, 0.0]
    low = labeled.min(axis=0)
    size = labeled.max(axis=0) - low
    return [*low.tolist(), *size.tolist()]
