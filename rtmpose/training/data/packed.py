"""People packed into one file: crops of one size, with the keypoints that a model found.

The file is a ZIP without compression: ``people.json`` (COCO content, labels marked as a model's)
and ``images/000001.jpg`` and so on. Unpacked it is a set like any other.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtmpose.datasets import KeypointDataset
from rtmpose.errors import InputError
from rtmpose.files import atomic_binary
from rtmpose.sources import decode_image
from rtmpose.text_files import parse_json, to_json
from rtmpose.training.data.images import ReadFailures
from rtmpose.types import FloatArray, Skeleton

SUFFIX = ".zip"
PEOPLE = "people.json"
IMAGES = "images"

SURE = 0.3
"""Score from which a model's keypoint is stored."""

LARGEST_ENTRY = 256 << 20
"""Bytes of ``people.json``, and of an image, that are read."""

DECODERS = 4
"""Threads that decode images."""


@dataclass(frozen=True, eq=False)
class PackedPerson:
    """One person of a packed file.

    Attributes:
        jpeg: The crop, as a file.
        box: ``(4,)`` xyxy in crop pixels.
        keypoints: ``(K, 3)`` x, y in crop pixels and score.
        source: Which image or frame it is from.
        hash: Of the person's pixels, in hex: :func:`rtmpose.datasets.image_hash.difference_hash`.
    """

    jpeg: bytes
    box: FloatArray
    keypoints: FloatArray
    source: str
    hash: str


def write_packed(
    path: Path,
    people: Iterable[PackedPerson],
    skeleton: Skeleton,
    wh: tuple[int, int],
    notes: Mapping[str, object] | None = None,
) -> int:
    """Write a packed file, whole or not at all; returns the number of people.

    Args:
        path: Ends with ``.zip``.
        people: Crops of one size, taken one by one.
        skeleton: Of their keypoints.
        wh: Size of the crops.
        notes: Further fields of ``people.json``.

    Raises:
        OutputError: it cannot be written.
    """
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    with atomic_binary(path) as file, zipfile.ZipFile(file, "w") as archive:
        for number, person in enumerate(people, 1):
            name = f"{number:06d}.jpg"
            archive.writestr(zipfile.ZipInfo(f"{IMAGES}/{name}"), person.jpeg)
            images.append(
                {
                    "id": number,
                    "file_name": name,
                    "width": wh[0],
                    "height": wh[1],
                    "source_image": person.source,
                }
            )
            annotations.append(_annotation(number, person))
        content = {
            **(notes or {}),
            "images": images,
            "annotations": annotations,
            "categories": [
                {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints), "skeleton": []}
            ],
        }
        archive.writestr(zipfile.ZipInfo(PEOPLE), to_json(content))
    return len(images)


def _annotation(number: int, person: PackedPerson) -> dict[str, object]:
    x0, y0, x1, y1 = (round(float(v), 1) for v in person.box)
    labels: list[float] = []
    for x, y, score in person.keypoints.tolist():
        labels += [round(x, 1), round(y, 1), 2] if score >= SURE else [0, 0, 0]
    return {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [x0, y0, round(x1 - x0, 1), round(y1 - y0, 1)],
        "keypoints": labels,
        "num_keypoints": sum(v > 0 for v in labels[2::3]),
        "label_source": "teacher",
        "hash": person.hash,
    }


def packed_people(path: Path) -> tuple[list[PackedPerson], dict[str, Any]]:
    """The people of a packed file, and its further fields, to be packed again. The score of a
    keypoint is 1 where it was stored.

    Raises:
        InputError: it is missing or damaged.
    """
    people: list[PackedPerson] = []
    with _opened(path) as archive:
        content = parse_json(_entry(archive, PEOPLE, path), f"{PEOPLE} of {path}")
        rows = zip(content["images"], content["annotations"], strict=True)
        for image, annotation in rows:
            x, y, w, h = annotation["bbox"]
            points = np.array(annotation["keypoints"], np.float32).reshape(-1, 3)
            points[:, 2] = points[:, 2] > 0
            people.append(
                PackedPerson(
                    _entry(archive, f"{IMAGES}/{image['file_name']}", path),
                    np.array([x, y, x + w, y + h], np.float32),
                    points,
                    image["source_image"],
                    annotation["hash"],
                )
            )
    coco = ("images", "annotations", "categories")
    return people, {key: value for key, value in content.items() if key not in coco}


