"""Images that clients send: typed by their content, and measured before they are decoded."""

from __future__ import annotations

import re

import simplejpeg

from rtmpose.errors import InputError
from rtmpose.serve.faults import ServiceError, too_large, unusable
from rtmpose.sources import decode_image
from rtmpose.sources.decoded import TooManyPixelsError, at_most_pixels, check_size
from rtmpose.sources.images import looks_like_image
from rtmpose.sources.jpeg import JPEG_START
from rtmpose.sources.kinds import looks_like_video
from rtmpose.sources.pillow_images import heif_is_installed, is_heic
from rtmpose.sources.webp import is_webp
from rtmpose.types import Image

MEDIA_TYPES = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/bmp",
    "image/gif",
    "image/tiff",
    "image/avif",
    "image/heic",
)
"""What is taken; what a body says of itself does not count."""
REFUSED_STARTS = (b"\0\0\0\x0cjP", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
"""JPEG 2000 and the formats of Netpbm, whose sizes only the decoder knows."""
SHOWN_NAME = 80


def decode_upload(data: bytes, name: str, max_pixels: int) -> Image:
    """Decode an image of a client.

    Args:
        data: The file's content.
        name: Names it in errors; see :func:`display_name`.
        max_pixels: Pixels of the largest image, compared with what the header says.

    Returns:
        BGR uint8 ``(H, W, 3)``, upright.

    Raises:
        ServiceError: it is no image (415), is too large (413), or cannot be decoded (422).
    """
    if not data:
        raise unusable(f"{name} is empty (0 bytes)")
    if not looks_like_image(data[:64]) or data.startswith(REFUSED_STARTS):
        raise ServiceError(
            415,
            "no_image",
            f"{name} is not an image of a kind that is taken: JPEG, PNG, WebP, BMP, GIF, TIFF,"
            f" AVIF, HEIC{_instead(data)}",
        )
    if is_heic(data) and not heif_is_installed():
        raise ServiceError(
            415,
            "no_heic",
            f"{name} is a HEIC image, which this service does not read: send it as JPEG (or install"
            " rtmpose[heif] where the service runs)",
        )
    try:
        with at_most_pixels(max_pixels):
            _check_stated_size(data, name)
            image = decode_image(data, name)
    except TooManyPixelsError as error:
        raise too_large(str(error)) from error
    except InputError as error:
        raise unusable(str(error)) from error
    # Whatever its header said.
    if image.shape[0] * image.shape[1] > max_pixels:
        raise too_large(f"{name} has more than {max_pixels} pixels")
    return image


def display_name(name: str | None, number: int) -> str:
    """A client's name of a file, made harmless: for messages and results, never for paths."""
    base = re.split(r"[\\/]", name or "")[-1]
    kept = "".join(letter for letter in base if letter.isprintable())[:SHOWN_NAME].strip()
    return kept or f"image-{number}"


def _instead(data: bytes) -> str:
    """What to do with something that is no image, where it can be told."""
    if looks_like_video(data[:1024]):
        return "; a video is sent to /v1/jobs"
    if data.lstrip()[:1] == b"{":
        return "; JSON needs the header Content-Type: application/json"
    return ""


def _check_stated_size(data: bytes, name: str) -> None:
    """Compare sizes that the readers of the package leave to the decoder."""
    if is_webp(data):
        check_size(name, *_webp_size(data))
    elif data.startswith(JPEG_START):
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        except ValueError:
            return  # whoever decodes it says what is wrong
        check_size(name, width, height)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP, (0, 0) where the header is not whole."""
    if len(data) < 30:
        return 0, 0
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        return width, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width = int.from_bytes(data[26:28], "little") & 0x3FFF
    return width, int.from_bytes(data[28:30], "little") & 0x3FFF
