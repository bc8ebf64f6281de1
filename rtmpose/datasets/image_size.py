"""Width and height of image files, without decoding them where that is possible."""

from __future__ import annotations

from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.sources import read_image

HEADER_BYTES = 64 * 1024
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8"

# Markers 0xC0 to 0xCF start a JPEG frame, but for these three (tables and arithmetic coding).
JPEG_NOT_A_FRAME = (0xC4, 0xC8, 0xCC)


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height of an image, upright; None where it cannot be read.

    PNG and JPEG files are not decoded, unless they carry EXIF data that may turn them.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError:
        return None

    if header.startswith(PNG_SIGNATURE) and len(header) >= 24:
        return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    # JPEG files with EXIF and all other formats have to be decoded.
    size = _jpeg_size(header)
    if size is not None:
        return size

    try:
        image = read_image(path)
    except InputError:
        return None
    return image.shape[1], image.shape[0]


def _jpeg_size(header: bytes) -> tuple[int, int] | None:
    """From the frame header, where it comes early and no EXIF block does."""
    if not header.startswith(JPEG_SIGNATURE) or b"Exif\0\0" in header:
        return None
    # From segment to segment: marker, length, content.
    position = 2
    while position + 9 <= len(header) and header[position] == 0xFF:
        marker = header[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in JPEG_NOT_A_FRAME:
            height = int.from_bytes(header[position + 5 : position + 7], "big")
            width = int.from_bytes(header[position + 7 : position + 9], "big")
            return width, height
        position += 2 + int.from_bytes(header[position + 2 : position + 4], "big")
    return None
