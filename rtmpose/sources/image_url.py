"""Images by their address."""

from __future__ import annotations

import zlib

from rtmpose.errors import InputError
from rtmpose.shown_names import without_password
from rtmpose.sources.images import decode_image, looks_like_image
from rtmpose.types import Image
from rtmpose.web import WebError, WebResponse, limits_from_environment, open_url

TOTAL_SECONDS = 120.0
LARGEST_IMAGE = 256 << 20
"""Bytes of an image file."""


def fetch_image(url: str, *, strict: bool = False) -> Image:
    """Fetch and decode an image; see :func:`rtmpose.sources.read_image`.

    Args:
        url: Its address.
        strict: Refuse an image with damaged pixels.

    Raises:
        InputError: it cannot be fetched, is too large, or is not an image.
    """
    name = without_password(url)
    headers = {"User-Agent": "rtmpose", "Accept-Encoding": "identity"}
    try:
        limits = limits_from_environment(TOTAL_SECONDS, LARGEST_IMAGE)
        with open_url(url, headers, limits) as response:
            if response.status != 200:
                raise WebError(f"the server answered {response.status}")
            data = _decompressed(response, b"".join(response.blocks()))
    except WebError as error:
        raise InputError(f"{name} cannot be fetched: {error}") from error
    if not looks_like_image(data[:16]) and data.lstrip()[:1] == b"<":
        raise InputError(f"{name} cannot be fetched: the server sent a web page, not an image")
    return decode_image(data, name, strict=strict)


def _decompressed(response: WebResponse, data: bytes) -> bytes:
    """The body without a compression that the server used although none was asked for."""
    if not response.encoding:
        return data
    if response.encoding not in ("gzip", "x-gzip", "deflate"):
        raise WebError(f"the server compressed it as {response.encoding!r}")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib, by its head
    try:
        content = unpacker.decompress(data, LARGEST_IMAGE)
    except zlib.error as error:
        raise WebError(f"its compressed body is damaged: {error}") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise WebError("its compressed body is incomplete or too large")
    return content
