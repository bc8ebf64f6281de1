"""What the readers of single formats hand to each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from rtmpose.errors import InputError
from rtmpose.types import Image

MAX_PIXELS = 2**29
"""Pixels of the largest image that is decoded: 1.6 GB as BGR."""

_limit: ContextVar[int] = ContextVar("limit", default=MAX_PIXELS)


class TooManyPixelsError(InputError):
    """An image with more pixels than are decoded."""


@contextmanager
def at_most_pixels(limit: int) -> Iterator[None]:
    """A lower limit for the images that this thread decodes within the block."""
    before = _limit.set(min(limit, MAX_PIXELS))
    try:
        yield
    finally:
        _limit.reset(before)


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image file, decoded.

    Attributes:
        image: BGR uint8 ``(H, W, 3)``.
        orientation: The EXIF orientation, 1 to 8, still to be applied.
        damage: What the decoder noticed that makes some of the pixels wrong; empty if nothing.
        notes: What else the user should know, as half sentences.
    """

    image: Image
    orientation: int = 1
    damage: str = ""
    notes: tuple[str, ...] = ()


def check_size(name: str, width: int, height: int) -> None:
    """Refuse an image that would fill the memory, before it is decoded.

    Raises:
        TooManyPixelsError: it has more than :data:`MAX_PIXELS`, or those of
            :func:`at_most_pixels`.
    """
    limit = _limit.get()
    if width * height > limit:
        shown = f"{limit // 10**6} million" if limit >= 10**6 else f"{limit}"
        raise TooManyPixelsError(
            f"{name} is too large: {width}x{height} pixels, the limit is {shown}; make it smaller,"
            " or cut it into tiles"
        )
