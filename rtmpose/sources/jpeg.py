"""JPEG files, decoded by a library that reports damaged data instead of hiding it.

libjpeg goes on after damaged data and calls that a warning. OpenCV and Pillow drop the warning or
print it; simplejpeg hands it over. Its pixels are those of OpenCV, bit by bit.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg

from rtmpose.errors import InputError
from rtmpose.sources.decoded import Decoded, check_size
from rtmpose.sources.exif import EXIF_START, exif_orientation
from rtmpose.sources.pillow_images import pillow_errors
from rtmpose.types import Image

JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
SCAN = 0xDA
SCAN_START = b"\xff\xda"
MAX_SCANS = 500
"""A progressive JPEG has about ten; every one of thousands would go over all pixels."""
APP1 = 0xE1
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
GRAY_OR_COLOR = (1, 3)
"""Numbers of color channels that are read directly; CMYK has four."""
RARE = "subsampling level"
"""What simplejpeg says of a file that is whole, but of a kind that it does not know."""


@dataclass(frozen=True)
class _Header:
    """What stands before the pixels."""

    width: int = 0
    height: int = 0
    channels: int = 0
    orientation: int = 1
    has_end: bool = True
    scans: int = 0


def decode_jpeg(data: bytes, name: str) -> Decoded:
    """Decode a JPEG file.

    Args:
        data: The file's content.
        name: Names it in errors.

    Raises:
        InputError: it was cut short, is too large, or cannot be decoded.
    """
    header = _read_header(data)
    check_size(name, header.width, header.height)
    if header.scans > MAX_SCANS:
        raise InputError(f"{name} is a JPEG with {header.scans} scans; no program writes that many")
    if header.channels not in (0, *GRAY_OR_COLOR):
        return _decode_cmyk(data, name, header)

    # Without the end marker, the pixels may be whole all the same: only the decoder knows.
    try:
        image = simplejpeg.decode_jpeg(data if header.has_end else data + JPEG_END, "BGR")
        damage = "" if header.has_end else "it has no end marker, though its pixels are whole"
    except ValueError as error:
        if not header.has_end:
            raise InputError(
                f"{name} is a JPEG that was cut short; its lower part is missing"
            ) from error
        image = _decode_damaged(data, name)
        damage = "" if RARE in str(error) else _reason(error)
    return Decoded(image, header.orientation, damage)


def _decode_damaged(data: bytes, name: str) -> Image:
    """What can be had of a damaged file."""
    try:
        return simplejpeg.decode_jpeg(data, "BGR", strict=False)
    except ValueError:
        return _decode_with_pillow(data, name)


def _decode_cmyk(data: bytes, name: str, header: _Header) -> Decoded:
    """A JPEG with four channels, as programs for print make them."""
    # Pillow knows whether the inks are inverted, simplejpeg whether the data are damaged.
    damage = ""
    try:
        simplejpeg.decode_jpeg(data, "CMYK")
    except ValueError as error:
        damage = _reason(error)
    return Decoded(_decode_with_pillow(data, name), header.orientation, damage)


def _decode_with_pillow(data: bytes, name: str) -> Image:
    """Rare forms: CMYK, unusual subsampling."""
    with pillow_errors(name):
        from PIL import JpegImagePlugin

        picture = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        rgb = np.asarray(picture.convert("RGB"))
    return np.ascontiguousarray(rgb[..., ::-1])


def _read_header(data: bytes) -> _Header:
    """Size, channels and orientation; whether an end marker follows the pixels."""
    width = height = channels = 0
    orientation = 1
    at = 2
    # Segments have a marker and a length; the scan runs to the end marker.
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == SCAN:
            end = data.find(JPEG_END, at)
            scans = data.count(SCAN_START, at, end if end >= 0 else len(data))
            return _Header(width, height, channels, orientation, end >= 0, scans)
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in FRAME_HEADERS:
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            channels = data[at + 9] if at + 9 < len(data) else 0
        elif marker == APP1 and data[at + 4 : at + 10] == EXIF_START:
            orientation = exif_orientation(data[at + 10 : at + 2 + size])
        at += 2 + size
    # No scan: cut short within the headers, or not the usual layout, which is left to the decoder.
    return _Header(width, height, channels, orientation, has_end=at < len(data))


def _reason(error: ValueError) -> str:
    return str(error).strip() or "its data are damaged"
