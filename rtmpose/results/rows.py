"""Rows of people, collected by source and made into clips."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.results.description import Description, SourceInfo
from rtmpose.sources.kinds import IMAGE_SUFFIXES
from rtmpose.types import Calibration, FloatArray, Skeleton
from rtmpose.writers.clip import DEFAULT_FPS, Clip

log = logging.getLogger(__name__)

NO_ID = -1
FARTHEST = 1e7
"""Pixels from the origin that a coordinate may have."""


@dataclass
class SourceRows:
    """What a file holds of one source, an entry of each list per person and frame.

    Attributes:
        frames: Number of the frame.
        points: ``(K, 3)`` x, y, score; NaN where missing.
        boxes: ``(4,)`` xyxy.
        seen: Frame to its time in seconds, people or not; None where the file does not say it.
        complete: Whether ``seen`` has every frame that was processed.
        probabilities: ``(K,)`` in 0..1, an entry for each person or none at all.
    """

    frames: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    filled: list[bool] = field(default_factory=list)
    points: list[FloatArray] = field(default_factory=list)
    boxes: list[Sequence[float]] = field(default_factory=list)
    box_scores: list[float] = field(default_factory=list)
    seen: dict[int, float | None] = field(default_factory=dict)
    size_wh: tuple[int, int] | None = None
    still: bool = False
    complete: bool = False
    probabilities: list[FloatArray] = field(default_factory=list)

    def add(
        self,
        frame: int,
        points: FloatArray,
        box: Sequence[float],
        *,
        number: int = NO_ID,
        box_score: float = 1.0,
        filled: bool = False,
    ) -> None:
        """Add a person."""
        self.frames.append(frame)
        self.points.append(points)
        self.boxes.append(box)
        self.ids.append(number)
        self.box_scores.append(box_score)
        self.filled.append(filled)


def box_around(points: FloatArray) -> tuple[float, ...]:
    """The box around ``(K, 3)`` points as xyxy, for formats without boxes; without points zeros."""
    known = points[np.isfinite(points).all(axis=1), :2]
    if not len(known):
        return (0.0, 0.0, 0.0, 0.0)
    return (*known.min(axis=0).tolist(), *known.max(axis=0).tolist())


def make_clips(
    sources: dict[str, SourceRows], description: Description, count: int, path: Path
) -> list[Clip]:
    """The clips of a file, those included of which is only said that nobody was seen.

    Args:
        sources: Name of each source to what was read of it.
        description: What the file says of itself.
        count: Number of keypoints.
        path: The file, for errors.

    Raises:
        InputError: numbers are missing or out of range.
    """
    skeleton = description.skeleton(count, path)
    names = dict.fromkeys([*description.sources, *sources])
    clips = []
    for name in names:
        rows = sources.get(name, SourceRows())
        info = description.sources.get(name, SourceInfo())
        if not rows.seen and info.last_frame is None and not info.still:
            continue
        clips.append(_clip(name, rows, info, skeleton, description, path))
    return clips


def _clip(
    name: str,
    rows: SourceRows,
    info: SourceInfo,
    skeleton: Skeleton,
    description: Description,
    path: Path,
) -> Clip:
    frames, times = all_frames(rows, info)
    order = np.argsort(np.array(rows.frames, np.int64), kind="stable")
    number = len(order)
    points = np.array(rows.points, np.float32).reshape(number, len(skeleton), 3)[order]
    boxes = np.array(rows.boxes, np.float32).reshape(number, 4)[order]
    ids = np.array(rows.ids, np.int64)[order]
    _check(points, boxes, ids, name, path)

    # A missing point has no score, and nothing is missing half.
    missing = np.asarray(~np.isfinite(points).all(axis=2), bool)
    points[missing, :2] = np.nan
    points[missing, 2] = 0
    scores = np.ascontiguousarray(points[..., 2])
    return Clip(
        name,
        skeleton,
        frames,
        times,
        np.searchsorted(frames, np.array(rows.frames, np.int64)[order]),
        ids if number and (ids != NO_ID).all() else None,
        boxes,
        np.array(rows.box_scores, np.float32)[order],
        np.ascontiguousarray(points[..., :2]),
        scores,
        np.array(rows.filled, bool)[order],
        _probabilities(rows, order, scores, missing, description.calibration()),
        info.fps,
        info.size_wh or rows.size_wh,
        rows.still or info.still or _is_photo(name, rows, info),
        dict(description.models),
    )


def _is_photo(name: str, rows: SourceRows, info: SourceInfo) -> bool:
    """Whether a source is a photo, by its name, where the file does not say it."""
    said = info.fps is not None or info.last_frame is not None
    suffix = PurePath(name.split("?")[0]).suffix.lower()
    return not said and list(rows.seen) == [0] and suffix in IMAGE_SUFFIXES


def _probabilities(
    rows: SourceRows,
    order: NDArray[np.int64],
    scores: FloatArray,
    missing: NDArray[np.bool_],
    calibration: Calibration | None,
) -> FloatArray | None:
    """Those that were written, or else those of a model that is known."""
    if len(rows.probabilities) == len(rows.frames) > 0:
        written = np.array(rows.probabilities, np.float32)[order]
        return np.where(missing, np.float32(0), np.clip(np.nan_to_num(written), 0, 1))
    return None if calibration is None else calibration.probabilities(scores)


def _check(
    points: FloatArray, boxes: FloatArray, ids: NDArray[np.int64], name: str, path: Path
) -> None:
    """Refuse what cannot be results."""
    far = np.isfinite(points) & (np.abs(points) > FARTHEST)
    if far.any() or not np.isfinite(boxes).all():
        raise InputError(f"{path} has coordinates of {name} that are no pixels; is it damaged?")
    if (ids == NO_ID).any() and (ids != NO_ID).any():
        raise InputError(
            f"{path} has people of {name} with an id and others without; give ids to all"
        )


def all_frames(rows: SourceRows, info: SourceInfo) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers and times of all frames that were processed, those without people included."""
    seen = sorted(rows.seen)
    last = info.last_frame
    wanted = {*seen, *([] if last is None else [info.first_frame, last])}
    if not wanted:
        return np.zeros(1 if info.still else 0, np.int64), np.zeros(1 if info.still else 0)
    frames = np.array(sorted(wanted), np.int64)
    if not rows.complete:
        frames = _between(frames, info)

    # Times that are said; those of the others lie on the line between them.
    said = {frame: time for frame, time in rows.seen.items() if time is not None}
    if last is not None:
        said.setdefault(last, info.last_time_s)
    known = np.array(sorted(said), np.int64)
    moments = np.array([said[frame] for frame in known.tolist()], np.float64)
    return frames, _times(frames, known, moments, info.fps)


