"""What the readers of single formats hand to each other."""

from __future__ import annotations

from dataclasses import dataclass

from rtmpose.errors import InputError
from rtmpose.types import Image

MAX_PIXELS = 2**29
"""Pixels of the largest image that is decoded: 1.6 GB as BGR."""


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
        InputError: it has more than :data:`MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name} is too large: {width}x{height} pixels, the limit is {MAX_PIXELS // 10**6}"
            " million; make it smaller, or cut it into tiles"
        )
