"""The orientation of a photo: read from its EXIF data, and applied."""

from __future__ import annotations

import cv2
import numpy as np

from rtmpose.types import Image

ORIENTATION_TAG = 0x0112
SHORT = 3
EXIF_START = b"Exif\0\0"


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, in a block of EXIF data; 1 where there is none.

    Args:
        exif: A TIFF header and its first directory, with or without ``Exif`` in front.
    """
    # Only the first directory is looked at: others are of the thumbnail.
    tiff = exif.removeprefix(EXIF_START)
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)  # type: ignore[arg-type]

    directory = number(4, 4)
    for entry in range(directory + 2, directory + 2 + 12 * number(directory, 2), 12):
        if entry + 12 > len(tiff):
            break
        if number(entry, 2) == ORIENTATION_TAG and number(entry + 2, 2) == SHORT:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def upright(image: Image, orientation: int) -> Image:
    """An image turned and mirrored as its orientation says.

    Args:
        image: ``(H, W, 3)``, as stored.
        orientation: As EXIF defines it: 1 is upright, 6 lies on its left side.
    """
    # From 5 on rows and columns are exchanged; what is left is mirroring.
    if orientation >= 5:
        image = cv2.transpose(image)
    if orientation in (2, 6):
        image = image[:, ::-1]
    elif orientation in (3, 7):
        image = image[::-1, ::-1]
    elif orientation in (4, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
