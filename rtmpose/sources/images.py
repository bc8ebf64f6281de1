"""Read an image by its content: whatever its name says, upright, as BGR uint8."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.shown_names import shown_name
from rtmpose.sources.bmp import BMP_START, bmp_damage
from rtmpose.sources.decoded import Decoded
from rtmpose.sources.depth import to_8_bit
from rtmpose.sources.exif import upright
from rtmpose.sources.foreign_files import RAW, describe_foreign
from rtmpose.sources.jpeg import JPEG_START, decode_jpeg
from rtmpose.sources.opencv_log import quiet_opencv
from rtmpose.sources.pillow_images import decode_with_pillow, is_avif, is_heic
from rtmpose.sources.png import PNG_START, check_png
from rtmpose.sources.tiff import TIFF_STARTS, check_tiff
from rtmpose.sources.webp import check_webp, is_webp
from rtmpose.types import Image

log = logging.getLogger(__name__)

JPEG_2000_START = b"\0\0\0\x0cjP  "
STARTS = (JPEG_START, PNG_START, BMP_START, b"GIF8", JPEG_2000_START, *TIFF_STARTS)

_said: set[str] = set()
"""What was said of deep pixels: once per process."""
MAX_BYTES = 2**32
"""Size of the largest image file; what is larger is no image, or no memory holds its pixels."""


def read_image(path: str | Path, *, strict: bool = False) -> Image:
    """Read an image file.

    Gray and palette images become BGR, transparency is dropped, 16-bit values are scaled to 8,
    and the EXIF orientation is applied. The file's suffix does not matter. Of an animation the
    first frame is taken.

    A file with damaged pixels is read as far as it can be, and a warning is logged.

    Args:
        path: The file.
        strict: Refuse a file with damaged pixels.

    Returns:
        BGR uint8 ``(H, W, 3)``.

    Raises:
        InputError: the file is missing, empty, cut short, not an image, or too large to decode.
    """
    return decode_image(read_file(path), str(path), strict=strict)


def read_file(path: str | Path) -> bytes:
    """The content of an image file.

    Raises:
        InputError: it cannot be read.
    """
    path = Path(path)
    shown = shown_name(path)
    try:
        if path.is_dir():
            raise InputError(f"{shown} is a folder, not an image")
        status = path.stat()
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            raise InputError(f"{shown} is a device, not an image")
        if status.st_size > MAX_BYTES:
            raise InputError(f"{shown} is {status.st_size / 1e9:.1f} GB, too large for an image")
        return path.read_bytes()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise InputError(f"{shown} is a link to a file that does not exist") from error
        raise InputError(f"{shown} does not exist") from error
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a null character, which no path has
        raise InputError(f"{shown} cannot be read: {error}") from error


def decode_image(data: bytes, name: str = "the image", *, strict: bool = False) -> Image:
    """Decode the bytes of an image file; see :func:`read_image`.

    Args:
        data: The file's content.
        name: Names it in errors and warnings.
        strict: Refuse damaged pixels.
    """
    name = shown_name(name)
    if not data:
        raise InputError(f"{name} is empty (0 bytes)")
    decoded = _decode(data, name)
    if decoded.damage:
        if strict:
            raise InputError(f"{name} is damaged: {decoded.damage}")
        log.warning("%s is damaged: %s", name, decoded.damage)
    for note in decoded.notes:
        _say_once(name, note)
    return upright(decoded.image, decoded.orientation)


def looks_like_image(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a common image format."""
    # By signature; the suffix may say anything.
    return (
        head.startswith(STARTS)
        or is_webp(head)
        or is_avif(head)
        or is_heic(head)
        or (head[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6") and head[2:3].isspace())
    )


def _say_once(name: str, note: str) -> None:
    """A folder of a thousand such files needs no thousand lines."""
    first = note not in _said
    _said.add(note)
    log.log(logging.WARNING if first else logging.INFO, "%s: %s", name, note)


def _decode(data: bytes, name: str) -> Decoded:
    """By the first bytes."""
    if data.startswith(JPEG_START):
        return decode_jpeg(data, name)
    if data.startswith(PNG_START):
        png = check_png(data, name)
        return _with_opencv(png.data, name, png.orientation, png.damage)
    if data.startswith(TIFF_STARTS):
        return _decode_tiff(data, name)
    if is_webp(data):
        webp = check_webp(data, name)
        # OpenCV takes no animation apart.
        if webp.animated:
            return decode_with_pillow(data, name)
        return _with_opencv(data, name, webp.orientation, webp.damage)
    if data.startswith(BMP_START):
        return _with_opencv(data, name, damage=bmp_damage(data, name))
    if data.startswith(b"GIF8") or is_heic(data) or is_avif(data):
        return decode_with_pillow(data, name)
    known = describe_foreign(data, name)
    if known:
        raise InputError(f"{name} is {known}")
    return _with_opencv(data, name)


def _with_opencv(data: bytes, name: str, orientation: int = 1, damage: str = "") -> Decoded:
    quiet_opencv()
    pixels = _pixels(data)
    if pixels is None or pixels.size == 0:
        raise InputError(f"{name} is not an image that can be read, or it is damaged")
    image, note = to_8_bit(pixels)
    return Decoded(_three_channels(image), orientation, damage, (note,) if note else ())


def _pixels(data: bytes) -> NDArray[np.generic] | None:
    """Pixels as they are stored, in three channels where OpenCV can make them."""
    color = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    # Floats are only given as they are.
    for flags in (color, cv2.IMREAD_UNCHANGED):
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            continue
        if pixels is not None:
            return pixels
    return None


def _three_channels(image: NDArray[np.uint8]) -> Image:
    if image.ndim == 2:
        image = image[..., None]
    # Gray, or gray with transparency.
    if image.shape[2] < 3:
        image = np.repeat(image[..., :1], 3, axis=2)
    return np.ascontiguousarray(image[..., :3])


def _decode_tiff(data: bytes, name: str) -> Decoded:
    checked = check_tiff(data, name)
    if checked.is_raw or describe_foreign(data, name):
        raise InputError(f"{name} is {RAW}")
    # What OpenCV cannot decode, such as floats in strips of some kinds, Pillow may.
    try:
        return _with_opencv(data, name, damage=checked.damage)
    except InputError:
        if checked.damage or not checked.is_plain:
            raise
    return decode_with_pillow(data, name)
