"""A decoded frame as pixels: BGR, square, upright."""

from __future__ import annotations

import logging
from fractions import Fraction
from functools import cache
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import VideoReformatter

from rtmpose.image_memory import MOST_BYTES, ImageMemory
from rtmpose.media_threads import conversion_threads
from rtmpose.sources.orientation import AS_STORED, orientation_of, upright
from rtmpose.types import Image

log = logging.getLogger(__name__)

NEARLY_SQUARE = 0.01
"""Pixels that are off by less are left as they are."""
LARGE_BLOCK = 31 << 20
"""Just below 32 MiB, where the GNU library's limit ends."""
LARGEST_ASPECT = 8
"""A ratio beyond is not believed."""


class FrameConverter:
    """Turns the decoded frames of one video into images.

    The matrix and range of the colors are those the frame is tagged with. Without a tag they are
    BT.601 and limited, as FFmpeg and OpenCV have it.

    Args:
        stream: The video stream that the frames come from.
        name: Names the video in the log.
        quiet: Do not log that frames are resampled.
    """

    def __init__(self, stream: Any, name: str, *, quiet: bool = False) -> None:
        self._stream = stream
        self._name = name
        self._reformatter = VideoReformatter()
        self._told = quiet
        self._orientation = AS_STORED
        self._layout: tuple[int, int, int] | None = None
        self._memory = ImageMemory()
        _keep_freed_memory()

    def image(self, frame: av.VideoFrame) -> Image:
        """The frame as BGR uint8 ``(H, W, 3)``, with square pixels and upright."""
        # Reading the side data costs more than the rest, so only where something changes.
        layout = (frame.width, frame.height, frame.rotation)
        if layout != self._layout:
            self._layout = layout
            # Not `frame.side_data`: frame and container would hold each other, and the pixels stay
            # in memory until the garbage collector runs. (Its stubs do not show the argument.)
            side_data = SideDataContainer(frame)  # type: ignore[call-arg]
            matrix = side_data.get("DISPLAYMATRIX")
            self._orientation = AS_STORED if matrix is None else orientation_of(bytes(matrix))

        threads = conversion_threads(frame.width * frame.height)
        image = self._pixels(self._reformatter.reformat(frame, format="bgr24", threads=threads))
        return upright(self._square(image), self._orientation)

    def _pixels(self, frame: av.VideoFrame) -> Image:
        """The pixels of a BGR frame. Large ones are not copied where their rows are not padded."""
        plane = frame.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height]
        image = rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)
        if image.nbytes > MOST_BYTES:
            return np.ascontiguousarray(image)
        copy = self._memory.array(image.shape)
        np.copyto(copy, image)
        return copy

    def _square(self, image: Image) -> Image:
        """Resample to square pixels; the side that is too short grows, so no detail is lost."""
        aspect = pixel_aspect(self._stream)
        height, width = image.shape[:2]
        size_wh = square_size(width, height, aspect)
        if size_wh == (width, height):
            return image
        if not self._told:
            self._told = True
            log.info(
                "%s has pixels of %d:%d: its frames are resampled from %d x %d to %d x %d",
                self._name,
                aspect.numerator,
                aspect.denominator,
                width,
                height,
                *size_wh,
            )
        return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR))


def pixel_aspect(stream: Any) -> Fraction:
    """Width of a pixel over its height; 1 where nothing is said."""
    found = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return Fraction(found) if found else Fraction(1)


def square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Width and height of a picture once its pixels are square."""
    if not Fraction(1, LARGEST_ASPECT) <= aspect <= LARGEST_ASPECT:
        return width, height
    if abs(aspect - 1) < NEARLY_SQUARE:
        return width, height
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)


@cache
def _keep_freed_memory() -> None:
    """Let the C library keep the memory of frames for the next ones. It gives blocks above a limit
    back to the system at once, and getting them again costs a third of the decoding; the limit
    rises with the largest block that was freed.
    """
    block = np.empty(LARGE_BLOCK, np.uint8)
    del block
