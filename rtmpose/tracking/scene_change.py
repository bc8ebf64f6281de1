"""Cuts in a video: two frames that look nothing alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtmpose.types import Image

SCENE_CHANGE = 18.0
"""Mean difference of two thumbnails (0..255) that means a new scene."""


def thumbnail_of(image: Image) -> NDArray[np.int16]:
    """About 32 x 32 pixels of the image."""
    row_step = max(1, image.shape[0] // 32)
    column_step = max(1, image.shape[1] // 32)
    return image[::row_step, ::column_step].astype(np.int16)


def scene_changed(previous: NDArray[np.int16] | None, thumbnail: NDArray[np.int16]) -> bool:
    """Whether a new scene begins, judged by the thumbnails of two frames; None before the first."""
    if previous is None or previous.shape != thumbnail.shape:
        return True
    return float(np.abs(thumbnail - previous).mean()) > SCENE_CHANGE
