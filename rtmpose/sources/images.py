"""Read an image by its content: whatever its name says, upright, as BGR uint8."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rtmpose.errors import InputError
from rtmpose.types import Image

JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
JPEG_SCAN = 0xDA
PNG_START = b"\x89PNG\r\n\x1a\n"


def read_image(path: str | Path) -> Image:
    """Read an image file.

    Gray and palette images become BGR, transparency is dropped, 16-bit values are scaled to 8,
    and the EXIF orientation is applied. The file's suffix does not matter.

    Returns:
        BGR uint8 ``(H, W, 3)``.

    Raises:
        InputError: the file is missing, empty, cut short, not an image, or too large to decode.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not an image")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str = "the image") -> Image:
    """Decode the bytes of an image file; see :func:`read_image`.

    Args:
        data: The file's content.
        name: Names it in errors.
    """
    # OpenCV fills a truncated image with gray, so its end is looked for first.
    if not data:
        raise InputError(f"{name} is empty (0 bytes)")
    if data.startswith(JPEG_START) and not _jpeg_is_whole(data):
        raise InputError(f"{name} is a JPEG that was cut short; its lower part is missing")
    if data.startswith(PNG_START) and b"IEND" not in data[-64:]:
        raise InputError(f"{name} is a PNG that was cut short; its lower part is missing")
    try:
        # Without ANYDEPTH, OpenCV turns 16 bits into 8; IMREAD_COLOR applies the EXIF orientation.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise InputError(
            f"{name} cannot be decoded: {str(error).strip().splitlines()[0]}"
        ) from error
    if image is None or image.size == 0:
        raise InputError(f"{name} is not an image OpenCV can read, or it is damaged")
    return np.ascontiguousarray(image, np.uint8)


def looks_like_image(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a common image format."""
    # By signature; the suffix may say anything.
    return (
        head.startswith(
            (JPEG_START, PNG_START, b"BM", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")
        )
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"heic"))
        or (head[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6") and head[2:3].isspace())
    )


def _jpeg_is_whole(data: bytes) -> bool:
    """Whether an end marker follows the scan. OpenCV fills what is missing with gray and does not
    say so.
    """
    # Segments have a marker and a length; the scan runs to the end marker.
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return True  # not the usual layout: leave the verdict to the decoder
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == JPEG_SCAN:
            return data.find(JPEG_END, at) >= 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False
