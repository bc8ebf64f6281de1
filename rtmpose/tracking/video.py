"""Tracking whole videos and streams: decoding, detection, poses and whatever follows overlap.

    decode (thread) -> detect, and poses of confident detections (threads, `prefetch.py`)
        -> poses of the others, ids (here) -> draw, encode, write (the caller's threads)

What the detector finds does not depend on the frame before, so files are worked on some frames
ahead. Not so live sources: a frame detected ahead would only grow old. There the newest frame is
taken whenever the networks are free.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.detector import DEFAULT_DETECTOR
from rtmpose.errors import InputError
from rtmpose.families import BoxModel, CropModel, ModelName, PoseModel
from rtmpose.image_inputs import as_sources, checked_selection
from rtmpose.keywords import check_keywords, checked_keywords, keywords_of
from rtmpose.pose_estimator import DEFAULT_POSE_MODEL, Boxes, as_detections
from rtmpose.ranges import FPS, check_count, check_optional
from rtmpose.signals import signals_deferred
from rtmpose.sources import CameraSettings, SourceItem, expand_sources, open_frames
from rtmpose.tracking.params import PARAM_NAMES, TrackerParams
from rtmpose.tracking.prefetch import POLL_S, FramePrefetcher, FrameTask, TaskFeed
from rtmpose.tracking.scene_change import scene_changed, thumbnail_of
from rtmpose.tracking.smoothing import smooth_offline
from rtmpose.tracking.state import TrackState
from rtmpose.tracking.tracked_frame import TrackedFrame
from rtmpose.tracking.tracker import PoseTracker
from rtmpose.types import Calibration, Detections, FloatArray, Frame, Poses, Skeleton
from rtmpose.usable_cores import usable_cpus
from rtmpose.worker_threads import OrderedMap, Prefetch

DECODED_AHEAD = 2
"""Frames of a file that are decoded before they are needed."""
DETECTED_AHEAD = 2
"""Frames in which people are detected before they are tracked, where one thread does it."""
MAX_LATENCIES = 100_000
"""Latencies kept in the statistics."""


@dataclass
class Statistics:
    """What happened while tracking.

    Attributes:
        frames: Frames that got poses.
        detections: Frames in which the detector ran.
        dropped: Frames of live sources thrown away to stay up to date.
        latencies_s: From reading a frame to its poses, per frame.
    """

    frames: int = 0
    detections: int = 0
    dropped: int = 0
    latencies_s: list[float] = field(default_factory=list)


class VideoTracker:
    """Runs a tracker over sources.

    Args:
        tracker: Model and settings.
        interval: Frames between detections, or ``auto``: detect when somebody was lost, scores low
            or the scene changes, and every 15 frames at the latest; None takes the tracker's
            ``det_interval``. One-stage models, and ``whole_image``, see every frame, whatever it
            says.
        fps_limit: At most this many frames per second are taken.
        boxes: Gives the detected boxes of a source and frame index, to use instead of the detector;
            None from it leaves the frame to the interval.
        detect_ahead: Find people in the next frames of a file while the poses of this one are
            estimated. Never done on a single core.

    Raises:
        InputError: the interval is neither ``auto`` nor a positive number, or ``fps_limit`` is out
            of its range.
    """

    @checked_keywords
    def __init__(
        self,
        tracker: PoseTracker,
        *,
        interval: int | str | None = None,
        fps_limit: float | None = None,
        boxes: Callable[[SourceItem, int], Boxes | None] | None = None,
        detect_ahead: bool = True,
    ) -> None:
        if boxes is not None and not tracker.model.needs_boxes:
            raise InputError("a one-stage model finds people by itself: it takes no boxes")
        self.tracker = tracker
        self.interval = _checked_interval(tracker.params.det_interval, interval)
        # One-stage models find people in every frame, and a whole frame is a box at no cost.
        if not tracker.model.needs_boxes or tracker.model.whole_image:
            self.interval = 1
        self.fps_limit = check_optional("fps_limit", fps_limit, FPS)
        self.boxes = boxes
        self.detect_ahead = detect_ahead
        # Where boxes are given for some frames only, a detector is not needed for the others.
        self._detects = boxes is None or tracker.model.finds_people
        self.statistics = Statistics()

    def __repr__(self) -> str:
        return f"VideoTracker({self.tracker!r}, interval {self.interval})"

    def run(self, items: Sequence[SourceItem]) -> Iterator[TrackedFrame]:
        """Follow people through several sources at once, frame by frame in turn; each has its
        own ids.

        Args:
            items: One source, or several that share the pose network's calls.

        Raises:
            InputError: a source cannot be read, or is a stream that has ended for good. The others
                are followed to their end first.
        """
        failures: list[InputError] = []
        states = [self.tracker.create_state() for _ in items]
        # A live frame has nothing before its turn, and "auto" decides within it.
        prefetcher = FramePrefetcher(
            self.tracker,
            ahead=self.interval != "auto" and not any(item.live for item in items),
            every_frame=self.interval == 1,
        )
        with prefetcher.at_work() as (tracker, workers):
            feeds: list[TaskFeed] = []
            try:
                # A signal in between would leave threads that nobody knows of.
                with signals_deferred():
                    feeds += [self._feed(item, prefetcher, workers) for item in items]

                # One frame of each source that has one per turn, until all of them end.
                going = list(range(len(items)))
                while going:
                    rows = []
                    for i in list(going):
                        # A stream that stalls holds nobody up.
                        if len(going) > 1 and not feeds[i].ready:
                            continue
                        try:
                            task = next(feeds[i], None)
                        except InputError as error:
                            failures.append(error)
                            task = None
                        if task is None:
                            going.remove(i)
                        else:
                            rows.append((i, task))
                    if rows:
                        yield from self._track_together(tracker, items, states, rows)
                    elif going:
                        time.sleep(POLL_S)
                if failures:
                    raise InputError("; ".join(map(str, failures))) from failures[0]
            finally:
                for feed in feeds:
                    feed.close()
                    self.statistics.dropped += feed.dropped

    def _track_together(
        self,
        tracker: PoseTracker,
        items: Sequence[SourceItem],
        states: Sequence[TrackState],
        rows: list[tuple[int, FrameTask]],
    ) -> Iterator[TrackedFrame]:
        """One frame each of several sources."""
        active = [states[i] for i, _ in rows]
        tasks = [task for _, task in rows]

        # Boxes are decided here, so the tracker itself never runs the detector.
        boxes = [self._boxes(tracker, t, s) for t, s in zip(tasks, active, strict=True)]
        poses = tracker.track_batch(
            active,
            [task.frame.image for task in tasks],
            times=[task.frame.time_s for task in tasks],
            detect=[False] * len(rows),
            boxes=boxes,
            precomputed=[task.poses for task in tasks],
        )

        # Latency counts from reading to poses, before whoever asked takes the frame.
        now = time.perf_counter()
        for (i, task), people in zip(rows, poses, strict=True):
            self.statistics.frames += 1
            if len(self.statistics.latencies_s) < MAX_LATENCIES:
                self.statistics.latencies_s.append(now - task.read_at)
            yield TrackedFrame(items[i], task.frame, people)

    def _boxes(self, tracker: PoseTracker, task: FrameTask, state: TrackState) -> Detections | None:
        """What the detector found in a frame, now or ahead, or the boxes given for it; None where
        there are neither.
        """
        found = task.detections
        auto = self.interval == "auto" and self._detects
        if auto and found is None and self._doubt(state, task.changed):
            found = tracker.find_people(task.frame.image)
            state.since_detection = 0
        state.since_detection += 1

        ran = found is not None or not tracker.model.needs_boxes
        self.statistics.detections += ran and tracker.model.finds_people
        return found

    def _feed(
        self, item: SourceItem, prefetcher: FramePrefetcher, workers: Executor | None
    ) -> TaskFeed:
        # Live sources keep the newest frame only; files are decoded some frames ahead.
        frames = Prefetch(
            self._stamped(item), 1 if item.live else DECODED_AHEAD, drop_oldest=item.live
        )
        planned = self._planned(item, frames)
        if item.live:
            return TaskFeed(frames, map(prefetcher.prepare, planned), live=True)
        if workers is None and not (self.detect_ahead and _can_overlap(self.tracker.model)):
            return TaskFeed(frames, map(prefetcher.prepare, planned), live=False)
        if workers is None:
            one = Prefetch(map(prefetcher.prepare, planned), DETECTED_AHEAD)
            return TaskFeed(frames, one, live=False)
        tasks = OrderedMap(prefetcher.prepare, planned, workers, prefetcher.at_once + 2)
        return TaskFeed(frames, tasks, live=False)

    def _stamped(self, item: SourceItem) -> Iterator[tuple[Frame, float]]:
        """Frames, no more per second than wanted, with the moment they were read."""
        last = None
        for frame in open_frames(item):
            if (
                self.fps_limit
                and last is not None
                and frame.time_s - last < 1 / self.fps_limit - 1e-6
            ):
                continue
            last = frame.time_s
            yield frame, time.perf_counter()

    def _planned(
        self, item: SourceItem, frames: Iterator[tuple[Frame, float]]
    ) -> Iterator[FrameTask]:
        """Frames, and whether to detect in them; those with given boxes bring them along."""
        thumbnail: NDArray[np.int16] | None = None
        for count, (frame, read_at) in enumerate(frames):
            given = None if self.boxes is None else self.boxes(item, frame.index)
            if given is not None:
                yield FrameTask(frame, read_at, detect=False, detections=as_detections(given))
            elif self.interval == "auto":
                previous = thumbnail
                thumbnail = thumbnail_of(frame.image)
                changed = scene_changed(previous, thumbnail)
                yield FrameTask(frame, read_at, detect=changed and self._detects, changed=changed)
            else:
                turn = count % int(self.interval) == 0
                yield FrameTask(frame, read_at, detect=turn and self._detects)

    def _doubt(self, state: TrackState, changed: bool) -> bool:
        """Whether it is time to look for people again."""
        if changed or state.since_detection >= 15 or not state.tracks:
            return changed or state.since_detection >= (15 if state.tracks else 5)

        # Somebody is lost or badly seen: look, but not in every frame.
        weak = any(t.missing or float(np.median(t.scores)) < 0.35 for t in state.tracks)
        return weak and state.since_detection >= 3


def _can_overlap(model: PoseModel) -> bool:
    """Whether two networks at the same time gain anything: on a single core they would only take
    the cache from each other.
    """
    on_cpu = model.networks and all(network.backend.device == "cpu" for network in model.networks)
    return usable_cpus() > 1 or not on_cpu


def _checked_interval(usual: int, interval: object) -> int | str:
    """The interval in frames, or ``auto``."""
    if interval is None:
        return usual
    if interval == "auto":
        return "auto"
    if isinstance(interval, str):
        raise InputError(f"interval must be a whole number from 1, or auto, not {interval!r}")
    return check_count("interval", interval)


def track(
    source: object,
    *,
    detector: ModelName | BoxModel | None = DEFAULT_DETECTOR,
    pose: ModelName | CropModel | PoseModel = DEFAULT_POSE_MODEL,
    params: TrackerParams | None = None,
    det_interval: int | str | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    limit: int | None = None,
    fps_limit: float | None = None,
    flip: bool = False,
    camera: CameraSettings | None = None,
    color: str = "bgr",
    box_thr: float | None = None,
    max_people: int | None = None,
    **options: Any,
) -> Iterator[TrackedFrame]:
    """Follow people through a video, a camera or a stream; every person keeps one id.

    >>> for result in rtmpose.track("clip.mp4"):
    ...     print(result.frame.index, result.poses.ids)

    Args:
        source: A video file, a folder, a glob pattern, a camera (its index or device), a URL (HTTP,
            RTSP, UDP, ...), or a list of those; several are worked through one after the other,
            each with ids from 1.
        detector: See :class:`rtmpose.PoseTracker`.
        pose: See :class:`rtmpose.PoseTracker`.
        params: Settings of the tracker; single ones may be given as keywords instead, such as
            ``det_thr=0.4``.
        det_interval: Frames between detections, or ``auto``; see :class:`VideoTracker`.
        start_s: Seconds skipped at the start of each source.
        end_s: Second at which each source stops.
        limit: At most this many frames of each source.
        fps_limit: See :class:`VideoTracker`.
        flip: Mirror the frames first (a selfie view).
        camera: Size, rate and pixel format asked of a camera.
        color: ``bgr`` or ``rgb``: order of the channels of arrays.
        box_thr: Lowest score of a detected box; the same as ``det_thr``.
        max_people: At most this many people per frame; the same as ``pose_max_num_bboxes``.
        **options: Further arguments of :class:`rtmpose.PoseTracker` and
            :class:`rtmpose.TrackerParams`.

    Returns:
        An iterator of :class:`TrackedFrame`, one per frame, computed as it is consumed. The models
        are opened, and the sources looked up, before it returns.

    Raises:
        InputError: a source does not exist or cannot be read, or an option is unknown.
        ModelError: a model is not available.
    """
    accepted = [*keywords_of(track), *keywords_of(PoseTracker.__init__), *PARAM_NAMES]
    check_keywords("track", options, accepted)
    # The words that `predict` has too stand for two of the published ones.
    if box_thr is not None:
        options["det_thr"] = box_thr
    if max_people is not None:
        options["pose_max_num_bboxes"] = max_people

    # Sources are looked up before models are opened: a wrong path fails at once.
    selection = checked_selection(start_s, end_s, limit, flip)
    items = expand_sources(as_sources(source, color, selection), **selection, camera=camera)
    tracker = PoseTracker(detector, pose, params, **options)
    video_tracker = VideoTracker(tracker, interval=det_interval, fps_limit=fps_limit)
    return _one_after_the_other(video_tracker, items)


def _one_after_the_other(
    video_tracker: VideoTracker, items: Sequence[SourceItem]
) -> Iterator[TrackedFrame]:
    for item in items:
        yield from video_tracker.run([item])


Person = tuple[int, FloatArray, float, FloatArray, FloatArray, bool]
"""Id, box, box score, keypoints, scores, and whether filled in."""


def smooth_clip(
    frames: Sequence[tuple[float, Poses]], skeleton: Skeleton
) -> list[tuple[Poses, NDArray[np.bool_]]]:
    """All frames of a clip, smoothed without lag, short absences filled in.

    Args:
        frames: Seconds and poses with ids (unsmoothed), in order.
        skeleton: Of the poses.

    Returns:
        Per frame the poses, and which of them were filled in.
    """
    times = [t for t, _ in frames]

    # Every person's whole track is smoothed, then cut into frames again.
    people: list[list[Person]] = [[] for _ in frames]
    for number, sightings in sorted(_sightings(frames).items()):
        for index, person in _smoothed_track(number, sightings, times):
            people[index].append(person)

    calibration = next((poses.calibration for _, poses in frames), None)
    return [_frame_poses(found, skeleton, calibration) for found in people]


def _sightings(frames: Sequence[tuple[float, Poses]]) -> dict[int, list[tuple[float, Poses, int]]]:
    """Per id: when the person was seen, and which row of which poses they are."""
    seen: dict[int, list[tuple[float, Poses, int]]] = {}
    for time_s, poses in frames:
        # Poses without ids are told apart by their row.
        for row in range(len(poses)):
            number = row if poses.ids is None else int(poses.ids[row])
            seen.setdefault(number, []).append((time_s, poses, row))
    return seen


def _smoothed_track(
    number: int, sightings: Sequence[tuple[float, Poses, int]], times: Sequence[float]
) -> Iterator[tuple[int, Person]]:
    """One person in every frame they are present in: the frame's index, and the person there."""
    # Of T sightings: (T,), (T, K, 2), (T, K), (T, 4), (T,).
    seen = np.array([t for t, _, _ in sightings])
    keypoints = np.array([poses.keypoints[row] for _, poses, row in sightings])
    scores = np.array([poses.scores[row] for _, poses, row in sightings])
    boxes = np.array([poses.boxes[row] for _, poses, row in sightings])
    box_scores = np.array([float(poses.box_scores[row]) for _, poses, row in sightings])

    present, places, values, filled = smooth_offline(seen, keypoints, scores, times)
    # Boxes are not filtered, but filled in like keypoints.
    corners = np.stack([np.interp(times, seen, boxes[:, c]) for c in range(4)], axis=1)
    confidence = np.interp(times, seen, box_scores)
    for f in np.flatnonzero(present):
        person = (number, corners[f], confidence[f], places[f], values[f], bool(filled[f]))
        yield int(f), person


def _frame_poses(
    people: Sequence[Person], skeleton: Skeleton, calibration: Calibration | None
) -> tuple[Poses, NDArray[np.bool_]]:
    """The people of one frame, and which of them were filled in."""
    # The reshapes keep the ranks where nobody is there.
    k = len(skeleton)
    poses = Poses(
        np.array([p[1] for p in people], np.float32).reshape(-1, 4),
        np.array([p[2] for p in people], np.float32),
        np.array([p[3] for p in people], np.float32).reshape(-1, k, 2),
        np.array([p[4] for p in people], np.float32).reshape(-1, k),
        skeleton,
        np.array([p[0] for p in people], np.int64),
        calibration,
    )
    return poses, np.array([p[5] for p in people], bool)
