"""Formats that are read through Pillow: GIF, AVIF, HEIC, deep TIFF; and all that are animated.

Pillow's classes are opened one by one, not through ``Image.open``: that would try dozens of
formats, and warn of large images although there is a limit of our own.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from rtmpose.errors import InputError
from rtmpose.sources.decoded import Decoded, check_size
from rtmpose.sources.depth import to_8_bit
from rtmpose.sources.exif import ORIENTATION_TAG
from rtmpose.types import Image

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

Open = Callable[[io.BytesIO], "ImageFile"]

HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})
DEFAULT_DELAY_MS = 100.0
"""Of animations that say 0, as browsers show them."""
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


def decode_with_pillow(data: bytes, name: str) -> Decoded:
    """Decode the first frame of a file.

    Args:
        data: The file's content.
        name: Names it in errors.

    Raises:
        InputError: it cannot be decoded, or needs a package that is not installed.
    """
    picture = _open(data, name)
    try:
        picture.load()
        image, note = _bgr(picture)
        orientation = int(picture.getexif().get(ORIENTATION_TAG, 1))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(f"{name} is damaged or cut short: {error}") from error
    finally:
        picture.close()
    # HEIC comes turned already, and says so.
    turned = orientation if 1 <= orientation <= 8 else 1
    return Decoded(image, turned, notes=(note,) if note else ())


def frame_count(data: bytes, name: str) -> int:
    """Number of frames or pages of a file; 1 for a still image, and for what Pillow cannot open."""
    try:
        picture = _open(data, name)
    except InputError:
        return 1
    try:
        return int(getattr(picture, "n_frames", 1))
    except (OSError, SyntaxError, ValueError, EOFError):
        return 1
    finally:
        picture.close()


def decode_frames(data: bytes, name: str, page_fps: float) -> Iterator[tuple[Image, float]]:
    """All frames of an animation, or pages of a TIFF, with the second at which each begins.

    Args:
        data: The file's content.
        name: Names it in errors.
        page_fps: Pages per second of a TIFF, which knows no time.

    Raises:
        InputError: one of them cannot be decoded.
    """
    picture = _open(data, name)
    # Pages of different sizes and animations are both gone through by number.
    has_delays = picture.format != "TIFF"
    time_ms = 0.0
    try:
        for number in range(int(getattr(picture, "n_frames", 1))):
            try:
                picture.seek(number)
            except (OSError, SyntaxError, ValueError, EOFError) as error:
                raise InputError(f"{name}: frame {number} cannot be decoded: {error}") from error
            check_size(name, *picture.size)
            try:
                picture.load()
                image, _ = _bgr(picture)
            except (OSError, SyntaxError, ValueError, EOFError) as error:
                raise InputError(f"{name}: frame {number} cannot be decoded: {error}") from error
            yield image, time_ms / 1000
            delay = float(picture.info.get("duration", 0) or DEFAULT_DELAY_MS)
            time_ms += delay if has_delays else 1000 / page_fps
    finally:
        picture.close()


def _open(data: bytes, name: str) -> ImageFile:
    opener = _opener(data, name)
    try:
        picture = opener(io.BytesIO(data))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(f"{name} is damaged, or not an image that can be read") from error
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
