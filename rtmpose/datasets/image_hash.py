"""Open images of a set: can they be read, how large are they, and which look the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
"""The hash compares 16 x 16 areas with their right neighbors."""
HASH_BITS = HASH_SIDE * HASH_SIDE
MAX_DIFFERING_BITS = 24
"""Hashes that differ in at most 24 of the 256 bits are of the same photo, resized or compressed
anew.
"""
MIN_CONTRAST = 3.0
"""Standard deviation in gray levels below which an image has no meaningful hash."""
MAX_COMPARISONS = 4_000_000
"""Number of pairs of hashes that are compared in one step, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class ImageInfo:
    """What is known of an image after it was read.

    Attributes:
        path: The file.
        width: Pixels, upright; 0 where it cannot be read.
        height: Likewise.
        error: Why it cannot be read; empty where it can.
        hash: 256-bit difference hash, ``(4,)`` uint64; None where it cannot be read or is flat.
    """

    path: Path
    width: int
    height: int
    error: str
    hash: NDArray[np.uint64] | None


def inspect_images(
    paths: Mapping[int, Path],
    on_progress: Callable[[int, int], None] | None = None,
    workers: int = 2,
) -> dict[int, ImageInfo]:
    """Read all images.

    Args:
        paths: Image id to file.
        on_progress: Called with the number of images done and in total.
        workers: Number of threads.
    """
    images: dict[int, ImageInfo] = {}

    # In the order of the set, whichever thread is done first.
    with ThreadPoolExecutor(workers) as pool:
        for image_id, info in zip(paths, pool.map(inspect_image, paths.values()), strict=True):
            images[image_id] = info
            if on_progress:
                on_progress(len(images), len(paths))
    return images


def inspect_image(path: Path) -> ImageInfo:
    """Read one image."""
    try:
        image = read_image(path)
    except InputError as error:
        return ImageInfo(path, 0, 0, str(error), None)
    return ImageInfo(path, image.shape[1], image.shape[0], "", difference_hash(image))


def difference_hash(image: Image) -> NDArray[np.uint64] | None:
    """256 bits: whether each of 16 x 16 areas is brighter than its right neighbor.

    Args:
        image: BGR uint8 ``(H, W, 3)``.

    Returns:
        ``(4,)`` uint64; None for an image without contrast.
    """
    # One column more than bits, as each area is compared with its right neighbor.
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    resized = cv2.resize(gray, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)

    # Flat images have random hashes, which would look like duplicates of anything.
    areas = resized.astype(np.int16)  # signed, (16, 17)
    if areas.std() < MIN_CONTRAST:
        return None

    # 256 bits in four words.
    return np.packbits(areas[:, 1:] < areas[:, :-1]).view(np.uint64)


def near_duplicates(
    first: Mapping[int, ImageInfo],
    second: Mapping[int, ImageInfo] | None = None,
    max_bits: int = MAX_DIFFERING_BITS,
) -> list[tuple[int, int, int]]:
    """Pairs of images that look the same.

    Args:
        first: Image id to image.
        second: Another set; None compares the first with itself.
        max_bits: Number of bits in which hashes may differ.

    Returns:
        Id in the first, id in the second, differing bits; the most similar pair first.
    """
    # One set against itself, or against another one.
    first_ids, first_hashes = _stacked_hashes(first)
    if second is None:
        second_ids = first_ids
        second_hashes = first_hashes
    else:
        second_ids, second_hashes = _stacked_hashes(second)
    pairs: list[tuple[int, int, int]] = []
    if not first_ids or not second_ids:
        return pairs

    # Compare block by block: all pairs of a large set would not fit into memory.
    step = max(1, MAX_COMPARISONS // len(second_ids))
    for start in range(0, len(first_ids), step):
        differing = first_hashes[start : start + step, None] ^ second_hashes[None]  # (rows, N, 4)
        distances = _count_bits(differing)  # (rows, N)
        for i, j in zip(*np.nonzero(distances <= max_bits), strict=True):
            # Within one set, each pair counts once.
            if second is not None or start + i < j:
                first_id = first_ids[start + int(i)]
                pairs.append((first_id, second_ids[int(j)], int(distances[i, j])))
    return sorted(pairs, key=lambda pair: pair[2])


def _stacked_hashes(images: Mapping[int, ImageInfo]) -> tuple[list[int], NDArray[np.uint64]]:
    """Ids and hashes ``(N, 4)`` of the images that have a hash."""
    # Unreadable and flat images have none.
    hashes = {i: info.hash for i, info in images.items() if info.hash is not None}
    table = np.array(list(hashes.values()), np.uint64).reshape(len(hashes), HASH_BITS // 64)
    return list(hashes), table


_BITS_OF_BYTE = np.array([bin(i).count("1") for i in range(256)], np.uint8)


def _count_bits(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number of set bits, summed over the last axis."""
    # numpy 2 counts bits itself.
    if hasattr(np, "bitwise_count"):
        return np.asarray(np.bitwise_count(words).sum(axis=-1, dtype=np.int64))
    return np.asarray(_BITS_OF_BYTE[words.view(np.uint8)].sum(axis=-1, dtype=np.int64))
