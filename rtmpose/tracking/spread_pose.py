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
        even: The cores have little else to do: where some calls would get one person more than
            others, and most cores would wait for them, these people come after the others with all
            cores.
    """

    def __init__(
        self,
        single: PoseEstimator,
        share: PoseEstimator,
        calls: int,
        workers: Executor,
        *,
        even: bool = False,
    ) -> None:
        self._single = single
        self._share = share
        self._calls = calls
        self._workers = workers
        self._even = even

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

        # Few people too many: the cores that they leave idle are the larger part.
        rest = people % self._calls
        if not self._even or rest > self._calls // 2:
            rest = 0

        # The last part is for the calling thread.
        *others, own = _divided(detections, self._calls, people - rest)
        waiting = [self._workers.submit(estimate, part) for part in others]
        last = estimate(own)
        parts = [*(future.result() for future in waiting), last]
        if rest:
            remaining = _rows(detections, people - rest, people)
            parts.append(self._single.estimate_batch(images, remaining, flip_test=flip_test))
        return [joined(of_image) for of_image in zip(*parts, strict=True)]


def _divided(detections: Sequence[Detections], parts: int, people: int) -> list[list[Detections]]:
    """The first people, in parts of about the same number."""
    groups = np.array_split(np.arange(people), parts)
    return [_rows(detections, int(rows[0]), int(rows[-1]) + 1) for rows in groups]


def _rows(detections: Sequence[Detections], first: int, end: int) -> list[Detections]:
    """Per image its boxes among those from one to another, counted through all images."""
    found = []
    start = 0
    for of_image in detections:
        found.append(of_image[max(0, first - start) : max(0, end - start)])
        start += len(of_image)
    return found
