"""Crowds too large for one batch of crops: a part of the people at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rtmpose.types import Detections, Image, Poses

LARGEST_CROWD = 1024
"""People whose crops are in memory at once: 150 MB of 256x192 pixels."""


def in_parts(
    estimate: Callable[[Image, Detections], Poses],
    images: Sequence[Image],
    detections: Sequence[Detections],
) -> list[Poses]:
    """The poses of each image, of at most :data:`LARGEST_CROWD` people at a time.

    Args:
        estimate: Gives the poses of people in one image, in their order.
        images: BGR uint8 ``(H, W, 3)``.
        detections: As many.
    """
    found = []
    for image, people in zip(images, detections, strict=True):
        starts = range(0, max(1, len(people)), LARGEST_CROWD)
        found.append(joined([estimate(image, people[i : i + LARGEST_CROWD]) for i in starts]))
    return found


def joined(parts: Sequence[Poses]) -> Poses:
    """The people of all parts, at least one, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[0],
        boxes=np.concatenate([part.boxes for part in parts]),
        box_scores=np.concatenate([part.box_scores for part in parts]),
        keypoints=np.concatenate([part.keypoints for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
    )
