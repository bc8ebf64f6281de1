"""The people of a frame, divided among the cores: each cuts, runs and decodes its share."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from rtmpose.crowds import joined
from rtmpose.pose_estimator import Boxes, PoseEstimator, as_detections
from rtmpose.types import Detections, Image, Poses, Skeleton


class SpreadPose:
    """A pose estimator whose people are divided among calls that run in parallel. See
    :class:`rtmpose.pose_estimator.CropModel`.

    No core waits for another within a network, or for the crops of all people.

    Args:
        single: The estimator with all cores for one call: for somebody who is alone.
        share: The same, for ``calls`` calls at the same time.
        calls: Number of parallel calls.
        workers: An executor with as many threads.
    """

    def __init__(
        self, single: PoseEstimator, share: PoseEstimator, calls: int, workers: Executor
    ) -> None:
        self._single = single
        self._share = share
        self._calls = calls
        self._workers = workers

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""
        return self._single.skeleton

    def estimate_batch(
        self, images: Sequence[Image], boxes: Sequence[Boxes], *, flip_test: bool = False
    ) -> list[Poses]:
        """One pose for each box of each image, in the same order."""
        detections = [as_detections(b) for b in boxes]
        people = sum(map(len, detections))
        if people < self._calls or self._share.backend.input.shape[0] is not None:
            return self._single.estimate_batch(images, detections, flip_test=flip_test)

        def estimate(part: list[Detections]) -> list[Poses]:
            return self._share.estimate_batch(images, part, flip_test=flip_test)

        # The last part is for the calling thread.
        *others, own = _divided(detections, self._calls)
        waiting = [self._workers.submit(estimate, part) for part in others]
        last = estimate(own)
        parts = [*(future.result() for future in waiting), last]
        return [joined(of_image) for of_image in zip(*parts, strict=True)]


def _divided(detections: Sequence[Detections], parts: int) -> list[list[Detections]]:
    """Per part the boxes of each image; the order of all boxes stays, part after part."""
    starts = np.cumsum([0, *map(len, detections)])[:-1]
    divided = []
    for rows in np.array_split(np.arange(sum(map(len, detections))), parts):
        first, end = rows[0], rows[-1] + 1
        divided.append(
            [
                found[max(0, first - start) : max(0, end - start)]
                for found, start in zip(detections, starts, strict=True)
            ]
        )
    return divided
