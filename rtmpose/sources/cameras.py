"""Local cameras, through OpenCV."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.shown_names import is_utf8, shown_name
from rtmpose.sources.opencv_log import quiet_opencv
from rtmpose.types import Image

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CameraSettings:
    """What is asked of a camera; it may give something else, which is logged.

    Attributes:
        size_wh: Width and height in pixels; None for the camera's default.
        fps: Frames per second; None for the camera's default.
        fourcc: Four letters of the pixel format, such as ``MJPG``; None for the camera's default.
            At large sizes most USB cameras reach their frame rate with ``MJPG`` only.

    Raises:
        InputError: a value makes no sense.
    """

    size_wh: tuple[int, int] | None = None
    fps: float | None = None
    fourcc: str | None = None

    def __post_init__(self) -> None:
        if self.size_wh is not None and not all(1 <= side <= 16384 for side in self.size_wh):
            raise InputError(f"a camera's size must be 1 to 16384 pixels, not {self.size_wh}")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"a camera's rate must be in 0..1000 frames a second, not {self.fps}")
        if self.fourcc is not None and not re.fullmatch(r"[ -~]{4}", self.fourcc):
            raise InputError(f"a pixel format has four letters (MJPG, YUYV), not {self.fourcc!r}")


def parse_size(text: str) -> tuple[int, int]:
    """Width and height from ``1280x720``.

    Raises:
        InputError: it reads otherwise.
    """
    match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text.strip())
    if match is None:
        raise InputError(f"a size reads WIDTHxHEIGHT, such as 1280x720, not {text!r}")
    return int(match[1]), int(match[2])


def camera_images(name: str, settings: CameraSettings | None = None) -> Iterator[Image]:
    """The frames of a camera, until it gives none.

    Args:
        name: Its index, or its device file (``/dev/video0``, ``/dev/v4l/by-id/...``).
        settings: What is asked of it.

    Raises:
        InputError: it cannot be opened.
    """
    capture = open_camera(name, settings)
    try:
        while True:
            good, image = capture.read()
            if not good or image is None:
                return
            yield _bgr(image)
    finally:
        capture.release()


def open_camera(name: str, settings: CameraSettings | None = None) -> cv2.VideoCapture:
    """OpenCV's capture of a camera; see :func:`camera_images`."""
    quiet_opencv()
    if not is_utf8(name):
        raise InputError(f"camera {shown_name(name)} cannot be opened: its name is not UTF-8")
    try:
        capture = cv2.VideoCapture(_device(name))
    except cv2.error as error:
        raise InputError(
            f"camera {name} cannot be opened: {str(error).strip().splitlines()[0]}"
        ) from error

    # OpenCV does not say why; name the usual reasons.
    if not capture.isOpened():
        capture.release()
        raise InputError(
            f"camera {name} cannot be opened: is it plugged in, free, and may you read it"
            " (on Linux /dev/video*, group video)?"
        )
    if settings is not None:
        _apply(capture, name, settings)
    # A buffer of old frames would make a live view lag behind.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _device(name: str) -> int | str:
    """What OpenCV opens: an index where there is one."""
    if name.isdigit():
        return int(name)
    # Names by id and by path are links to the numbered device.
    number = re.fullmatch(r"/dev/video(\d+)", str(Path(name).resolve()))
    return int(number[1]) if number and sys.platform.startswith("linux") else name


def _apply(capture: cv2.VideoCapture, name: str, settings: CameraSettings) -> None:
    """Ask for format, size and rate, in this order: sizes depend on the format."""
    if settings.fourcc is not None:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*settings.fourcc))
    if settings.size_wh is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.size_wh[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.size_wh[1])
    if settings.fps is not None:
        capture.set(cv2.CAP_PROP_FPS, settings.fps)

    # A camera takes the nearest mode it has, without a word.
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if settings.size_wh is not None and (width, height) != settings.size_wh:
        log.warning(
            "camera %s gives %d x %d instead of %d x %d", name, width, height, *settings.size_wh
        )
    fps = capture.get(cv2.CAP_PROP_FPS)
    if settings.fps is not None and fps > 0 and abs(fps - settings.fps) > 0.5:
        log.warning("camera %s gives %.4g frames a second instead of %.4g", name, fps, settings.fps)


def _bgr(image: NDArray[np.generic]) -> Image:
    """Three channels of 8 bits, whatever the camera gives."""
    if image.ndim == 2:
        bgr: Image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return bgr
    if image.dtype != np.uint8:
        image = cv2.convertScaleAbs(image)
    return image  # type: ignore[return-value]
