"""The images of a training: read, counted where they are missing or damaged, and split."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets import KeypointDataset
from rtmpose.datasets.hold_out import GROUP_FIELD
from rtmpose.errors import InputError
from rtmpose.sources.images import decode_image
from rtmpose.sources.png import PNG_START
from rtmpose.sources.webp import is_webp

log = logging.getLogger(__name__)

MAX_UNREADABLE = 0.05
"""Largest share of unreadable images that a training goes on with."""

ALWAYS_TOLERATED = 10
"""Number of unreadable images that never stop a training."""

PNG_DEPTH_AT = 24
"""Where the header of a PNG says its bits per channel."""

SPLIT_STEPS = 10000
"""The share of validation images is exact to one in this number."""


def read_image_or_none(path: Path) -> NDArray[np.uint8] | None:
    """BGR pixels, upright, as :func:`rtmpose.read_image` gives them; None where the file is missing
    or damaged.
    """
    # Through Python, as OpenCV cannot open every path on Windows.
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if not _is_plain(data):
        try:
            return decode_image(data, str(path))
        except InputError as error:
            log.warning("%s", error)
            return None

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _is_plain(data: bytes) -> bool:
    """Whether OpenCV alone reads a file right: 8 bits, no orientation but that of a JPEG. It is
    quicker than the reader that finds all damage.
    """
    if data.startswith((b"\xff\xd8", b"BM")):
        return True
    if data.startswith(PNG_START):
        return data[PNG_DEPTH_AT : PNG_DEPTH_AT + 1] <= b"\x08" and b"eXIf" not in data
    return is_webp(data) and b"EXIF" not in data and b"ANIM" not in data


class ReadFailures:
    """Counts the images that cannot be read while training.

    Args:
        total: Number of images or samples.
        consequence: What becomes of such an image, for the warning.
    """

    def __init__(self, total: int, consequence: str) -> None:
        self.paths: set[Path] = set()
        self._limit = max(ALWAYS_TOLERATED, MAX_UNREADABLE * total)
        self._consequence = consequence
        self._lock = threading.Lock()

    def __contains__(self, path: Path) -> bool:
        return path in self.paths

    def add(self, path: Path) -> None:
        """Note an image; the first time with a warning.

        Raises:
            InputError: there are too many.
        """
        # Loader threads share the count.
        with self._lock:
            first_time = path not in self.paths
            self.paths.add(path)
            number = len(self.paths)
        if number > self._limit:
            raise InputError(
                f"{number} images cannot be read, the last of them {path}; `rtmpose data check`"
                " lists all of them"
            )
        if first_time:
            log.warning("%s is missing or damaged; %s", path, self._consequence)


def warn_of_missing(dataset: KeypointDataset, missing: Sequence[Path]) -> None:
    """Warn of images of a set that do not exist.

    Raises:
        InputError: there are too many of them.
    """
    if not missing:
        return
    total = len(dataset.images)
    text = f"{dataset.path}: {len(missing)} of {total} images are missing, such as {missing[0]}"
    if len(missing) > MAX_UNREADABLE * total:
        raise InputError(f"{text}; is the image folder right? `rtmpose data check` lists them")
    log.warning("%s; training goes on without them", text)


def validation_mask(keys: Sequence[str], fraction: float) -> NDArray[np.bool_]:
    """Which images are kept for validation: a fixed choice by the hash of their key.

    Of two images or more, at least one is kept and one is left.
    """
    hashes = {key: crc32(key.encode()) % SPLIT_STEPS for key in keys}
    limit = fraction * SPLIT_STEPS
    kept = {key for key, value in hashes.items() if value < limit}
    if fraction > 0 and len(hashes) > 1:
        if not kept:
            kept = {min(hashes, key=hashes.__getitem__)}
        elif len(kept) == len(hashes):
            kept.discard(max(hashes, key=hashes.__getitem__))
    # Samples of one image have one key: they stay together.
    return np.fromiter((key in kept for key in keys), np.bool_, len(keys))


def image_key(image: Mapping[str, object]) -> str:
    """The same for the same image in several sets: COCO's own files are named by the id.

    Images of one group (``rtmpose data convert --group-by``) have one key: a split keeps them
    together.
    """
    if GROUP_FIELD in image:
        return f"{GROUP_FIELD}:{image[GROUP_FIELD]}"
    # Sets made from COCO say which image theirs were.
    for field in ("coco_image_id", "source_image"):
        if field in image:
            return f"{field}:{image[field]}"
    name = Path(str(image["file_name"]))

    # COCO's own naming: twelve digits.
    if len(name.stem) == 12 and name.stem.isdecimal():
        return f"coco_image_id:{int(name.stem)}"
    return str(image["file_name"])
