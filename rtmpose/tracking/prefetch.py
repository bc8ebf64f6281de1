"""What can be done for a frame before its turn comes: finding people, and the poses of those found
with confidence.

Neither depends on the frame before. On a CPU several frames are worked on at once, each network
call with its own core: then no core waits for another inside a network, as they do when they
share a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from rtmpose.backends import Backend, calls_at_once
from rtmpose.backends.parallel import ParallelBackend, release
from rtmpose.families import Network, open_share
from rtmpose.tracking.candidates import confident
from rtmpose.tracking.tracker import PoseTracker
from rtmpose.types import Detections, Frame, Poses
from rtmpose.worker_threads import Prefetch

FEW_CALLS = 2
"""Calls at once up to which the share of one call is enough for everything."""
POLL_S = 0.005
"""Pause where none of several streams has a frame."""


@dataclass(frozen=True, eq=False)
class FrameTask:
    """A frame on its way to the tracker.

    Attributes:
        frame: The frame.
        read_at: When it was read (``time.perf_counter``).
        detect: Whether the detector is to run.
        changed: Whether the scene changed.
        detections: What the detector found, or the boxes given for the frame; None without either.
        poses: Poses in some of those boxes; of one-stage models the people of the frame.
    """

    frame: Frame
    read_at: float
    detect: bool
    changed: bool = False
    detections: Detections | None = None
    poses: Poses | None = None


class TaskFeed:
    """Frames with their detections, prepared ahead or on demand; closing it closes what it reads
    from.

    Args:
        frames: What is read.
        tasks: Made of it.
        live: Whether frames come when they come: a camera or stream.
    """

    def __init__(
        self, frames: Prefetch[tuple[Frame, float]], tasks: Iterator[FrameTask], *, live: bool
    ) -> None:
        self._frames = frames
        self._tasks = tasks
        self._live = live

    def __iter__(self) -> Iterator[FrameTask]:
        return self

    def __next__(self) -> FrameTask:
        return next(self._tasks)

    def close(self) -> None:
        """Stop reading; what was prepared ahead is lost."""
        self._frames.close()
        # Plain iterators have nothing to close.
        close = getattr(self._tasks, "close", None)
        if close is not None:
            close()

    @property
    def ready(self) -> bool:
        """Whether the next frame need not be waited for; files are never waited for long."""
        return not self._live or self._frames.ready

    @property
    def dropped(self) -> int:
        """Frames of a live source that were thrown away to stay up to date."""
        return self._frames.dropped


class FramePrefetcher:
    """Works on frames ahead of a tracker, with networks for several calls at once, or with the
    tracker's own.

    Args:
        tracker: Model and settings.
        at_once: Frames worked on at the same time; None for as many as there are cores: 1 on GPUs,
            and with engines that cannot.
    """

    def __init__(self, tracker: PoseTracker, at_once: int | None = None) -> None:
        self._tracker = tracker
        self._model = tracker.model
        self.at_once = at_once or 1

        # The last network is the one that finds keypoints.
        networks = tracker.model.networks
        if at_once is None and networks:
            self.at_once = calls_at_once(networks[-1].backend, networks[-1].options)
        if self.at_once > 1:
            self._model = tracker.model.with_backends(self._narrow)

    @contextmanager
    def at_work(self) -> Iterator[tuple[PoseTracker, ThreadPoolExecutor | None]]:
        """A tracker whose networks use all cores for a batch, and threads for :meth:`prepare`."""
        # One frame at a time needs no threads, and the tracker's own networks.
        if self.at_once == 1:
            yield self._tracker, None
            return

        # One more frame than calls: one of them is always between two calls.
        with (
            ThreadPoolExecutor(self.at_once + 1, "rtmpose-frames") as frames,
            ThreadPoolExecutor(self.at_once, "rtmpose-people") as people,
        ):

            def spread(network: Network) -> Backend:
                narrow = self._narrow(network)  # one share of the cores for each call
                if self.at_once > FEW_CALLS:
                    return ParallelBackend(network.backend, narrow, self.at_once, people)
                # The other cores work on the next frames, so that one call with all of them gains
                # nothing: the network is in memory once, unless others use it too.
                if any(network is own for own in self._tracker.own_networks):
                    release(network.backend)
                return ParallelBackend(narrow, narrow, self.at_once, people)

            model = self._tracker.model.with_backends(spread)
            try:
                yield PoseTracker(None, model, self._tracker.params), frames
            finally:
                # Frames still waiting are not worth finishing.
                frames.shutdown(cancel_futures=True)

    def prepare(self, task: FrameTask) -> FrameTask:
        """The task with what can be known before the frames before it are tracked."""
        tracker = self._tracker
        image = task.frame.image

        # One-stage models see every frame, whether it is the detector's turn or not.
        if not tracker.model.needs_boxes:
            return replace(task, poses=tracker.find_poses(image, self._model))

        found = task.detections
        if found is None:
            if not task.detect:
                return task
            found = tracker.find_people(image, self._model)
        if self.at_once == 1:
            return replace(task, detections=found)

        # Poses of confident detections, which the tracker needs whoever was there before.
        rows = np.flatnonzero(confident(found, tracker.params))
        if tracker.params.pose_max_num_bboxes >= 0:
            rows = rows[: tracker.params.pose_max_num_bboxes]  # sorted by score
        poses = self._model.estimate([image], [found[rows]])[0]
        return replace(task, detections=found, poses=poses)

    def _narrow(self, network: Network) -> Backend:
        """The network, opened for as many calls as there are frames at the same time."""
        return open_share(network, self.at_once)
