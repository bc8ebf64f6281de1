"""Frames of one source after another; videos, cameras and streams through OpenCV."""

from __future__ import annotations

import logging
import math
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.sources.images import decode_image, read_image
from rtmpose.sources.items import SourceItem
from rtmpose.types import Frame, Image

log = logging.getLogger(__name__)

RECONNECTS = 5
OPEN_TIMEOUT_MS = 10_000
OnError = Callable[[SourceItem, Exception], None]


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source before reading it; None where unknown.

    Attributes:
        frames: Number of frames the container claims, within the range that is read.
        fps: Frames per second.
        size_wh: Width and height.
    """

    frames: int | None = None
    fps: float | None = None
    size_wh: tuple[int, int] | None = None


def probe(item: SourceItem) -> SourceInfo:
    """Number of frames, frame rate and size, as far as they can be known without decoding.

    The number is that of the frames within the item's range of time and limit.

    Raises:
        InputError: a video that cannot be opened.
    """
    if item.still:
        return SourceInfo(frames=1)
    if item.live or item.frames is not None:
        return SourceInfo(frames=item.limit)
    capture = _open(item)
    try:
        info = _info(capture)
    finally:
        capture.release()
    return replace(info, frames=_selected_count(item, info))


def open_frames(item: SourceItem) -> Generator[Frame, None, None]:
    """The frames of one source.

    A video that ends before the number of frames its container claims gives what it has and logs a
    warning. A live source that fails is opened again a few times, with growing pauses.

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
    if not count and item.kind == "video":
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
    """Every frame of a source, whatever range the item names."""
    if item.frames is not None:
        yield from item.frames
    elif item.array is not None:
        yield Frame(item.array, source=item.name)
    elif item.kind == "image":
        image = _fetch(item.name) if "://" in item.name else read_image(item.name)
        yield Frame(image, source=item.name)
    elif item.live:
        yield from _live_frames(item)
    else:
        yield from _video_frames(item)


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


def _fetch(url: str) -> Image:
    try:
        with urllib.request.urlopen(url, timeout=OPEN_TIMEOUT_MS / 1000) as response:
            return decode_image(response.read(), url)
    except OSError as error:
        raise InputError(f"{url} cannot be fetched: {error}") from error


def _video_frames(item: SourceItem) -> Generator[Frame, None, None]:
    capture = _open(item)
    try:
        info = _info(capture)
        index = 0
        seconds = 0.0
        while True:
            good, image = capture.read()
            if not good or image is None:
                break
            # The container's own stamps, as frames need not come evenly; not every container has
            # them.
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if index:
                seconds = stamp if stamp > seconds else seconds + 1 / (info.fps or 30.0)
            yield Frame(_bgr(image), index, seconds, item.name)
            index += 1
    finally:
        capture.release()
    if index == 0:
        raise InputError(f"{item.name} holds no frame that can be decoded; is it a whole video?")

    # Some containers claim a frame or two too many: only more than that is a loss.
    if info.frames and index < info.frames - max(2, info.frames // 100):
        log.warning(
            "%s ended after %d of %d frames: it was cut short, or damaged there",
            item.name,
            index,
            info.frames,
        )


def _live_frames(item: SourceItem) -> Generator[Frame, None, None]:
    index = 0
    failures = 0
    start = time.monotonic()
    capture = _open(item)
    try:
        while True:
            good, image = capture.read()
            if good and image is not None:
                failures = 0

                # The time of arrival: live sources have no reliable stamps.
                yield Frame(_bgr(image), index, time.monotonic() - start, item.name)
                index += 1
                continue

            # Reconnect with growing pauses, then give up.
            failures += 1
            if failures > RECONNECTS:
                raise InputError(
                    f"{item.kind} {item.name} gave no frame any more after {index} frames and"
                    f" {RECONNECTS} new connections; what came before is kept"
                )
            pause = min(8.0, 0.25 * 2**failures)
            log.warning("%s gave no frame; opening it again in %.1f s", item.name, pause)
            time.sleep(pause)
            capture.release()
            try:
                capture = _open(item)
            except InputError as error:
                log.warning("%s", error)
    finally:
        capture.release()


def _open(item: SourceItem) -> cv2.VideoCapture:
    _quiet()
    if item.kind == "video":
        path = Path(item.name)
        if not path.is_file():
            raise InputError(f"{path} does not exist")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes)")

    # A camera's buffer of old frames would make a live view lag behind.
    try:
        if item.kind == "camera":
            capture = cv2.VideoCapture(int(item.name))
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        elif item.kind == "stream":
            limits = [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                OPEN_TIMEOUT_MS,
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                OPEN_TIMEOUT_MS,
            ]
            capture = cv2.VideoCapture(item.name, cv2.CAP_FFMPEG, limits)
        else:
            capture = cv2.VideoCapture(item.name)
    except cv2.error as error:
        raise InputError(
            f"{item.name} cannot be opened: {str(error).strip().splitlines()[0]}"
        ) from error

    # OpenCV does not say why; name the usual reasons.
    if not capture.isOpened():
        capture.release()
        hint = {
            "camera": (
                "is it plugged in, free, and may you read it (on Linux /dev/video*, group video)?"
            ),
            "stream": "is the address right and the stream up?",
        }.get(
            item.kind, "it is not a video OpenCV can read, or its end (with the index) is missing"
        )
        raise InputError(f"{item.kind} {item.name} cannot be opened: {hint}")
    return capture


def _info(capture: cv2.VideoCapture) -> SourceInfo:
    frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    fps = capture.get(cv2.CAP_PROP_FPS)
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    # Containers without these numbers give zeros, negative or absurdly large ones.
    return SourceInfo(
        int(frames) if 0 < frames < 1e9 else None,
        float(fps) if 0 < fps < 1000 else None,
        size if all(size) else None,
    )


def _bgr(image: NDArray[np.generic]) -> Image:
    """Three channels of 8 bits, whatever the decoder gives."""
    if image.ndim == 2:
        bgr: Image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return bgr
    if image.dtype != np.uint8:
        image = cv2.convertScaleAbs(image)
    return image  # type: ignore[return-value]


def _quiet() -> None:
    """Keep OpenCV from writing to stderr what the error says better."""
    setter = getattr(cv2, "setLogLevel", None)
    if setter is not None:
        setter(0)
