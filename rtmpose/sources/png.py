"""PNG files: checked by their checksums, and mended as far as they can be before decoding.

libpng writes its complaints to standard error. It is given a file that holds nothing to complain
of: the chunks with the pixels, with right checksums.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from rtmpose.errors import InputError
from rtmpose.sources.decoded import check_size
from rtmpose.sources.exif import exif_orientation

PNG_START = b"\x89PNG\r\n\x1a\n"
HEADER_SIZE = 13
KEPT = (b"IHDR", b"PLTE", b"tRNS")
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Color type to the bits of a channel that it may have."""
PIECE = 512
"""Bytes that are decompressed at a time after damage: fewer are lost before the fault."""


@dataclass(frozen=True, eq=False)
class CheckedPng:
    """A PNG that decodes without complaints.

    Attributes:
        data: The file, mended where it was damaged, without its extras.
        orientation: The EXIF orientation, 1 to 8.
        damage: What was wrong with the pixels; empty if nothing.
    """

    data: bytes
    orientation: int
    damage: str


def check_png(data: bytes, name: str) -> CheckedPng:
    """Compare all checksums.

    Args:
        data: The file's content.
        name: Names it in errors.

    Raises:
        InputError: the file was cut short, is too large, or its header is damaged.
    """
    kept: list[bytes] = []
    pixels: list[bytes] = []
    damaged = ""
    orientation = 1
    has_end = False
    for kind, content, good in _chunks(data):
        if kind == b"IEND":
            has_end = True
            break
        # Extras such as color profiles and texts do not change the pixels: not even when damaged.
        if kind in KEPT:
            kept.append(_chunk(kind, content))
        elif kind == b"IDAT":
            pixels.append(content)
        elif kind == b"eXIf" and good:
            orientation = exif_orientation(content)
        if not good and (kind in KEPT or kind == b"IDAT"):
            damaged = f"the checksum of its {kind.decode()} chunk is wrong"

    # The header says how much there must be.
    header = kept[0][8:-4] if kept and kept[0][4:8] == b"IHDR" else b""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    if len(header) != HEADER_SIZE or not (width and height and pixels and _is_possible(header)):
        raise InputError(f"{name} is a PNG that was cut short, or its header is damaged")
    check_size(name, width, height)
    packed = b"".join(pixels)
    if damaged:
        packed, damaged = _mend(packed, header, damaged, name)
    elif not has_end:
        # The pixels may be whole all the same.
        if not _is_whole(packed, sum(count * (1 + size) for count, size in _rows(header))):
            raise InputError(f"{name} is a PNG that was cut short; its lower part is missing")
        damaged = "it has no end chunk, though its pixels are whole"
    parts = [PNG_START, *kept, _chunk(b"IDAT", packed), _chunk(b"IEND", b"")]
    return CheckedPng(b"".join(parts), orientation, damaged)


def _is_possible(header: bytes) -> bool:
    """Whether bits, color type and methods are among those of the format."""
    bits, color, compression, filters, interlacing = header[8:13]
    return bits in BITS.get(color, ()) and not (compression or filters) and interlacing in (0, 1)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Kind and content of each whole chunk, and whether its checksum is right."""
    at = len(PNG_START)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        content = data[at + 8 : at + 8 + size]
        stored = data[at + 8 + size : at + 12 + size]
        kind = data[at + 4 : at + 8]
        # The last chunk of a file that was cut short.
        if len(stored) < 4:
            if kind == b"IDAT":
                yield kind, content, True
            return
        yield kind, content, zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big") == stored
        at += 12 + size


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return len(content).to_bytes(4, "big") + kind + content + checksum.to_bytes(4, "big")


def _is_whole(packed: bytes, wanted: int) -> bool:
    """Whether all bytes of the rows are there. What follows them is not unpacked."""
    unpacker = zlib.decompressobj()
    found = 0
    try:
        while packed and not unpacker.eof and found <= wanted:
            found += len(unpacker.decompress(packed, 2**20))
            packed = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof or found > wanted


def _mend(packed: bytes, header: bytes, damaged: str, name: str) -> tuple[bytes, str]:
    """Pixels that decompress, zeros where they were lost, and what was lost in words."""
    rows = _rows(header)
    wanted = sum(count * (1 + size) for count, size in rows)
    plain = _unpacked_until_fault(packed, wanted)
    if not plain:
        raise InputError(f"{name} is a PNG whose pixels are all damaged")
    missing = wanted - len(plain)
    if missing > 0:
        damaged = f"{damaged}; {100 * missing / wanted:.0f} % of its pixels are missing"

    # The first byte of each row names its filter; others than these stop the decoder.
    whole = bytearray(plain[:wanted] + bytes(max(0, missing)))
    at = 0
    for count, size in rows:
        for _ in range(count):
            whole[at] = whole[at] if whole[at] <= 4 else 0
            at += 1 + size
    return zlib.compress(bytes(whole), 1), damaged


def _unpacked_until_fault(packed: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj()
    plain = bytearray()
    try:
        for at in range(0, len(packed), PIECE):
            plain += unpacker.decompress(packed[at : at + PIECE])
            if len(plain) >= limit:
                break
    except zlib.error:
        pass
    return bytes(plain)


def _rows(header: bytes) -> list[tuple[int, int]]:
    """Number of rows and bytes of each, for every pass of the file: one pass, or seven."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    bits = header[8] * CHANNELS.get(header[9], 4)
    passes = [(0, 0, 1, 1)]
    # Interlaced: the first column and row of each pass, and the steps between them.
    if header[12]:
        passes = [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ]
    rows: list[tuple[int, int]] = []
    for x, y, step_x, step_y in passes:
        columns = -(-(width - x) // step_x)
        if columns > 0 and height > y:
            rows.append((-(-(height - y) // step_y), -(-columns * bits // 8)))
    return rows
