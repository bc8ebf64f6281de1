"""WebP files, which have no checksums: whether their pixels are all there, and upright."""

from __future__ import annotations

from dataclasses import dataclass

from rtmpose.errors import InputError
from rtmpose.sources.exif import exif_orientation

PIXELS = (b"VP8 ", b"VP8L", b"ALPH", b"ANMF")
GAP = bytes(1024)
"""Zeros that compressed pixels do not hold in a row, but a file that was never filled does."""
ANIMATED = 2
"""Bit of the flags in the first chunk."""


@dataclass(frozen=True)
class CheckedWebp:
    """What the chunks of a file say.

    Attributes:
        orientation: The EXIF orientation, 1 to 8.
        damage: What is wrong with the pixels; empty if nothing was noticed.
        animated: It has several frames.
    """

    orientation: int = 1
    damage: str = ""
    animated: bool = False


def is_webp(data: bytes) -> bool:
    """Whether it is a WebP file."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def check_webp(data: bytes, name: str) -> CheckedWebp:
    """Go through the chunks.

    Raises:
        InputError: the file was cut short.
    """
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise InputError(f"{name} is a WebP that was cut short; its lower part is missing")
    orientation = 1
    damage = ""
    animated = False
    at = 12
    while at + 8 <= len(data):
        kind = data[at : at + 4]
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"EXIF":
            orientation = exif_orientation(data[at + 8 : at + 8 + size])
        elif kind == b"VP8X":
            animated = bool(data[at + 8] & ANIMATED)
        elif kind in PIXELS and data.find(GAP, at + 8, at + 8 + size) >= 0:
            damage = "a part of it was never written"
        at += 8 + size + size % 2
    return CheckedWebp(orientation, damage, animated)
