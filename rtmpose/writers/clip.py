"""The results of a whole clip as arrays: what formats are written from that need all its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.types import FloatArray, Skeleton

DEFAULT_FPS = 30.0
"""Of clips whose frames say nothing of their rate: a single one."""
MOST_IDS = 20
"""Listed in an error."""
MOST_BYTES = 4 << 30
"""Of arrays with a place for everybody in every frame."""


@dataclass(frozen=True, eq=False)
class PersonTracks:
    """People over time: F frames, P people, K keypoints; NaN where somebody is not seen.

    Attributes:
        frames: ``(F,)`` int64 numbers of the frames in their source, from 0.
        times: ``(F,)`` float64 seconds since the start of the source.
        ids: The P ids.
        keypoints: ``(F, P, K, 2)`` float32 x, y in image pixels.
        scores: ``(F, P, K)`` float32 as the model gives them.
        confidences: ``(F, P, K)`` float32 in 0..1, see :attr:`Clip.confidences`.
        boxes: ``(F, P, 4)`` float32 xyxy in image pixels.
        box_scores: ``(F, P)`` float32.
    """

    frames: NDArray[np.int64]
    times: NDArray[np.float64]
    ids: tuple[int, ...]
    keypoints: FloatArray
    scores: FloatArray
    confidences: FloatArray
    boxes: FloatArray
    box_scores: FloatArray


@dataclass(frozen=True, eq=False)
class Clip:
    """The results of one source: F frames, and R rows of a person in a frame.

    Attributes:
        source: Name of the source: a path, URL or camera index.
        skeleton: What the K keypoints are.
        frames: ``(F,)`` int64 numbers of all frames that were processed, people or not, rising.
        times: ``(F,)`` float64 their seconds since the start of the source.
        rows: ``(R,)`` int64 place in ``frames`` of each row, never falling.
        ids: ``(R,)`` int64 number of the person; None without tracking.
        boxes: ``(R, 4)`` float32 xyxy in image pixels.
        box_scores: ``(R,)`` float32.
        keypoints: ``(R, K, 2)`` float32 x, y in image pixels; NaN where missing.
        scores: ``(R, K)`` float32 as the model gives them; 0 where the point is missing.
        filled: ``(R,)`` bool: interpolated over a gap.
        probabilities: ``(R, K)`` float32 in 0..1; None for models that were not calibrated.
        fps: Frames per second; None where unknown.
        size_wh: Width and height in pixels; None where unknown.
        still: The source is a single image.
        models: What each network is for (``pose``, ``detector``) to its id.

    Raises:
        InputError: the same person is twice in a frame.
    """

    source: str
    skeleton: Skeleton
    frames: NDArray[np.int64]
    times: NDArray[np.float64]
    rows: NDArray[np.int64]
    ids: NDArray[np.int64] | None
    boxes: FloatArray
    box_scores: FloatArray
    keypoints: FloatArray
    scores: FloatArray
    filled: NDArray[np.bool_]
    probabilities: FloatArray | None = None
    fps: float | None = None
    size_wh: tuple[int, int] | None = None
    still: bool = False
    models: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ids is None:
            return
        pairs, counts = np.unique(np.stack([self.rows, self.ids], 1), axis=0, return_counts=True)
        twice = pairs[counts > 1]
        if len(twice):
            row, number = twice[0]
            raise InputError(
                f"frame {self.frames[row]} of {self.source} has person {number} twice;"
                " an id belongs to one person"
            )

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        people = "untracked" if self.ids is None else f"{len(self.person_ids)} people"
        return f"Clip({self.source!r}, {len(self)} frames, {people}, {self.skeleton.name})"

    @cached_property
    def person_ids(self) -> tuple[int, ...]:
        """Numbers of all people, rising; empty without tracking."""
        return () if self.ids is None else tuple(int(i) for i in np.unique(self.ids))

    @property
    def rate(self) -> float:
        """Frames per second: as the source says, else as the times of the frames do."""
        if self.fps:
            return self.fps
        spans = np.diff(self.times)
        spans = spans[spans > 0]
        steps = np.diff(self.frames)
        if not len(spans):
            return DEFAULT_FPS
        return float(np.median(steps) / np.median(spans))

    @property
    def sampling_rate(self) -> float:
        """Processed frames per second: less than :attr:`rate` where only every n-th was."""
        steps = np.diff(self.frames)
        return self.rate / float(np.median(steps)) if len(steps) else self.rate

    @property
    def confidences(self) -> FloatArray:
        """``(R, K)`` float32 in 0..1: the probabilities, or else the scores, cut off at 1."""
        if self.probabilities is not None:
            return self.probabilities
        return np.clip(self.scores, 0, 1)

    @property
    def has_rising_scores(self) -> bool:
        """Whether scores above 1 are cut off in :attr:`confidences`."""
        return self.probabilities is None and bool((self.scores > 1).any())

    def at_rate(self, fps: float) -> Clip:
        """The same at another number of frames per second, and times that follow from it."""
        return replace(self, fps=fps, times=self.frames / fps)

    def people(self, ids: Sequence[int]) -> Clip:
        """The same clip with some of its people.

        Raises:
            InputError: one of them is not there, or nobody has an id.
        """
        missing = sorted(set(ids) - set(self.person_ids))
        if self.ids is None:
            raise InputError(
                f"the people in {self.source} have no ids; they come from `rtmpose track`"
            )
        if missing:
            known = ", ".join(str(i) for i in self.person_ids[:MOST_IDS])
            more = ", ..." if len(self.person_ids) > MOST_IDS else ""
            raise InputError(
                f"there is no person {missing[0]} in {self.source}; the ids are {known}{more}"
            )
        return self.rows_where(np.isin(self.ids, np.array(ids)))

    def rows_where(self, kept: NDArray[np.bool_]) -> Clip:
        """The same frames with some of the rows."""
        return replace(
            self,
            rows=self.rows[kept],
            ids=None if self.ids is None else self.ids[kept],
            boxes=self.boxes[kept],
            box_scores=self.box_scores[kept],
            keypoints=self.keypoints[kept],
            scores=self.scores[kept],
            filled=self.filled[kept],
            probabilities=None if self.probabilities is None else self.probabilities[kept],
        )

    def without_points_below(self, score: float) -> Clip:
        """The same with points missing that score lower: NaN, score and probability 0."""
        low = self.scores < score
        probabilities = self.probabilities
        if probabilities is not None:
            probabilities = np.where(low, np.float32(0), probabilities)
        return replace(
            self,
            keypoints=np.where(low[..., None], np.float32(np.nan), self.keypoints),
            scores=np.where(low, np.float32(0), self.scores),
            probabilities=probabilities,
        )

    def with_ids(self) -> Clip:
        """The same with an id for everybody: 1 where there is one person at most in every frame.

        Raises:
            InputError: nobody has an id, and there are several people.
        """
        if self.ids is not None:
            return self
        if len(np.unique(self.rows)) != len(self.rows):
            raise InputError(
                f"{self.source} shows several people who have no ids, so that nothing says who is"
                " who from frame to frame; make the results with `rtmpose track`, or with"
                " `rtmpose predict --max-people 1`"
            )
        return replace(self, ids=np.ones(len(self.rows), np.int64))

    def tracks(self, *, from_frame_0: bool = False) -> PersonTracks:
        """Arrays with a place for every person in every frame.

        Args:
            from_frame_0: A row for every frame of the source from its first to the last that was
                processed, for formats that tell frames by their position; else only those that
                were processed.

        Raises:
            InputError: see :meth:`with_ids`; or these arrays would fill the memory.
        """
        clip = self.with_ids().from_frame_0() if from_frame_0 else self.with_ids()
        assert clip.ids is not None
        ids = clip.person_ids
        # x, y, score and confidence of each point.
        size = len(clip.frames) * len(ids) * len(clip.skeleton) * 4 * np.float32().nbytes
        if size > MOST_BYTES:
            raise InputError(
                f"{clip.source} has {len(ids)} people in {len(clip.frames)} frames: a place for"
                f" everybody in every frame takes {size / 1e9:.0f} GB; choose people with --person"
            )
        column = np.searchsorted(np.array(ids, np.int64), clip.ids)
        shape = (len(clip.frames), len(ids))

        def spread(values: FloatArray) -> FloatArray:
            full = np.full((*shape, *values.shape[1:]), np.nan, np.float32)
            full[clip.rows, column] = values
            return full

        return PersonTracks(
            clip.frames,
            clip.times,
            ids,
            spread(clip.keypoints),
            spread(clip.scores),
            spread(clip.confidences),
            spread(clip.boxes),
            spread(clip.box_scores),
        )

    def evenly(self) -> Clip:
        """The same with frames at one distance, for formats without times: every frame from the
        first to the last where they were processed at different distances.
        """
        if len(np.unique(np.diff(self.frames))) <= 1:
            return self
        return self._with_frames(np.arange(self.frames[0], self.frames[-1] + 1))

    def from_frame_0(self) -> Clip:
        """The same with every frame of the source up to the last one, processed or not."""
        if not len(self.frames):
            return self
        return self._with_frames(np.arange(self.frames[-1] + 1))

    def _with_frames(self, frames: NDArray[np.int64]) -> Clip:
        """More frames than were processed, rising one by one."""
        # Between known moments along the line, before and after at the rate of the clip.
        times = np.interp(frames, self.frames, self.times)
        before = frames < self.frames[0]
        times[before] = self.times[0] - (self.frames[0] - frames[before]) / self.rate
        rows = self.frames[self.rows] - frames[0]
        return replace(self, frames=frames, times=times, rows=rows)
