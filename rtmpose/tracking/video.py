"""Tracking whole videos and streams: decoding, detection, poses and whatever follows overlap.

    decode (thread) -> detect, and poses of those surely found (threads, `ahead.py`) -> poses of
    others, ids (here)
        -> draw, encode, write (a `Behind` of the caller)

What the detector finds does not depend on the frame before, so files are worked on some frames
ahead. Not so live sources: a frame detected ahead would only grow old. There the newest frame is
taken whenever the networks are free.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtmpose.sources import SourceItem, open_frames
from rtmpose.tracking.prefetch import FramePrefetcher, FrameTask
from rtmpose.tracking.smoothing import smooth_offline
from rtmpose.tracking.state import TrackState
from rtmpose.tracking.tracker import PoseTracker, find
from rtmpose.types import Frame, Poses, Skeleton
from rtmpose.worker_threads import OrderedMap, Prefetch

AHEAD = 4
DETECTED_AHEAD = 2
CHANGED = 18.0
"""Mean difference of two thumbnails (0..255) that means a new scene."""


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


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """One frame with the people in it.

    Attributes:
        item: The source.
        frame: The frame.
        poses: With ids.
    """

    item: SourceItem
    frame: Frame
    poses: Poses


class VideoTracker:
    """Runs a tracker over sources.

    Args:
        tracker: Detector, pose network and settings.
        interval: Frames between detections, or ``auto``: detect when somebody was lost, is unsure
            or the scene changes, and every 15 frames at the latest; None takes the tracker's
            ``det_interval``.
        start_s: Skip what comes before, in seconds.
        end_s: Stop there.
        fps_limit: Frames per second taken at most.
    """

    def __init__(
        self,
        tracker: PoseTracker,
        *,
        interval: int | str | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        fps_limit: float | None = None,
    ) -> None:
        self.tracker = tracker
        self.interval = tracker.params.det_interval if interval is None else interval
        self.start_s, self.end_s, self.fps_limit = start_s, end_s, fps_limit
        self.statistics = Statistics()

    def run(self, items: Sequence[SourceItem], *, flip: bool = False) -> Iterator[TrackedFrame]:
        """Follow people through several sources at once, frame by frame in turn; each has ids of
        its own.

        Args:
            items: One source, or several that share the pose network's calls.
            flip: Mirror the frames first (a selfie view).

        Raises:
            InputError: a source cannot be read.
        """
        states = [self.tracker.create_state() for _ in items]
        # Where most of a frame's work depends on the frame before, its calls do best with all
        # cores.
        waits = self.interval != 1 or any(item.live for item in items)
        crew = FramePrefetcher(self.tracker, at_once=1 if waits else None)
        with crew.at_work() as (tracker, workers):
            feeds = [self._feed(item, flip, crew, workers) for item in items]
            try:
                going = list(range(len(items)))
                while going:
                    rows = []
                    for i in list(going):
                        entry = next(feeds[i], None)
                        if entry is None:
                            going.remove(i)
                        else:
                            rows.append((i, entry))
                    if rows:
                        yield from self._together(tracker, items, states, rows)
            finally:
                for feed in feeds:
                    feed.close()
                    self.statistics.dropped += feed.dropped

    def _together(
        self,
        tracker: PoseTracker,
        items: Sequence[SourceItem],
        states: Sequence[TrackState],
        rows: list[tuple[int, FrameTask]],
    ) -> Iterator[TrackedFrame]:
        used = [states[i] for i, _ in rows]
        entries = [entry for _, entry in rows]
        boxes = []
        for entry, state in zip(entries, used, strict=True):
            found = entry.found
            if self.interval == "auto" and found is None and self._doubt(state, entry.changed):
                found = find(tracker.detector, entry.frame.image, tracker.params.det_thr)
                state.since_detection = 0
            self.statistics.detections += found is not None and tracker.detector is not None
            boxes.append(found)
            state.since_detection += 1
        poses = tracker.track_batch(
            used,
            [entry.frame.image for entry in entries],
            times=[entry.frame.time_s for entry in entries],
            detect=[False] * len(rows),
            boxes=boxes,
            known=[entry.known for entry in entries],
        )
        now = time.perf_counter()
        for (i, entry), people in zip(rows, poses, strict=True):
            self.statistics.frames += 1
            if len(self.statistics.latencies_s) < 100_000:
                self.statistics.latencies_s.append(now - entry.moment)
            yield TrackedFrame(items[i], entry.frame, people)

    def _feed(
        self, item: SourceItem, flip: bool, crew: FramePrefetcher, workers: Executor | None
    ) -> _Feed:
        frames = Prefetch(
            self._stamped(item, flip), 1 if item.live else AHEAD, drop_oldest=item.live
        )
        planned = self._planned(frames)
        if item.live:
            return _Feed(frames, map(crew.prepare, planned))
        if workers is None:
            return _Feed(frames, Prefetch(map(crew.prepare, planned), DETECTED_AHEAD))
        return _Feed(frames, OrderedMap(crew.prepare, planned, workers, crew.at_once + 2))

    def _stamped(self, item: SourceItem, flip: bool) -> Iterator[tuple[Frame, float]]:
        """Frames within the wanted time, with the moment they were read."""
        last = None
        for frame in open_frames(item):
            if frame.time_s < self.start_s:
                continue
            if self.end_s is not None and frame.time_s >= self.end_s:
                break
            if (
                self.fps_limit
                and last is not None
                and frame.time_s - last < 1 / self.fps_limit - 1e-6
            ):
                continue
            last = frame.time_s
            if flip:
                frame = Frame(
                    np.ascontiguousarray(frame.image[:, ::-1]),
                    frame.index,
                    frame.time_s,
                    frame.source,
                )
            yield frame, time.perf_counter()

    def _planned(self, frames: Iterator[tuple[Frame, float]]) -> Iterator[FrameTask]:
        """Frames, and whether to detect in them."""
        thumbnail: Any = None
        for count, (frame, moment) in enumerate(frames):
            changed, detect = False, False
            if self.interval == "auto":
                small = frame.image[
                    :: max(1, frame.image.shape[0] // 32), :: max(1, frame.image.shape[1] // 32)
                ]
                small = small.astype(np.int16)
                changed = thumbnail is None or thumbnail.shape != small.shape
                changed = changed or float(np.abs(small - thumbnail).mean()) > CHANGED
                thumbnail = small
                detect = changed
            else:
                detect = count % int(self.interval) == 0
            yield FrameTask(frame, moment, detect, changed)

    def _doubt(self, state: TrackState, changed: bool) -> bool:
        """Whether it is time to look for people again."""
        if changed or state.since_detection >= 15 or not state.tracks:
            return changed or state.since_detection >= (15 if state.tracks else 5)
        weak = any(t.missing or float(np.median(t.scores)) < 0.35 for t in state.tracks)
        return weak and state.since_detection >= 3


class _Feed:
    """Frames with their detections, made ahead or when they are asked for; closing it closes what
    it reads from.
    """

    def __init__(self, frames: Prefetch[Any], entries: Any) -> None:
        self._frames, self._entries = frames, entries

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def close(self) -> None:
        self._frames.close()
        close = getattr(self._entries, "close", None)
        if close is not None:
            close()

    @property
    def dropped(self) -> int:
        return self._frames.dropped


def smooth_clip(
    frames: Sequence[tuple[float, Poses]], skeleton: Skeleton
) -> list[tuple[Poses, np.ndarray]]:
    """All frames of a clip, smoothed without lag, short absences filled in.

    Args:
        frames: Seconds and poses with ids (unsmoothed), in order.
        skeleton: Of the poses.

    Returns:
        Per frame the poses, and which of them were filled in.
    """
    times = [t for t, _ in frames]
    rows: dict[int, list[tuple[float, Any, Any, Any, float]]] = {}
    for t, poses in frames:
        for i in range(len(poses)):
            number = int(poses.ids[i]) if poses.ids is not None else i
            rows.setdefault(number, []).append(
                (t, poses.keypoints[i], poses.scores[i], poses.boxes[i], float(poses.box_scores[i]))
            )
    out: list[list[Any]] = [[] for _ in frames]
    for number in sorted(rows):
        seen, keypoints, scores, boxes, box_scores = (
            np.array(c) for c in zip(*rows[number], strict=True)
        )
        present, places, values, filled = smooth_offline(seen, keypoints, scores, times)
        corners = np.stack([np.interp(times, seen, boxes[:, c]) for c in range(4)], axis=1)
        sure = np.interp(times, seen, box_scores)
        for f in np.flatnonzero(present):
            out[f].append((number, corners[f], sure[f], places[f], values[f], bool(filled[f])))
    k = len(skeleton)
    calibration = next((poses.calibration for _, poses in frames), None)
    result = []
    for people in out:
        result.append(
            (
                Poses(
                    np.array([p[1] for p in people], np.float32).reshape(-1, 4),
                    np.array([p[2] for p in people], np.float32),
                    np.array([p[3] for p in people], np.float32).reshape(-1, k, 2),
                    np.array([p[4] for p in people], np.float32).reshape(-1, k),
                    skeleton,
                    np.array([p[0] for p in people], np.int64),
                    calibration,
                ),
                np.array([p[5] for p in people], bool),
            )
        )
    return result
