"""From packets to decoded frames: what is damaged is skipped and counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import av

from rtmpose.sources.containers import Video, text_of

MAX_FAILURES = 100
"""Errors in a row, without a packet between them, after which a file counts as ended."""


@dataclass
class Reading:
    """What happened while a video was read.

    Attributes:
        bad_packets: Packets that could not be read or decoded.
        bad_frames: Frames that were decoded in part.
        reached_s: Latest stamp of any packet, and its duration, in seconds.
        error: The last error of the source itself (the network), after which nothing came.
    """

    bad_packets: int = 0
    bad_frames: int = 0
    reached_s: float | None = None
    error: str = ""

    def note_packet(self, packet: Any) -> None:
        """Remember how far the file has been read."""
        if packet.pts is not None and packet.time_base:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            if self.reached_s is None or end > self.reached_s:
                self.reached_s = end


def decoded_frames(video: Video, reading: Reading) -> Iterator[av.VideoFrame]:
    """The frames of an open video from where it is, in the order in which they are shown.

    Args:
        video: The open video.
        reading: Filled with what happens.
    """
    for packet in packets(video, reading):
        # The empty packets at the end have no index of their own.
        if packet.stream.index != video.stream.index:
            continue
        for frame in _decode(packet, video, reading):
            if frame.is_corrupt:
                reading.bad_frames += 1
            yield frame

    # Where the source failed, the decoder still holds whole frames.
    if reading.error:
        with suppress(av.error.FFmpegError):
            for frame in video.stream.codec_context.decode(None):
                frame.time_base = video.stream.time_base
                yield frame


def packets(video: Video, reading: Reading) -> Iterator[Any]:
    """The packets of the video and its sound: the sound tells how far the file goes."""
    streams = [video.stream, *video.container.streams.audio[:1]]
    failures = 0
    while True:
        try:
            for packet in video.container.demux(*streams):
                failures = 0
                reading.note_packet(packet)
                yield packet
            return
        except av.error.InvalidDataError:
            # Damage: what follows it may be whole.
            reading.bad_packets += 1
            failures += 1
            if failures > MAX_FAILURES:
                return
        except (av.error.FFmpegError, OSError) as error:
            reading.error = text_of(error)
            return


def _decode(packet: Any, video: Video, reading: Reading) -> Iterator[av.VideoFrame]:
    """The frames that a packet completes; the last one, which is empty, gives all that are left."""
    last = not packet.size
    for _ in range(MAX_FAILURES):
        try:
            yield from packet.decode()
            return
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            reading.bad_packets += 1
            # At the end, whole frames may wait behind a damaged one.
            if not last:
                return
