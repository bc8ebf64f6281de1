"""What a tracker remembers: a person, and all people of one stream."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from rtmpose.tracking.kalman import FRAME_S, BoxFilter
from rtmpose.tracking.params import TrackerParams
from rtmpose.tracking.smoothing import OneEuro
from rtmpose.types import FloatArray

WELL_KNOWN_HITS = 15
"""Sightings after which somebody is remembered for ``remember_s``."""


@dataclass
class Track:
    """One person: where they are, how they move, and how often they were seen."""

    # Identity and motion; a negative id is not confirmed.
    id: int
    filter: BoxFilter
    # The last pose and its box.
    keypoints: FloatArray
    scores: FloatArray
    box: FloatArray
    box_score: float
    smoother: OneEuro | None
    # How often seen, and how long not.
    missing: int = 0
    missing_s: float = 0.0
    hits: int = 1
    swapped: int = 0
    follow: bool = True
    # Where the person should be in this frame, and by how much the center moved.
    predicted: FloatArray = field(default_factory=lambda: np.zeros(4, np.float32))
    moved: FloatArray = field(default_factory=lambda: np.zeros(2, np.float32))


class TrackState:
    """What is remembered of one stream: its people and their ids. Made by
    :meth:`PoseTracker.create_state`.

    Attributes:
        history: Per id the last poses ``(K, 3)``, oldest first; as many as ``track_history_size``.
        frames: Frames seen.
    """

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.history: dict[int, deque[FloatArray]] = {}
        self.frames = 0
        self.since_detection = 0
        self._time: float | None = None
        self._next_id = 0

    def reset(self) -> None:
        """Forget the people; ids go on, so that none is used twice."""
        self.tracks = []
        self.history = {}
        self._time = None
        self.frames = 0
        self.since_detection = 0

    def record(self, shown: list[Track], size: int) -> None:
        """Keep the last ``size`` poses of the people shown, and nothing of people forgotten."""
        for track in shown:
            history = self.history.setdefault(track.id, deque(maxlen=size))
            history.append(np.concatenate([track.keypoints, track.scores[:, None]], axis=1))

        # Forgotten people take their history with them.
        alive = {t.id for t in self.tracks}
        self.history = {k: v for k, v in self.history.items() if k in alive}

    def new_id(self) -> int:
        """An id not given before in this stream."""
        self._next_id += 1
        return self._next_id

    def step(self, time_s: float | None) -> tuple[float, float]:
        """Time of this frame and the interval from the last one, in seconds."""
        # Without a clock frames come 30 times a second.
        if time_s is not None:
            now = float(time_s)
        else:
            now = 0.0 if self._time is None else self._time + FRAME_S

        # Streams stamp frames twice or go back after reconnecting: a frame is never earlier than
        # the last.
        interval = FRAME_S if self._time is None else max(now - self._time, 1e-3)
        self._time = now
        # After a long pause people are not expected far away: two seconds are the longest step.
        return now, min(interval, 2.0)


def is_remembered(track: Track, params: TrackerParams, shape: tuple[int, ...]) -> bool:
    """Whether a track is kept: the person is in sight, or may still come back.

    Args:
        track: Its ``missing`` counts this frame too.
        params: How long people are remembered.
        shape: Height and width of the frame.
    """
    # Whoever was seen for long is remembered by the clock, others by the number of frames.
    well_known = track.hits >= WELL_KNOWN_HITS and track.missing_s <= params.remember_s
    if track.missing > params.track_max_missing and not well_known:
        return False

    # A new track that is lost before it is confirmed was hardly a person.
    if track.hits < params.confirm and track.missing > 1:
        return False

    # A missing person who is expected wholly outside the frame has left.
    x1, y1, x2, y2 = track.predicted
    outside = bool(x2 < 0 or y2 < 0 or x1 > shape[1] or y1 > shape[0])
    return not (track.missing and outside)
