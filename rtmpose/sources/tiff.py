"""What the directory of a TIFF file says: its size, and whether its pixels are all there."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from rtmpose.errors import InputError
from rtmpose.sources.decoded import check_size
from rtmpose.sources.lzw import lzw_is_whole

TIFF_STARTS = (b"II*\0", b"MM\0*")
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, CHANNELS, STRIP_ROWS, STRIP_SIZES, PLANES = 273, 277, 278, 279, 284
TILE_OFFSETS, TILE_SIZES = 324, 325
DNG_VERSION = 50706
SENSOR_PIXELS = (32803, 34892)
"""Values of the photometric tag that only raw files of cameras have."""
NOT_PACKED = 1
LZW = 5
DEFLATE = (8, 32946)
NUMBER_SIZES = {1: 1, 3: 2, 4: 4}
MAX_NUMBERS = 2**20
PIECE = 2**20
"""Bytes that are decompressed at a time: a few bytes may unpack to more than fits into memory."""

Tags = dict[int, tuple[int, ...]]


@dataclass(frozen=True)
class CheckedTiff:
    """What was found in the directory.

    Attributes:
        damage: What is wrong with the pixels; empty if nothing was noticed.
        is_raw: The file is a camera's raw file.
        is_plain: The pixels are stored as they are, or in a way that was checked.
    """

    damage: str = ""
    is_raw: bool = False
    is_plain: bool = True


def check_tiff(data: bytes, name: str, *, page: int = 0) -> CheckedTiff:
    """Look at one page of a TIFF file.

    Args:
        data: The file's content.
        name: Names it in errors.
        page: Number of the page, from 0.

    Raises:
        InputError: it was cut short, or is too large.
    """
    tags = _directory(data, page)
    width, height = _one(tags, WIDTH, 0), _one(tags, HEIGHT, 0)
    check_size(name, width, height)
    if DNG_VERSION in tags or _one(tags, PHOTOMETRIC, 0) in SENSOR_PIXELS or data[8:10] == b"CR":
        return CheckedTiff(is_raw=True)

    # The pixels lie in strips, or in tiles.
    tiled = TILE_OFFSETS in tags
    offsets = tags.get(TILE_OFFSETS if tiled else STRIP_OFFSETS, ())
    sizes = tags.get(TILE_SIZES if tiled else STRIP_SIZES, ())
    if not offsets:
        raise InputError(f"{name} is a TIFF that was cut short, or its directory is damaged")
    ends = [offset + size for offset, size in zip(offsets, sizes, strict=False)]
    if max(ends, default=0) > len(data) or max(offsets) >= len(data):
        raise InputError(f"{name} is a TIFF that was cut short; its lower part is missing")
    packed = [data[o : o + s] for o, s in zip(offsets, sizes, strict=False)]
    wanted = [0] * len(packed) if tiled else _strip_lengths(tags, len(packed))
    compression = _one(tags, COMPRESSION, 1)
    bad = sum(not _is_whole(p, w, compression) for p, w in zip(packed, wanted, strict=False))
    damage = f"{bad} of its {len(packed)} blocks are damaged" if bad else ""
    return CheckedTiff(damage, is_plain=compression in (NOT_PACKED, LZW, *DEFLATE))


def _directory(data: bytes, page: int) -> Tags:
    """The tags with whole numbers of one page."""
    order = {b"II": "little", b"MM": "big"}[data[:2]]

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)  # type: ignore[arg-type]

    tags: Tags = {}
    # Each directory ends with the place of the next one.
    directory = number(4, 4)
    for _ in range(page):
        directory = number(directory + 2 + 12 * number(directory, 2), 4)
    for entry in range(directory + 2, directory + 2 + 12 * number(directory, 2), 12):
        size = NUMBER_SIZES.get(number(entry + 2, 2))
        if size is None or entry + 12 > len(data):
            continue
        # Values that do not fit into the entry lie elsewhere.
        count = min(number(entry + 4, 4), MAX_NUMBERS)
        at = entry + 8 if count * size <= 4 else number(entry + 8, 4)
        if at + count * size <= len(data):
            tags[number(entry, 2)] = tuple(number(at + i * size, size) for i in range(count))
    return tags


def _one(tags: Tags, tag: int, default: int) -> int:
    values = tags.get(tag, ())
    return values[0] if values else default


def _strip_lengths(tags: Tags, strips: int) -> list[int]:
    """Bytes that each strip unpacks to."""
    height = _one(tags, HEIGHT, 0)
    rows = min(_one(tags, STRIP_ROWS, height), height) or height
    # Planes that lie one after the other have strips of their own.
    channels = _one(tags, CHANNELS, 1)
    separate = _one(tags, PLANES, 1) == 2
    bits = _one(tags, BITS, 1) * (1 if separate else channels)
    row_bytes = -(-_one(tags, WIDTH, 0) * bits // 8)
    per_plane = max(1, -(-height // max(rows, 1)))
    return [row_bytes * min(rows, height - rows * (i % per_plane)) for i in range(strips)]


def _is_whole(packed: bytes, wanted: int, compression: int) -> bool:
    if compression == LZW:
        # Old writers have the bits the other way round, without a clear code in front.
        return packed[:1] != b"\x80" or lzw_is_whole(packed, wanted)
    if compression in DEFLATE:
        return _unpacks(packed, wanted)
    return True


def _unpacks(packed: bytes, wanted: int) -> bool:
    """Whether compressed bytes give as many as wanted; to the end, where that is not known."""
    unpacker = zlib.decompressobj()
    count = 0
    try:
        while packed and not unpacker.eof and not 0 < wanted <= count:
            count += len(unpacker.decompress(packed, PIECE))
            packed = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return count >= wanted if wanted else unpacker.eof
