"""Formats that are read through Pillow: GIF, AVIF, HEIC, deep TIFF; and all that are animated.

Pillow's classes are opened one by one, not through ``Image.open``: that would try dozens of
formats, and warn of large images although there is a limit of our own.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from rtmpose.errors import InputError
from rtmpose.sources.decoded import Decoded, check_size
from rtmpose.sources.depth import to_8_bit
from rtmpose.sources.exif import ORIENTATION_TAG
from rtmpose.sources.tiff import check_tiff
from rtmpose.types import Image

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

Open = Callable[[io.BytesIO], "ImageFile"]

HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})
DEFAULT_DELAY_MS = 100.0
"""Of animations that say 0, as browsers show them."""
_one_at_a_time = threading.Lock()
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L")


def brands(data: bytes) -> frozenset[bytes]:
    """The kinds that an ISO media file (HEIC, AVIF, MP4) claims to be; empty for other files."""
    if data[4:8] != b"ftyp":
        return frozenset()
    size = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return frozenset([data[8:12], *(data[at : at + 4] for at in range(16, size - 3, 4))])


def is_avif(data: bytes) -> bool:
    """Whether it is an AVIF image."""
    return not AVIF_BRANDS.isdisjoint(brands(data))


def is_heic(data: bytes) -> bool:
    """Whether it is a HEIC or HEIF image."""
    return data[8:12] in HEIC_BRANDS and not is_avif(data)


def heif_is_installed() -> bool:
    """Whether HEIC can be read."""
    import importlib.util

    return importlib.util.find_spec("pillow_heif") is not None


@contextmanager
def pillow_errors(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises on a damaged file into an InputError, and drop its warnings."""
    # Filters of warnings belong to the process: one thread at a time changes them.
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{name} is damaged or cut short: {error}") from error


def decode_with_pillow(data: bytes, name: str) -> Decoded:
    """Decode the first frame of a file.

    Args:
        data: The file's content.
        name: Names it in errors.

    Raises:
        InputError: it cannot be decoded, or needs a package that is not installed.
    """
    with pillow_errors(name), _open(data, name) as picture:
        picture.load()
        image, note = _bgr(picture)
        # HEIC comes turned already, and says so.
        orientation = int(picture.getexif().get(ORIENTATION_TAG, 1))
    turned = orientation if 1 <= orientation <= 8 else 1
    return Decoded(image, turned, notes=(note,) if note else ())


def frame_count(data: bytes, name: str) -> int:
    """Number of frames or pages of a file; 1 for a still image, and for what Pillow cannot open."""
    try:
        with pillow_errors(name), _open(data, name) as picture:
            return int(getattr(picture, "n_frames", 1))
    except InputError:
        return 1


def decode_frames(data: bytes, name: str, page_fps: float) -> Iterator[tuple[Image, float]]:
    """All frames of an animation, or pages of a TIFF, with the second at which each begins.

    Args:
        data: The file's content.
        name: Names it in errors.
        page_fps: Pages per second of a TIFF, which knows no time.

    Raises:
        InputError: one of them cannot be decoded.
    """
    with pillow_errors(name):
        picture = _open(data, name)
        count = int(getattr(picture, "n_frames", 1))
    is_tiff = picture.format == "TIFF"
    time_ms = 0.0
    with picture:
        for number in range(count):
            # Pillow's decoder of TIFF prints what is wrong.
            page = check_tiff(data, name, page=number) if is_tiff else None
            if page is not None and page.damage:
                raise InputError(f"{name}: page {number + 1} is damaged: {page.damage}")
            with pillow_errors(f"{name}, frame {number},"):
                picture.seek(number)
                check_size(name, *picture.size)
                picture.load()
                image, _ = _bgr(picture)
                delay = float(picture.info.get("duration", 0) or DEFAULT_DELAY_MS)
            yield image, time_ms / 1000
            time_ms += 1000 / page_fps if is_tiff else delay


def _open(data: bytes, name: str) -> ImageFile:
    picture = _opener(data, name)(io.BytesIO(data))
    check_size(name, *picture.size)
    return picture


def _opener(data: bytes, name: str) -> Open:
    """The class of Pillow for a file, by its first bytes."""
    if is_heic(data):
        return _heif_opener(name)
    if is_avif(data):
        from PIL import AvifImagePlugin

        return AvifImagePlugin.AvifImageFile
    if data.startswith(b"GIF8"):
        from PIL import GifImagePlugin

        return GifImagePlugin.GifImageFile
    if data[:4] == b"RIFF":
        from PIL import WebPImagePlugin

        return WebPImagePlugin.WebPImageFile
    if data.startswith(b"\x89PNG"):
        from PIL import PngImagePlugin

        return PngImagePlugin.PngImageFile
    from PIL import TiffImagePlugin

    return TiffImagePlugin.TiffImageFile


def _heif_opener(name: str) -> Open:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise InputError(
            f"{name} is a HEIC image, which needs pillow-heif: pip install 'rtmpose[heif]'"
        ) from error
    return HeifImageFile


def _bgr(picture: ImageFile) -> tuple[Image, str]:
    """The current frame without its transparency, and how deep pixels were scaled."""
    if picture.mode in DEEP_MODES:
        gray, note = to_8_bit(np.asarray(picture))
        return np.ascontiguousarray(np.repeat(gray[..., None], 3, axis=2)), note
    # Through RGBA, as palettes may have transparent entries.
    has_alpha = picture.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in picture.info
    picture_rgb = (picture.convert("RGBA") if has_alpha else picture).convert("RGB")
    return np.ascontiguousarray(np.asarray(picture_rgb)[..., ::-1]), ""
