"""What can be done for a frame before its turn comes: finding people, and the poses of those surely
found.

Neither depends on the frame before. On a CPU several frames are worked on at once, each network
call with a core of its own: then no core waits for another inside a network, as they do when they
share a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from rtmpose.backends import Backend, calls_at_once, open_backend
from rtmpose.backends.parallel import ParallelBackend
from rtmpose.detector import Detector
from rtmpose.pose_estimator import PoseEstimator
from rtmpose.tracking.tracker import PoseTracker, find
from rtmpose.types import Detections, Frame, Poses


@dataclass(frozen=True, eq=False)
class FrameTask:
    """A frame on its way to the tracker.

    Attributes:
        frame: The frame.
        moment: When it was read (``time.perf_counter``).
        detect: Whether it is the detector's turn.
        changed: Whether the scene changed.
        found: What the detector found; None where it did not run.
        known: Poses in some of those boxes.
    """

    frame: Frame
    moment: float
    detect: bool
    changed: bool = False
    found: Detections | None = None
    known: Poses | None = None


class FramePrefetcher:
    """A tracker with networks for several calls at once; else with its own.

    Args:
        tracker: Detector, pose network and settings.
        at_once: Frames worked on at the same time; None for as many as there are cores: 1 on GPUs,
            and with engines that cannot.
    """

    def __init__(self, tracker: PoseTracker, at_once: int | None = None) -> None:
        self._tracker, self._detector, self.at_once = tracker, tracker.detector, at_once or 1
        if (
            at_once is None
            and isinstance(tracker.pose, PoseEstimator)
            and isinstance(tracker.detector, Detector | None)
        ):
            self.at_once = calls_at_once(tracker.pose.backend, tracker.pose.options)
        if self.at_once > 1:
            self._pose = tracker.pose.with_backend(_side_by_side(tracker.pose, self.at_once))
            if tracker.detector is not None:
                self._detector = tracker.detector.with_backend(
                    _side_by_side(tracker.detector, self.at_once)
                )

    @contextmanager
    def at_work(self) -> Iterator[tuple[PoseTracker, ThreadPoolExecutor | None]]:
        """A tracker whose pose network spreads people over the cores, and threads for
        :meth:`prepare`.
        """
        if self.at_once == 1:
            yield self._tracker, None
            return
        pose = self._tracker.pose
        with (
            ThreadPoolExecutor(
                self.at_once + 1, "rtmpose-frames"
            ) as frames,  # one of them is between two calls
            ThreadPoolExecutor(self.at_once, "rtmpose-people") as people,
        ):
            spread = ParallelBackend(pose.backend, self._pose.backend, self.at_once, people)
            try:
                yield (
                    PoseTracker(
                        self._tracker.detector, pose.with_backend(spread), self._tracker.params
                    ),
                    frames,
                )
            finally:
                frames.shutdown(cancel_futures=True)

    def prepare(self, entry: FrameTask) -> FrameTask:
        """The entry with what can be known before the frames before it are."""
        if not entry.detect:
            return entry
        params, image = self._tracker.params, entry.frame.image
        found = find(self._detector, image, params.det_thr)
        if self.at_once == 1:
            return replace(entry, found=found)
        sure = np.flatnonzero(self._tracker.sure(found))
        if params.pose_max_num_bboxes >= 0:
            sure = sure[: params.pose_max_num_bboxes]  # the surest come first
        return replace(entry, found=found, known=self._pose(image, found[sure]))


_opened: WeakKeyDictionary[Backend, Backend] = WeakKeyDictionary()


def _side_by_side(model: Detector | PoseEstimator, calls: int) -> Backend:
    """The model's network, opened for calls side by side; once, as long as it lives."""
    backend = _opened.get(model.backend)
    if backend is None:
        options = replace(model.options, num_streams=calls)
        backend = _opened[model.backend] = open_backend(model.path, model.card, options)
    return backend
