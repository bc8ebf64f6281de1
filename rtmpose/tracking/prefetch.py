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
from rtmpose.backends.parallel import release
from rtmpose.families import Network, PoseModel, TopDown, open_share
from rtmpose.tracking.candidates import confident
from rtmpose.tracking.spread_pose import SpreadPose
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
    """Networks for several calls at once, and threads that work on frames ahead of a tracker with
    them; or the tracker's own.

    Args:
        tracker: Model and settings.
        ahead: Frames are there before their turn, as those of files.
        every_frame: Most of a frame's work can be done ahead: the detector sees every frame.

    Attributes:
        at_once: Calls, and frames, worked on at the same time: as many as there are cores; 1 on
            GPUs, and with engines that cannot.
    """

    def __init__(
        self, tracker: PoseTracker, *, ahead: bool = True, every_frame: bool = True
    ) -> None:
        self._tracker = tracker
        self._model = tracker.model
        self._every_frame = every_frame
        self.at_once = 1

        # Without boxes there is nothing in a frame that could be spread.
        networks = tracker.model.networks
        if networks and (ahead or tracker.model.needs_boxes):
            # The last network is the one that finds keypoints.
            self.at_once = calls_at_once(networks[-1].backend, networks[-1].options)
        self._ahead = ahead and self.at_once > 1
        if self._ahead:
            self._model = tracker.model.with_backends(self._narrow)

    @contextmanager
    def at_work(self) -> Iterator[tuple[PoseTracker, ThreadPoolExecutor | None]]:
        """A tracker whose networks use all cores for a batch, and threads for :meth:`prepare`."""
        # One call at a time needs no threads, and the tracker's own networks.
        if self.at_once == 1:
            yield self._tracker, None
            return

        # One more frame than calls: one of them is always between two calls.
        with (
            ThreadPoolExecutor(self.at_once + 1, "rtmpose-frames") as frames,
            ThreadPoolExecutor(self.at_once, "rtmpose-people") as people,
        ):
            model = self._spread(people)
            try:
                yield (
                    PoseTracker(None, model, self._tracker.params),
                    frames if self._ahead else None,
                )
            finally:
                # Frames still waiting are not worth finishing.
                frames.shutdown(cancel_futures=True)

    def _spread(self, people: ThreadPoolExecutor) -> PoseModel:
        """The model for the tracker itself: the people of a frame are divided among the cores."""
        model = self._tracker.model
        *_, finds_keypoints = model.networks

        def for_one_call(network: Network) -> Backend:
            # Somebody who is followed alone is waited for; so is a detector that is not ahead.
            waited_for = not self._ahead or (network is finds_keypoints and not self._every_frame)
            if waited_for or self.at_once > FEW_CALLS:
                return network.backend
            # The other cores work on the next frames, so that one call with all of them gains
            # nothing: the network is in memory once, unless others use it too.
            if any(network is own for own in self._tracker.own_networks):
                release(network.backend)
            return self._narrow(network)

        alone = model.with_backends(for_one_call)
        if not isinstance(alone, TopDown):
            return alone
        share = alone.pose.with_backend(self._narrow(finds_keypoints))
        spread = SpreadPose(alone.pose, share, self.at_once, people)
        return TopDown(alone.detector, spread, whole_image=model.whole_image)

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
        if not self._ahead:
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
