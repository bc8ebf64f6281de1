"""Whether LZW data, as TIFF files have them, are whole.

The width of each code depends on how many came since the table was cleared, not on what they are.
So all codes between two clears are read at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLEAR, END, FIRST = 256, 257, 258
LAST_CODES = 3840
"""Codes before the table of 4096 entries is full."""

_free = FIRST + np.maximum(np.arange(LAST_CODES) - 1, 0)
_WIDTHS = 9 + (_free >= 511) + (_free >= 1023) + (_free >= 2047).astype(np.int64)
_STARTS = np.concatenate([[0], np.cumsum(_WIDTHS)])


def lzw_is_whole(packed: bytes, wanted: int) -> bool:
    """Whether all codes are possible and unpack to at least a number of bytes.

    Args:
        packed: LZW data as in TIFF files: most significant bit first, a clear code in front.
        wanted: Bytes that they should unpack to.
    """
    data = np.frombuffer(packed + bytes(4), np.uint8).astype(np.int64)
    bits = 8 * len(packed)
    at = 0
    unpacked = 0
    while True:
        # As many codes as there can be until the next clear.
        count = int(np.searchsorted(_STARTS, bits - at, side="right")) - 1
        if count <= 0:
            return unpacked >= wanted
        codes = _codes(data, at, min(count, LAST_CODES))
        stops = np.flatnonzero((codes == CLEAR) | (codes == END))
        stop = int(stops[0]) if len(stops) else len(codes)
        lengths = _lengths(codes[:stop])
        if lengths is None:
            return unpacked >= wanted
        unpacked += int(lengths.sum())
        if stop == len(codes) or codes[stop] == END:
            return unpacked >= wanted
        at += int(_STARTS[stop + 1])


def _codes(data: NDArray[np.int64], at: int, count: int) -> NDArray[np.int64]:
    """The codes from a position in bits on."""
    starts = at + _STARTS[:count]
    widths = _WIDTHS[:count]
    byte = starts >> 3
    three = (data[byte] << 16) | (data[byte + 1] << 8) | data[byte + 2]
    return (three >> (24 - (starts & 7) - widths)) & ((1 << widths) - 1)


def _lengths(codes: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """How many bytes each code stands for; None if one of them is impossible."""
    order = np.arange(len(codes))
    if np.any(codes >= FIRST + np.maximum(order, 0)):
        return None
    # A code for a string is that of an earlier one and a byte more: chains that end at a byte.
    parents = np.where(codes < CLEAR, -1, codes - FIRST)
    lengths = np.ones(len(codes), np.int64)
    while np.any(parents >= 0):
        inner = parents >= 0
        lengths[inner] += lengths[parents[inner]]
        parents[inner] = parents[parents[inner]]
    return lengths
