"""How many threads read and write a video, where the networks need the cores too."""

from __future__ import annotations

from rtmpose.backends.cpu import usable_cpus

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
