"""Interlaced frames hold two moments in alternating rows; here they become one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import av

log = logging.getLogger(__name__)

FILTER = ("bwdif", "mode=send_frame:deint=interlaced")
"""One frame for each, and only frames that are marked as interlaced are changed."""


class Deinterlacer:
    """Passes frames on, and deinterlaces from the first one that is marked as interlaced.

    Args:
        stream: The video stream that the frames come from.
        name: Names the video in the log.
    """

    def __init__(self, stream: Any, name: str) -> None:
        self._stream = stream
        self._name = name
        self._graph: Any = None
        self._layout: tuple[int, int, str] | None = None

    def feed(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """The frames that are ready: this one, or the one before it."""
        # Most videos never need the filter.
        if self._graph is None and not frame.interlaced_frame:
            yield frame
            return

        # A filter is made for one size and format.
        layout = (frame.width, frame.height, frame.format.name)
        if layout != self._layout:
            yield from self.flush()
            if self._layout is None:
                log.info("%s is interlaced: it is deinterlaced (%s)", self._name, FILTER[0])
            self._graph = self._build(frame)
            self._layout = layout
        self._graph.push(frame)
        yield from self._pull()

    def flush(self) -> Iterator[av.VideoFrame]:
        """The frame that is still held back at the end."""
        if self._graph is None:
            return
        self._graph.push(None)
        yield from self._pull()
        self._graph = None

    def _build(self, frame: av.VideoFrame) -> Any:
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or self._stream.time_base,
        )
        chain = [source, graph.add(*FILTER), graph.add("buffersink")]
        for before, after in pairwise(chain):
            before.link_to(after)
        graph.configure()
        return graph

    def _pull(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                yield self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