def _between(known: NDArray[np.int64], info: SourceInfo) -> NDArray[np.int64]:
    """All frames from the first to the last: each, or every n-th where fewer were processed."""
    first, last = int(known[0]), int(known[-1])
    step = 1
    if info.frames > 1 and (last - first) % (info.frames - 1) == 0:
        step = max((last - first) // (info.frames - 1), 1)
    full = np.arange(first, last + 1, step)
    if step == 1 and info.frames and info.frames < len(full):
        # An uneven choice of frames: only those with people are known.
        return known
    return np.union1d(full, known)


def _times(
    frames: NDArray[np.int64],
    known: NDArray[np.int64],
    moments: NDArray[np.float64],
    fps: float | None,
) -> NDArray[np.float64]:
    """Times of all frames from those of some."""
    if not len(known):
        return frames / (fps or DEFAULT_FPS)
    rate = fps
    if rate is None:
        span = moments[-1] - moments[0]
        rate = (known[-1] - known[0]) / span if span > 0 else DEFAULT_FPS
    times = np.interp(frames, known, moments)
    # Outside of what is known the clip goes on at its rate.
    before, after = frames < known[0], frames > known[-1]
    times[before] = moments[0] - (known[0] - frames[before]) / rate
    times[after] = moments[-1] + (frames[after] - known[-1]) / rate
    return np.asarray(times, np.float64)
