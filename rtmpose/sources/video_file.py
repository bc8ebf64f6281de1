"""Frames of a video file, or of a file on a server: decoded, deinterlaced, upright, on time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import av

from rtmpose.errors import InputError
from rtmpose.shown_names import shown_name
from rtmpose.sources.containers import Video
from rtmpose.sources.decoding import Reading, decoded_frames
from rtmpose.sources.deinterlace import Deinterlacer
from rtmpose.sources.pixels import FrameConverter
from rtmpose.sources.seeking import StartPoint, start_point
from rtmpose.sources.timestamps import steady_times
from rtmpose.types import Frame

log = logging.getLogger(__name__)

DEFAULT_FPS = 30.0
WORTH_SEEKING_S = 1.0
"""A start before this is reached by decoding."""
SPARE_S = 0.5
SPARE_PART = 0.02
"""A file that ends earlier than it states by more than both was cut short."""

Open = Callable[[], AbstractContextManager[Video]]


@dataclass(frozen=True)
class VideoFacts:
    """What a video's container says, and its first frame shows; None where unknown.

    Attributes:
        frames: Number of frames: stated, or else by length and rate.
        fps: Frames per second.
        size_wh: Width and height of the frames as they are given.
    """

    frames: int | None
    fps: float | None
    size_wh: tuple[int, int] | None


def video_facts(open_video: Open) -> VideoFacts:
    """Look at a video.

    Raises:
        InputError: it cannot be opened.
    """
    with open_video() as video:
        fps = video.fps
        frames = video.stated_frames
        if frames is None and fps and video.duration_s:
            frames = round(video.duration_s * fps) or None

        # One frame knows more of the size than the container does.
        video.stream.thread_type = "NONE"
        converter = FrameConverter(video.stream, video.name, quiet=True)
        first = next(decoded_frames(video, Reading()), None)
        size_wh = None
        if first is not None:
            height, width = converter.image(first).shape[:2]
            size_wh = (width, height)
    return VideoFacts(frames, fps, size_wh)


def video_frames(
    name: str, open_video: Open, *, start_s: float = 0.0, seek: bool = True
) -> Generator[Frame, None, None]:
    """The frames of a video from the key frame before ``start_s`` on, or from the first.

    A video that is damaged, or ends early, gives what it has and logs a warning.

    Args:
        name: Its name in the frames and in messages.
        open_video: Opens it; it may be opened twice.
        start_s: Frames before are not needed.
        seek: Whether to skip their decoding, where their number can be known without it.

    Raises:
        InputError: it cannot be opened, holds no frame that can be decoded, or its server failed.
    """
    start = None
    if seek and start_s >= WORTH_SEEKING_S:
        with open_video() as video:
            start = start_point(video, start_s)
    count = 0
    reading = Reading()
    with open_video() as video:
        if start is not None:
            start.seek(video)
        try:
            for frame in _timed(video, reading, start, name):
                yield frame
                count += 1
        finally:
            _warn_of_damage(video.name, reading)
    if start is not None and not count:
        # The key frame is not where the container says.
        yield from video_frames(name, open_video)
        return
    if not count:
        reason = reading.error or "is it a whole video?"
        raise InputError(f"{shown_name(name)} holds no frame that can be decoded: {reason}")


def _timed(video: Video, reading: Reading, start: StartPoint | None, name: str) -> Iterator[Frame]:
    """Frames with their index, moment and source; none if the start point proves wrong."""
    step_s = 1 / (video.fps or DEFAULT_FPS)
    converter = FrameConverter(video.stream, video.name)
    whole = _whole_frames(video, reading)
    stamped: Iterator[tuple[float | None, av.VideoFrame]]
    stamped = ((_stamp_of(frame), frame) for frame in whole)
    origin = None
    index = 0
    if start is not None:
        stamped = start.from_key_frame(stamped)
        origin = start.origin_s
        index = start.index

    last_s = None
    for last_s, frame in steady_times(stamped, step_s, video.name, origin=origin):
        yield Frame(converter.image(frame), index, last_s, name)
        index += 1
    if last_s is not None:
        _end(video, reading, index, last_s + step_s)


def _whole_frames(video: Video, reading: Reading) -> Iterator[av.VideoFrame]:
    """Decoded frames without interlacing."""
    deinterlacer = Deinterlacer(video.stream, video.name)
    for frame in decoded_frames(video, reading):
        yield from deinterlacer.feed(frame)
    yield from deinterlacer.flush()


def _stamp_of(frame: av.VideoFrame) -> float | None:
    """The container's stamp of a frame in seconds; None without one."""
    if frame.pts is None or frame.time_base is None:
        return None
    return float(frame.pts * frame.time_base)


def _warn_of_damage(name: str, reading: Reading) -> None:
    if reading.bad_packets or reading.bad_frames:
        log.warning(
            "%s is damaged: %d packets could not be decoded and %d frames are incomplete; what"
            " could be read was kept",
            name,
            reading.bad_packets,
            reading.bad_frames,
        )


def _end(video: Video, reading: Reading, count: int, end_s: float) -> None:
    """Say so where a video ends well before the length that its container states."""
    missing = _missing(video, count, end_s, reading.reached_s or 0.0)
    unknown = video.stated_frames is None and video.duration_s is None
    if reading.error and (missing or unknown):
        after = missing or f"after {count} frames"
        raise InputError(f"{video.name} broke off {after}: {reading.error}")
    if missing:
        log.warning("%s ended %s: it was cut short, or damaged there", video.name, missing)


def _missing(video: Video, count: int, end_s: float, reached_s: float) -> str:
    """Where a video ended, if that is too early; else nothing.

    Args:
        video: The video.
        count: Frames that it gave.
        end_s: Moment at which they ended.
        reached_s: Latest stamp in it, pictures or sound.
    """
    stated = video.stated_frames
    length = video.duration_s
    # Numbers are often a frame or two off.
    if stated is not None and count >= stated - max(2, stated // 100):
        return ""
    # The length decides where there is no number, or an edit list hides some of the frames.
    has_edits = "mov" in video.container.format.name
    if length is not None and (stated is None or has_edits):
        # Some containers count from 0, some from their first stamp.
        reached = max(reached_s, reached_s - video.start_s, end_s)
        if reached >= length - max(SPARE_S, SPARE_PART * length):
            return ""
    if stated is not None:
        return f"after {count} of {stated} frames"
    return f"after {end_s:.1f} of {length:.1f} s" if length is not None else ""
