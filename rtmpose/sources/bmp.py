"""BMP files, which have no checksums: whether their pixels are all there."""

from __future__ import annotations

from rtmpose.errors import InputError
from rtmpose.sources.decoded import check_size

BMP_START = b"BM"
INFO_HEADER = 40
"""Bytes of the header that all files of the last decades have at least."""
PLAIN = (0, 3)
"""Values of the compression field for rows that are not packed."""
SECTOR = 512
"""Bytes that disks write at once."""
MIN_EMPTY = 1024


def bmp_damage(data: bytes, name: str) -> str:
    """What is wrong with the pixels; empty if nothing was noticed.

    Raises:
        InputError: the file was cut short, or is too large.
    """
    start = int.from_bytes(data[10:14], "little")
    width = int.from_bytes(data[18:22], "little", signed=True)
    height = abs(int.from_bytes(data[22:26], "little", signed=True))
    bits = int.from_bytes(data[28:30], "little")
    check_size(name, max(width, 0), height)

    # Other kinds are left to the decoder.
    row = (width * bits + 31) // 32 * 4
    is_plain = int.from_bytes(data[30:34], "little") in PLAIN
    if row <= 0 or not is_plain or int.from_bytes(data[14:18], "little") < INFO_HEADER:
        return ""
    if len(data) < start + row * height:
        raise InputError(f"{name} is a BMP that was cut short; a part of its rows is missing")

    # Black rows are fine; zeros from the border of a sector on, within a row, are not.
    filled = len(data.rstrip(b"\0"))
    in_row = (filled - start) % row
    if len(data) - filled >= MIN_EMPTY and filled % SECTOR == 0 and 0 < in_row < row - 4:
        return f"only {100 * filled / len(data):.0f} % of it were written, the rest is empty"
    return ""
