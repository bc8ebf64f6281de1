"""One frame of a video, to draw over."""

from __future__ import annotations

import logging
import os
from pathlib import Path, PurePath

from rtmpose.errors import InputError
from rtmpose.sources import expand_sources, open_frames
from rtmpose.sources.kinds import VIDEO_SUFFIXES
from rtmpose.types import Image
from rtmpose.writers.clip import Clip

log = logging.getLogger(__name__)

USUAL_SUFFIXES = (".mp4", ".MP4", ".mov", ".MOV", ".avi", ".AVI", ".mkv", ".webm", ".mts", ".MTS")
"""Of videos that are looked for by the rest of their name."""


def source_file(clip: Clip, results: Path) -> Path | None:
    """The video or image that results were made of: where they say, or else where both were moved
    to, next to the results or in the folder around them; None where it is not there.

    Args:
        clip: The results of one source.
        results: The file or folder that they were read from.
    """
    name = PurePath(clip.source.replace("\\", "/")).name
    folder = results if results.is_dir() else results.parent
    around = Path(os.path.abspath(folder)).parent  # noqa: PTH100 (links stay)
    # Other programs name the video without its suffix.
    ends = ["", *(USUAL_SUFFIXES if PurePath(name).suffix.lower() not in VIDEO_SUFFIXES else ())]
    places = [Path(clip.source), *(p / f"{name}{end}" for p in (folder, around) for end in ends)]
    return next((place for place in places if _is_file(place)), None)


def background(clip: Clip, video: Path | None, results: Path) -> Image | None:
    """The middle processed frame of a clip as BGR, from its source or a video that is named.

    None where the source is not there and no video is named.

    Raises:
        InputError: the named video cannot be read.
    """
    path = video or source_file(clip, results)
    if path is None:
        return None
    moment = float(clip.times[len(clip.times) // 2]) if len(clip.times) else 0.0
    try:
        return _frame_at(path, moment)
    except InputError:
        # A shorter video, or an image.
        log.info("%s has no frame at %g s: its first one is taken", path, moment)
    try:
        return _frame_at(path, 0.0)
    except InputError:
        if video is not None:
            raise
        log.warning("%s cannot be read: the picture has no frame", path)
        return None


def _frame_at(path: Path, start_s: float) -> Image:
    (item,) = expand_sources([str(path)], start_s=start_s, limit=1)
    frame = next(open_frames(item), None)
    if frame is None:
        raise InputError(f"{path} has no frame")
    return frame.image


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
