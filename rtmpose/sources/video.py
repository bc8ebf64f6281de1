"""Frames of one source after another: the range of time that is wanted, mirrored where asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rtmpose.errors import InputError
from rtmpose.sources.image_url import fetch_image
from rtmpose.sources.items import SourceItem
from rtmpose.sources.live import live_frames
from rtmpose.sources.still import IMAGE_KINDS, image_frames
from rtmpose.types import Frame
from rtmpose.worker_threads import read_interruptibly

if TYPE_CHECKING:
    from rtmpose.sources.containers import Video

OnError = Callable[[SourceItem, Exception], None]


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source before reading it; None where unknown.

    Attributes:
        frames: Number of frames the container claims, within the range that is read; where it
            claims none, by its length and rate.
        fps: Frames per second.
        size_wh: Width and height of the frames as they are given.
    """

    frames: int | None = None
    fps: float | None = None
    size_wh: tuple[int, int] | None = None


def probe(item: SourceItem) -> SourceInfo:
    """Number of frames, frame rate and size, as far as the start of a source tells.

    The number is that of the frames within the item's range of time and limit.

    Raises:
        InputError: a video that cannot be opened.
    """
    if item.still:
        return SourceInfo(frames=1)
    if item.live or item.frames is not None:
        return SourceInfo(frames=item.limit)
    if item.kind == "animation":
        return SourceInfo(frames=item.limit)
    if item.kind == "sequence":
        info = SourceInfo(len(item.files), item.fps)
        return replace(info, frames=_selected_count(item, info))
    from rtmpose.sources.video_file import VideoFacts, video_facts

    def look() -> Iterator[VideoFacts]:
        yield video_facts(lambda: _opened(item))

    facts = next(read_interruptibly(look()) if _is_remote(item) else look())
    info = SourceInfo(facts.frames, facts.fps, facts.size_wh)
    return replace(info, frames=_selected_count(item, info))


def open_frames(item: SourceItem) -> Generator[Frame, None, None]:
    """The frames of one source.

    Frames are upright, have square pixels and no interlacing. Their times begin at 0 and grow,
    whatever the container's stamps do. A video that is damaged, or ends before the length that its
    container claims, gives what it has and logs a warning. A live source that fails is opened again
    a few times, with growing pauses.

    Only the frames within the item's ``start_s``, ``end_s`` and ``limit`` are given, mirrored where
    ``flip`` says so; their index and time stay those in the whole source.

    Raises:
        InputError: it cannot be opened, holds no frame in that range, or is a live source that has
            ended for good.
    """
    # A single image has no time: it lies in every range.
    start_s = -math.inf if item.still else item.start_s
    end_s = math.inf if item.still or item.end_s is None else item.end_s
    count = 0
    frames = _all_frames(item)
    if item.frames is None and item.kind != "image" and _is_remote(item):
        frames = read_interruptibly(frames)
    try:
        for frame in frames:
            if frame.time_s < start_s:
                continue
            if frame.time_s >= end_s:
                break
            yield _mirrored(frame) if item.flip else frame
            count += 1
            if item.limit is not None and count >= item.limit:
                break
    finally:
        frames.close()
    if not count and not item.still and not item.live:
        until = "its end" if item.end_s is None else f"{item.end_s:g} s"
        raise InputError(f"{item.name} has no frame between {item.start_s:g} s and {until}")


def iterate(
    items: Sequence[SourceItem], *, on_error: OnError | None = None
) -> Iterator[tuple[SourceItem, Frame]]:
    """All frames of all sources, in order.

    Args:
        items: From :func:`expand_sources`.
        on_error: Called with a source that cannot be read; the next one is taken. Without it the
            error is raised.
    """
    # A source that fails is reported, and the next one is taken.
    for item in items:
        frames = open_frames(item)
        try:
            for frame in frames:
                yield item, frame
        except InputError as error:
            if on_error is None:
                raise
            on_error(item, error)
        finally:
            frames.close()


def _all_frames(item: SourceItem) -> Generator[Frame, None, None]:
    """Every frame of a source; of a video those before the range may be left out."""
    if item.frames is not None:
        yield from item.frames
    elif item.kind == "image" and _is_remote(item):
        yield Frame(fetch_image(item.url, strict=item.strict), source=item.name)
    elif item.kind in IMAGE_KINDS:
        yield from image_frames(item)
    elif item.live:
        yield from live_frames(item)
    else:
        from rtmpose.sources.video_file import video_frames

        yield from video_frames(
            item.name,
            lambda: _opened(item),
            start_s=item.start_s,
            # A server would send the same bytes twice.
            seek=not _is_remote(item),
        )


def _opened(item: SourceItem) -> AbstractContextManager[Video]:
    """A video, opened where it lies."""
    # FFmpeg takes a moment to load, so only where it is needed.
    from rtmpose.sources.containers import opened_file
    from rtmpose.sources.remote import opened_remote

    if _is_remote(item):
        return opened_remote(item.url)
    # A pipe or an upload has no place that it could name others from.
    return opened_file(item.path, item.name, alone=item.content is not None)


def _is_remote(item: SourceItem) -> bool:
    return item.content is None and "://" in item.name


def _mirrored(frame: Frame) -> Frame:
    return replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1]))


def _selected_count(item: SourceItem, info: SourceInfo) -> int | None:
    """About how many frames of a video lie in the item's range; None where that is not known."""
    count = info.frames
    # Indices of the first frame in the range, and of the one after the last.
    if count is not None and info.fps:
        first = math.ceil(item.start_s * info.fps)
        last = count if item.end_s is None else min(count, math.ceil(item.end_s * info.fps))
        count = max(0, last - first)
    return item.limit if count is None else min(count, item.limit or count)
