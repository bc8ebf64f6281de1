"""Live streams of a network (RTSP, RTMP, UDP, HTTP, ...), through FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator

from rtmpose.errors import InputError
from rtmpose.shown_names import without_password
from rtmpose.sources.containers import opened_url
from rtmpose.sources.decoding import Reading, decoded_frames
from rtmpose.sources.deinterlace import Deinterlacer
from rtmpose.sources.pixels import FrameConverter
from rtmpose.types import Image

TIMEOUT_S = 10.0
"""Longest wait for a connection and for each read: a stalled stream counts as broken then."""

OPTIONS = {
    # TCP loses no packets; UDP where a server has nothing else.
    "rtsp_flags": "prefer_tcp",
    # A burst of UDP packets is no error.
    "overrun_nonfatal": "1",
    "fifo_size": "50000",
}


def stream_images(url: str) -> Iterator[Image]:
    """The frames of one connection to a live stream, until it breaks off or stalls.

    Frames of another size, in the middle, are given as they come.

    Raises:
        InputError: it cannot be opened, holds no video, or broke off with an error.
    """
    reading = Reading()
    name = without_password(url)
    with opened_url(url, OPTIONS, TIMEOUT_S, live=True) as video:
        converter = FrameConverter(video.stream, name)
        deinterlacer = Deinterlacer(video.stream, name)
        for decoded in decoded_frames(video, reading):
            for frame in deinterlacer.feed(decoded):
                yield converter.image(frame)
    if reading.error:
        raise InputError(f"{name} broke off: {reading.error}")
