"""Where to begin decoding so that a start in the middle of a video costs little.

Packets are counted without being decoded. That tells the index of the key frame only where each
packet is one frame and all stamps are in order; anything else is decoded from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import av

from rtmpose.sources.containers import Video
from rtmpose.sources.decoding import Reading, packets
from rtmpose.sources.timestamps import USUAL_STEP_S

T = TypeVar("T")

COUNTABLE = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg", "prores", "dnxhd"})
"""Codecs whose packets are one frame each."""
REORDERED = 32
"""Packets may come at most this many places before their turn."""


@dataclass(frozen=True)
class StartPoint:
    """A key frame.

    Attributes:
        pts: Its stamp in the stream's ticks.
        tick_s: Seconds per tick.
        origin_s: Stamp of the video's first frame, in seconds.
        index: Its index in the whole video.
    """

    pts: int
    tick_s: float
    origin_s: float
    index: int

    def seek(self, video: Video) -> bool:
        """Move an open video there; False where it cannot be moved."""
        try:
            video.container.seek(self.pts, stream=video.stream)
        except (av.error.FFmpegError, OSError):
            return False
        return True

    def from_key_frame(
        self, stamped: Iterator[tuple[float | None, T]]
    ) -> Iterator[tuple[float | None, T]]:
        """Frames from the key frame on; none where it does not come first."""
        # Frames before it belong to the key frame before: they cannot be whole.
        half_tick = self.tick_s / 2
        key_s = self.pts * self.tick_s
        for stamp, frame in stamped:
            if stamp is not None and stamp < key_s - half_tick:
                continue
            if stamp is None or stamp > key_s + half_tick:
                return
            yield stamp, frame
            break
        yield from stamped


def start_point(video: Video, start_s: float) -> StartPoint | None:
    """The last key frame before a moment; None where its index cannot be known without decoding.

    Args:
        video: An open video at its beginning; it is read up to that moment.
        start_s: Seconds since its first frame.
    """
    if video.stream.codec_context.name not in COUNTABLE:
        return None
    tick = video.stream.time_base
    stamps: list[int] = []
    keys: list[int] = []
    reading = Reading()
    last_dts = None
    end = None
    for packet in packets(video, reading):
        if packet.stream_index != video.stream.index or not packet.size:
            continue
        if not _is_plain(packet, last_dts) or reading.bad_packets:
            return None
        last_dts = packet.dts
        if end is None:
            # The origin: the first packet must be the first frame that is shown.
            if not packet.is_keyframe:
                return None
            end = packet.pts + start_s / tick
        stamps.append(packet.pts)
        if packet.is_keyframe and packet.pts <= end:
            keys.append(packet.pts)
        if packet.dts > end:
            break
    return _last_key(stamps, keys, float(tick)) if stamps else None


def _is_plain(packet: Any, last_dts: int | None) -> bool:
    """Whether a packet is one shown frame, in its place."""
    if packet.pts is None or packet.dts is None or packet.is_corrupt or packet.is_discard:
        return False
    return last_dts is None or packet.dts > last_dts


def _last_key(stamps: list[int], keys: list[int], tick_s: float) -> StartPoint | None:
    origin = stamps[0]
    order = sorted(stamps)
    if order[0] != origin or not keys:
        return None

    # The last key frame whose place among the packets read is settled.
    key = max(keys)
    index = order.index(key)
    if index == 0:
        return None
    steps = [after - before for before, after in pairwise(order[: index + 1])]
    if any(not 0 < step * tick_s <= USUAL_STEP_S for step in steps):
        return None
    return StartPoint(key, tick_s, origin * tick_s, index)
