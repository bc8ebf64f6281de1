"""Memory of images that is used again: blocks of this size that come and go leave holes in the heap
of the C library, and new ones have to be cleared by the system page by page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from rtmpose.types import Image

MOST_BYTES = 8 << 20
"""Of an image that is worth it: a little more than 1920x1080 pixels."""
MOST_IMAGES = 16
"""Kept by one memory. Who keeps more of them alive gets new ones."""


class ImageMemory:
    """Gives arrays for images of one size after the other; for one thread at a time.

    An array is given again when nobody has it any more, neither itself nor a view of it: the
    interpreter counts that.
    """

    def __init__(self) -> None:
        self._images: list[Image] = []
        self._next = 0

    def array(self, shape: tuple[int, ...]) -> Image:
        """An array uint8 of that shape, whose content is anything."""
        if not _counts_references():
            return np.empty(shape, np.uint8)
        if self._images and self._images[0].shape != shape:
            self._images.clear()
        for index in range(len(self._images)):
            if sys.getrefcount(self._images[index]) == _ALONE:
                return self._images[index]

        # All are in use. The oldest one is left to those who have it.
        image: Image = np.empty(shape, np.uint8)
        if len(self._images) < MOST_IMAGES:
            self._images.append(image)
        else:
            self._images[self._next] = image
            self._next = (self._next + 1) % MOST_IMAGES
        return image


def _counts_references() -> bool:
    """Whether a count of 1 means that nobody else has an object: in CPython with its global lock,
    that is.
    """
    locked: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    return sys.implementation.name == "cpython" and locked()


def _count_alone() -> int:
    """The count of an object that is in a list only, as :meth:`ImageMemory.array` asks for it."""
    images = [np.empty(1, np.uint8)]
    return sys.getrefcount(images[0])


_ALONE = _count_alone()
