"""Deep pixels, 16 bits or floats, as 8 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

USUAL_BITS = (8, 10, 12, 14, 16)


def to_8_bit(pixels: NDArray[np.generic]) -> tuple[NDArray[np.uint8], str]:
    """Pixels of any type as uint8, and in words how they were scaled.

    Integers are divided by the range of their significant bits: cameras of 12 bits write files of
    16. Floats from 0 to 1, or to 255, are taken as such, others stretched from their least to
    their largest value. Nothing is said of the ordinary: 8 bits, or 16 that are all used.
    """
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8), ""
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * 255, ""
    if pixels.dtype == np.uint16:
        return _from_uint16(np.asarray(pixels, np.uint16))
    return _from_numbers(np.asarray(pixels, np.float64))


def _from_uint16(pixels: NDArray[np.uint16]) -> tuple[NDArray[np.uint8], str]:
    largest = int(pixels.max(initial=0))
    bits = next(b for b in USUAL_BITS if largest < 2**b)
    note = ""
    if bits < 16 and largest:
        note = f"its 16-bit values use {bits} bits and were scaled by these"
    return (pixels >> (bits - 8)).astype(np.uint8), note


def _from_numbers(pixels: NDArray[np.float64]) -> tuple[NDArray[np.uint8], str]:
    """Signed and floating point values."""
    # What is no number is black.
    good = np.isfinite(pixels)
    values = np.where(good, pixels, 0.0)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    elif low >= 0:
        low = 0.0
    scaled = np.rint((values - low) * (255 / (high - low)))
    note = f"its values were scaled from {low:g} to {high:g}"
    return scaled.astype(np.uint8), note
