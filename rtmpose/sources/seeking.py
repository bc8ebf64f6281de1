"""Where to begin decoding so that a start in the middle of a video costs little.

Packets are counted without being decoded. That tells the index of the key frame only where each
packet is one frame and all stamps are in order; anything else is decoded from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import av

from rtmpose.sources.containers import Video
from rtmpose.sources.decoding import Reading, packets
from rtmpose.sources.timestamps import USUAL_STEP_S

T = TypeVar("T")

COUNTABLE = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg", "prores", "dnxhd"})
"""Codecs whose packets are one frame each."""
REORDERED = 32
"""Packets may come at most this many places before or after their turn."""


@dataclass(frozen=True)
class StartPoint:
    """A key frame.

    Attributes:
        target: What the container is asked for, in the stream's ticks.
        key_s: Stamp of the key frame, in seconds.
        origin_s: Stamp of the video's first frame, in seconds.
        index: Index of the key frame in the whole video.
        tick_s: Seconds per tick.
    """

    target: int
    key_s: float
    origin_s: float
    index: int
    tick_s: float

    def seek(self, video: Video) -> None:
        """Move an open video there."""
        video.container.seek(self.target, stream=video.stream)

    def from_key_frame(
        self, stamped: Iterator[tuple[float | None, T]]
    ) -> Iterator[tuple[float | None, T]]:
        """Frames from the key frame on; none where it does not come first."""
        # Frames before it belong to the key frame before: they cannot be whole.
        half_tick = self.tick_s / 2
        for stamp, frame in stamped:
            if stamp is not None and stamp < self.key_s - half_tick:
                continue
            if stamp is None or stamp > self.key_s + half_tick:
                return
            yield stamp, frame
            break
        yield from stamped


@dataclass(frozen=True)
class _Key:
    """A key frame's packet: its stamp, and its place in the order of decoding where known."""

    pts: int
    dts: int | None


def start_point(video: Video, start_s: float) -> StartPoint | None:
    """The last key frame before a moment; None where its index cannot be known without decoding, or
    the container does not find it.

    Args:
        video: An open video at its beginning; it is read up to that moment.
        start_s: Seconds since its first frame.
    """
    if video.stream.codec_context.name not in COUNTABLE:
        return None
    counted = _count_packets(video, start_s)
    if counted is None:
        return None
    stamps, key = counted
    index = sorted(stamps).index(key.pts)
    if index == 0 or not _are_even(stamps, index, float(video.stream.time_base)):
        return None

    # Some containers are asked by the one stamp, some by the other.
    for target in (key.pts, key.dts):
        if target is not None and _finds(video, target, key):
            tick_s = float(video.stream.time_base)
            return StartPoint(target, key.pts * tick_s, stamps[0] * tick_s, index, tick_s)
    return None


def _count_packets(video: Video, start_s: float) -> tuple[list[int], _Key] | None:
    """The stamps of the packets up to a moment and a little beyond, and the last key frame before;
    None where packets do not tell the frames.
    """
    stamps: list[int] = []
    key: _Key | None = None
    reading = Reading()
    end = 0.0
    beyond = 0
    for packet in packets(video, reading):
        if packet.stream.index != video.stream.index or not packet.size:
            continue
        if packet.pts is None or packet.is_corrupt or packet.is_discard or reading.bad_packets:
            return None
        # The first packet must be the first frame that is shown.
        if not stamps:
            if not packet.is_keyframe:
                return None
            end = packet.pts + start_s / video.stream.time_base
        stamps.append(packet.pts)
        if packet.is_keyframe and packet.pts <= end:
            key = _Key(packet.pts, packet.dts)
        beyond += packet.pts > end
        if beyond > REORDERED:
            break
    return None if key is None else (stamps, key)


def _are_even(stamps: list[int], count: int, tick_s: float) -> bool:
    """Whether the first frames have each a stamp of their own, without gaps, from the first on."""
    order = sorted(stamps)
    steps = [after - before for before, after in pairwise(order[: count + 1])]
    return order[0] == stamps[0] and all(0 < step * tick_s <= USUAL_STEP_S for step in steps)


def _finds(video: Video, target: int, key: _Key) -> bool:
    """Whether the container goes to a key frame when asked for a stamp."""
    try:
        video.container.seek(target, stream=video.stream)
    except (av.error.FFmpegError, OSError):
        return False
    mine = (p for p in packets(video, Reading()) if p.stream.index == video.stream.index)
    first = next(mine, None)
    return first is not None and bool(first.is_keyframe) and first.pts == key.pts
