"""Pictures of a set: can they be read, how large are they, and which look the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.sources import read_image
from rtmpose.types import Image

HASH_SIDE = 16
"""The hash has so many bits squared."""
SAME_BITS = 24
"""Hashes that differ in at most so many of the 256 bits are of the same photo, scaled or compressed
anew.
"""
FLAT = 3.0
"""Pictures with less contrast than this, in gray levels, have no telling hash."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What is known of a picture after it was read.

    Attributes:
        path: The file.
        width: Pixels, upright; 0 where it cannot be read.
        height: Likewise.
        fault: Why it cannot be read; empty where it can.
        hash: 256-bit difference hash, ``(4,)`` uint64; None where it cannot be read or is flat.
    """

    path: Path
    width: int
    height: int
    fault: str
    hash: NDArray[np.uint64] | None


def examine(
    paths: Mapping[int, Path],
    on_progress: Callable[[int, int], None] | None = None,
    workers: int = 2,
) -> dict[int, Picture]:
    """Read all pictures.

    Args:
        paths: Image id to file.
        on_progress: Called with pictures done and total.
        workers: Threads.
    """
    found: dict[int, Picture] = {}
    with ThreadPoolExecutor(workers) as pool:
        for number, picture in zip(paths, pool.map(examine_one, paths.values()), strict=True):
            found[number] = picture
            if on_progress:
                on_progress(len(found), len(paths))
    return found


def examine_one(path: Path) -> Picture:
    """Read one picture."""
    try:
        image = read_image(path)
    except InputError as error:
        return Picture(path, 0, 0, str(error), None)
    return Picture(path, image.shape[1], image.shape[0], "", difference_hash(image))


def difference_hash(image: Image) -> NDArray[np.uint64] | None:
    """256 bits: whether each of 16 x 16 areas is brighter than its right neighbor.

    Args:
        image: BGR uint8.

    Returns:
        ``(4,)`` uint64; None for a picture without contrast.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(gray, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA).astype(
        np.int16
    )
    if small.std() < FLAT:
        return None
    return np.packbits(small[:, 1:] < small[:, :-1]).view(np.uint64)


def look_alikes(
    first: Mapping[int, Picture], second: Mapping[int, Picture] | None = None, bits: int = SAME_BITS
) -> list[tuple[int, int, int]]:
    """Pairs of pictures that look the same.

    Args:
        first: Image id to picture.
        second: Another set; None compares the first with itself.
        bits: Hashes may differ in so many.

    Returns:
        Id in the first, id in the second, differing bits; the most alike first.
    """
    ids_a, a = _stack(first)
    ids_b, b = (ids_a, a) if second is None else _stack(second)
    pairs: list[tuple[int, int, int]] = []
    if not len(a) or not len(b):
        return pairs
    step = max(1, 4_000_000 // len(b))
    for start in range(0, len(a), step):
        apart = _bits(a[start : start + step, None] ^ b[None])
        for i, j in zip(*np.nonzero(apart <= bits), strict=True):
            if second is not None or start + i < j:
                pairs.append((ids_a[start + int(i)], ids_b[int(j)], int(apart[i, j])))
    return sorted(pairs, key=lambda p: p[2])


def _stack(pictures: Mapping[int, Picture]) -> tuple[list[int], NDArray[np.uint64]]:
    known: Iterable[tuple[int, NDArray[np.uint64]]] = (
        (i, p.hash) for i, p in pictures.items() if p.hash is not None
    )
    rows = list(known)
    hashes = np.array([h for _, h in rows], np.uint64).reshape(
        len(rows), HASH_SIDE * HASH_SIDE // 64
    )
    return [i for i, _ in rows], hashes


_BYTE_BITS = np.array([bin(i).count("1") for i in range(256)], np.uint8)


def _bits(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Set bits of the last axis together."""
    if hasattr(np, "bitwise_count"):
        return np.asarray(np.bitwise_count(words).sum(axis=-1, dtype=np.int64))
    return np.asarray(_BYTE_BITS[words.view(np.uint8)].sum(axis=-1, dtype=np.int64))