def is_packed(data: object) -> bool:
    """Whether a name is that of a packed file, or a set was read from one."""
    path = data.path if isinstance(data, KeypointDataset) else Path(str(data))
    return path.suffix.lower() == SUFFIX


def read_packed(path: str | Path) -> KeypointDataset:
    """The people of a packed file; the images' paths are within it and do not exist as files.

    Raises:
        InputError: it is missing, damaged, or something else.
    """
    path = Path(path)
    with _opened(path) as archive:
        content = parse_json(_entry(archive, PEOPLE, path), f"{PEOPLE} of {path}")
    return KeypointDataset.from_content(content, path / IMAGES, path)


class PackedImages:
    """The images of packed files, decoded into one tensor.

    Args:
        datasets: From :func:`read_packed`.

    Attributes:
        rows: Path of each image, and its place in the tensor.
        failures: Those that could not be decoded: they are black.

    Raises:
        InputError: images differ in size, or too many are damaged.
    """

    def __init__(self, datasets: Sequence[KeypointDataset]) -> None:
        sizes = {(i["width"], i["height"]) for d in datasets for i in d.content["images"]}
        if len(sizes) != 1:
            raise InputError(
                "packed files that are trained on together hold crops of one size, not of "
                + " and ".join(sorted(f"{w}x{h}" for w, h in sizes))
            )
        ((self.width, self.height),) = sizes
        paths = [path for dataset in datasets for path in dataset.images.values()]
        self.rows = {path: row for row, path in enumerate(paths)}
        self.failures = ReadFailures(len(paths), "it is left out of the loss")
        pixels = np.zeros((len(paths), self.height, self.width, 3), np.uint8)
        for dataset in datasets:
            self._decode(dataset, pixels)
        self._pixels = torch.from_numpy(pixels)

    def on(self, device: torch.device) -> Tensor:
        """BGR uint8 ``(N, H, W, 3)`` on a device, where they stay from then on."""
        self._pixels = self._pixels.to(device)
        return self._pixels

    def _decode(self, dataset: KeypointDataset, pixels: NDArray[np.uint8]) -> None:
        shape = (self.height, self.width, 3)
        with _opened(dataset.path) as archive, ThreadPoolExecutor(DECODERS) as pool:
            # One entry after the other is read, several are decoded at a time.
            data = (
                (path, _entry(archive, f"{IMAGES}/{path.name}", dataset.path))
                for path in dataset.images.values()
            )
            for path, image in pool.map(_decoded, data):
                if image is None or image.shape != shape:
                    self.failures.add(path)
                else:
                    pixels[self.rows[path]] = image


def _decoded(entry: tuple[Path, bytes]) -> tuple[Path, NDArray[np.uint8] | None]:
    path, data = entry
    try:
        return path, decode_image(data, str(path))
    except InputError:
        return path, None


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as a packed file: {error}") from error


def _entry(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """The content of an entry, of a size that fits into memory; nothing for a damaged image."""
    try:
        info = archive.getinfo(name)
        if info.file_size > LARGEST_ENTRY or info.compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{path} is no packed file of rtmpose: {name} is compressed or huge")
        return archive.read(info)
    except (KeyError, OSError, RuntimeError, zipfile.BadZipFile) as error:
        if name == PEOPLE:
            raise InputError(
                f"{path} is no packed file of people: {PEOPLE} is missing or damaged"
            ) from error
        return b""
