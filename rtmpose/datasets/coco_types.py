"""Types of COCO content: what is known of the dicts that come from and go into JSON files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

Json: TypeAlias = Any
"""A value out of a JSON file that nothing has been checked of yet."""

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object that nothing has been checked of yet."""

CocoContent: TypeAlias = Mapping[str, Json]
"""A whole COCO file: ``images``, ``annotations``, ``categories`` and perhaps ``info``."""


class CocoImage(TypedDict, total=False):
    """An entry of ``images``; files may hold more fields.

    Attributes:
        id: What annotations refer to.
        file_name: Path of the file, relative to the folder of the images.
        width: Pixels.
        height: Pixels.
        crowdIndex: CrowdPose: how crowded the image is, 0 to 1.
    """

    id: int
    file_name: str
    width: int
    height: int
    crowdIndex: float


class CocoCategory(TypedDict, total=False):
    """An entry of ``categories``; files may hold more fields.

    Attributes:
        id: What annotations refer to.
        name: Such as ``person``.
        keypoints: Names of the keypoints.
        skeleton: Pairs of keypoint numbers that are drawn as limbs, counted from 1.
        sigmas: OKS constants of the keypoints, where they are not those of a published set.
    """

    id: int
    name: str
    keypoints: list[str]
    skeleton: list[list[int]]
    sigmas: list[float]


class CocoAnnotation(TypedDict, total=False):
    """An entry of ``annotations``: one instance in one image; files may hold more fields.

    Attributes:
        id: Number of the annotation.
        image_id: The image it belongs to.
        category_id: The category it belongs to.
        iscrowd: 1 for regions with too many people to annotate one by one.
        bbox: x, y, width, height in image pixels.
        area: Pixels of the instance.
        keypoints: Flat x, y, v triples in image pixels; v is 0 for points without a label, 1 for
            hidden and 2 for visible ones.
        num_keypoints: Number of labeled keypoints.
        foot_kpts: COCO-WholeBody's feet, before its parts are joined.
    """

    id: int
    image_id: int
    category_id: int
    iscrowd: int
    bbox: list[float]
    area: float
    keypoints: list[float]
    num_keypoints: int
    foot_kpts: list[float]
