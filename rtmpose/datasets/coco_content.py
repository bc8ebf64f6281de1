"""What a reader hands over: COCO content with its faults still in it, and the pieces to build it
from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets.keypoint_dataset import AREA_OF_BOX, KeypointDataset
from rtmpose.errors import InputError
from rtmpose.skeletons import SIDE_COLORS, generic_skeleton
from rtmpose.sources import read_image
from rtmpose.types import Skeleton

MARK = "rtmpose_keypoint_set"
"""Key in ``info`` of what this package wrote: the file is plain COCO, whatever its keypoints are
called.
"""


@dataclass(frozen=True, eq=False)
class Annotations:
    """The content of an annotation file in COCO form, unchecked.

    Attributes:
        path: The file or folder it came from.
        content: ``images``, ``annotations``, ``categories``.
        images: The folder that the file names start from, where the format says so.
        skeleton: What the keypoints are, where the format says so.
    """

    path: Path
    content: Mapping[str, Any]
    images: Path | None = None
    skeleton: Skeleton | None = None

    def dataset(self) -> KeypointDataset:
        """The set, checked and mended as :meth:`KeypointDataset.from_content` does.

        Raises:
            InputError: see there.
        """
        return KeypointDataset.from_content(self.content, self.images, self.path, self.skeleton)


@dataclass(frozen=True, eq=False)
class Instance:
    """One labeled person, face, hand or animal on its way into COCO content.

    Attributes:
        file_name: Its picture.
        points: ``(K, 3)`` x, y in image pixels (pixel centers at whole numbers, from 0) and v 0, 1,
            2.
        box: x, y, w, h; None puts it around the labeled points.
        extra: Further fields of the annotation.
    """

    file_name: str
    points: NDArray[np.float64]
    box: Sequence[float] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def assemble(
    path: Path,
    folder: Path | None,
    skeleton: Skeleton,
    instances: Iterable[Instance],
    sizes: Mapping[str, tuple[int, int]] | None = None,
    category: str = "person",
) -> Annotations:
    """COCO content from single instances; pictures are numbered from 1 in the order they come.

    Args:
        path: Where they came from.
        folder: The folder of the pictures.
        skeleton: Their keypoints.
        instances: Labeled instances.
        sizes: Width and height of pictures by name, (0, 0) if unknown; those without an instance
            are listed too.
        category: Name of the one category.
    """
    sizes = sizes or {}
    ids = {name: number for number, name in enumerate(sizes, 1)}
    annotations = []
    for number, instance in enumerate(instances, 1):
        image_id = ids.setdefault(instance.file_name, len(ids) + 1)
        annotations.append(
            annotation(number, image_id, instance.points, instance.box, instance.extra)
        )
    images = [
        {
            "id": i,
            "file_name": n,
            **({"width": sizes[n][0], "height": sizes[n][1]} if sizes.get(n, (0, 0))[0] else {}),
        }
        for n, i in ids.items()
    ]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [category_of(skeleton, category)],
    }
    return Annotations(path, content, folder, skeleton)


def annotation(
    number: int,
    image_id: int,
    points: NDArray[np.float64],
    box: Sequence[float] | None,
    extra: Mapping[str, Any] = {},
) -> dict[str, Any]:
    """A COCO annotation of category 1 from ``(K, 3)`` points and an x, y, w, h box."""
    seen = points[points[:, 2] > 0, :2]
    if box is None:
        low, high = (
            (seen.min(axis=0), seen.max(axis=0)) if len(seen) else (np.zeros(2), np.zeros(2))
        )
        box = [*low, *(high - low)]
    flat = [round(float(v), 3) for v in points[:, :2].ravel()]
    rows = [
        c
        for x, y, v in zip(flat[::2], flat[1::2], points[:, 2], strict=True)
        for c in (x, y, int(v))
    ]
    x, y, w, h = (round(float(v), 3) for v in box)
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [x, y, w, h],
        "area": round(AREA_OF_BOX * w * h, 3),
        "keypoints": rows,
        "num_keypoints": len(seen),
        **extra,
    }


def category_of(skeleton: Skeleton, name: str = "person", number: int = 1) -> dict[str, Any]:
    """The COCO category of a keypoint set; its links count from 1, as in COCO."""
    links = [[a + 1, b + 1] for a, b in skeleton.links]
    return {"id": number, "name": name, "keypoints": list(skeleton.keypoints), "skeleton": links}


def skeleton_from_category(category: Mapping[str, Any], k: int) -> Skeleton:
    """A keypoint set from what a COCO category says: names, links, left and right by name.

    Args:
        category: With ``keypoints`` (names) and perhaps ``skeleton`` (pairs counted from 1) and
            ``flip_pairs``.
        k: Number of keypoints, for a category without names.
    """
    names = tuple(map(str, category.get("keypoints") or ()))
    if not names or len(set(names)) != len(names):
        return generic_skeleton(k or len(names))
    plain = generic_skeleton(len(names))
    partner = {n: other for n in names if (other := _side(n)[1]) in names and other != n}
    flip = tuple(names.index(partner.get(n, n)) for n in names)
    sides = tuple(_side(n)[0] if n in partner else "center" for n in names)
    pairs = [tuple(p) for p in category.get("skeleton") or () if len(p) == 2]
    links = tuple((int(a) - 1, int(b) - 1) for a, b in pairs)
    if any(not 0 <= p < len(names) or a == b for a, b in links for p in (a, b)):
        links = ()
    return _colored(str(category.get("name", plain.name)), names, flip, sides, links)


def _colored(
    name: str,
    names: tuple[str, ...],
    flip: tuple[int, ...],
    sides: tuple[str, ...],
    links: tuple[tuple[int, int], ...],
) -> Skeleton:
    lateral = [{sides[a], sides[b]} - {"center"} for a, b in links]
    return Skeleton(
        name=name,
        keypoints=names,
        flip_indices=flip,
        links=links,
        sides=sides,
        link_colors=tuple(SIDE_COLORS[s.pop() if len(s) == 1 else "center"] for s in lateral),
        keypoint_colors=tuple(SIDE_COLORS[s] for s in sides),
        description="as in the annotation file",
    )


# How names tell left from right: a pattern around the word, and the two words. The first that is
# found counts.
SIDE_RULES = (
    ("{}", "left", "right"),
    ("{}", "Left", "Right"),
    ("{}", "LEFT", "RIGHT"),
    (r"^{}(?=[_. ])", "L", "R"),
    (r"^{}(?=[_. ])", "l", "r"),
    (r"(?<=[_. ]){}$", "L", "R"),
    (r"(?<=[_. ]){}$", "l", "r"),
    (r"(?<=[a-z]){}(?=\d*$)", "L", "R"),
)


def _side(name: str) -> tuple[str, str]:
    """``left``, ``right`` or ``center`` by a point's name, and what its partner would be called."""
    for pattern, left, right in SIDE_RULES:
        for side, mine, other in (("left", left, right), ("right", right, left)):
            found = pattern.replace("{}", mine)
            if re.search(found, name):
                return side, re.sub(found, other, name)
    return "center", name


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture, upright; None where it cannot be read.

    PNG and JPEG files are not decoded, unless they carry EXIF data that may turn them.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64 * 1024)
    except OSError:
        return None
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    size = _jpeg_size(head)
    if size is not None:
        return size
    try:
        image = read_image(path)
    except InputError:
        return None
    return image.shape[1], image.shape[0]


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """From the frame header, where it comes early and no EXIF block does."""
    if not head.startswith(b"\xff\xd8") or b"Exif\0\0" in head:
        return None
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(
                head[at + 5 : at + 7], "big"
            )
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def text_lines(path: Path) -> list[str]:
    """The non-empty lines of a text file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return [
            line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        ]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def numbers(words: Sequence[str], path: Path, line: int) -> list[float]:
    """Words of a line of a text file as numbers.

    Raises:
        InputError: one is not a number; the message names file and line.
    """
    try:
        return [float(w) for w in words]
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {error}") from error
