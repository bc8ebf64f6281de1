"""How many threads read and write a video, where the networks need the cores too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from rtmpose.usable_cores import usable_cpus

FEW_CORES = 4
PIXELS_PER_THREAD = 1 << 20
"""With few cores one thread decodes or encodes 720p faster than the networks take or give frames.
Each further one holds frames, and its share of a core is the networks'."""


def codec_threads(pixels: int) -> int:
    """Threads for frames of so many pixels; 0 leaves it to the codec.

    Args:
        pixels: Of a frame; 0 where that is not known yet.
    """
    cores = usable_cpus()
    if cores > FEW_CORES or not pixels:
        return 0
    return min(cores, -(-pixels // PIXELS_PER_THREAD))


def conversion_threads(pixels: int) -> int:
    """Threads that convert the colors of a frame; 0 is one per core. Small frames take longer to
    share out than to convert.
    """
    return 1 if pixels <= PIXELS_PER_THREAD else 0


@contextmanager
def opencv_in_one_thread() -> Iterator[None]:
    """Within the block OpenCV has no threads of its own, where there are few cores: between two
    short calls they stay awake, and take the cores from the networks. For programs, as it holds for
    the whole process.
    """
    before = cv2.getNumThreads()
    if usable_cpus() <= FEW_CORES:
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
