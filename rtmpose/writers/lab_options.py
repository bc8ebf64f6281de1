"""What the formats of labs need to be told, and what several of them share."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError
from rtmpose.ranges import FINITE, METERS_PER_PIXEL, check_fields
from rtmpose.sources.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from rtmpose.writers.clip import Clip

log = logging.getLogger(__name__)

DURATION = r"P(?=.)(\d+(\.\d+)?Y)?(\d+(\.\d+)?M)?(\d+(\.\d+)?W)?(\d+(\.\d+)?D)?"
AGE = re.compile(rf"{DURATION}(/({DURATION})?)?")
"""An age, or the bounds of one: what archives take."""


@dataclass(frozen=True)
class LabOptions:
    """What results do not say.

    Attributes:
        meters_per_pixel: Length of a pixel on the plane that people move in; None keeps pixels.
        floor_y: Row of the image, in pixels from its top, that is height 0 in meters; None takes
            the lower border.
        session_start: When the recording began, as ISO 8601; empty takes the time of the file.
        subject: Id of the subject in NWB; empty takes the numbers of the people.
        age: Of the subject, as ISO 8601 duration such as ``P25Y``; empty where unknown.
        scorer: Who labeled, in the tables of DeepLabCut.
        task: What people did, for names in a BIDS data set.

    Raises:
        InputError: a number is out of range, or the age is none.
    """

    meters_per_pixel: float | None = None
    floor_y: float | None = None
    session_start: str = ""
    subject: str = ""
    age: str = ""
    scorer: str = "rtmpose"
    task: str = "video"

    def __post_init__(self) -> None:
        check_fields(self, meters_per_pixel=METERS_PER_PIXEL.optional(), floor_y=FINITE.optional())
        if self.age and not AGE.fullmatch(self.age):
            raise InputError(f"an age is written as P30Y (30 years) or P8M, not {self.age!r}")


def positions(clip: Clip, options: LabOptions) -> NDArray[np.float64]:
    """Where the only person of a clip is, ``(F, K, 3)`` float64, NaN where unknown.

    In pixels x, y and 0 as in the image, y down; with a scale in meters, x to the right, y up from
    the floor, z 0.
    """
    points = clip.tracks().keypoints[:, 0].astype(np.float64)
    depth = np.where(np.isfinite(points[..., 0]), 0.0, np.nan)
    if options.meters_per_pixel is None:
        return np.stack([points[..., 0], points[..., 1], depth], axis=-1)
    floor = options.floor_y
    if floor is None:
        # Without a size the lowest point that was ever seen stands on the floor.
        lowest = np.nanmax(points[..., 1]) if np.isfinite(points).any() else 0.0
        floor = float(clip.size_wh[1]) if clip.size_wh else float(lowest)
    scale = options.meters_per_pixel
    return np.stack([points[..., 0] * scale, (floor - points[..., 1]) * scale, depth], axis=-1)


def rising_times(clip: Clip) -> NDArray[np.float64]:
    """Times of the frames, each later than the one before.

    A source whose times stand still or go back is taken at its frame rate.
    """
    if not len(clip.times) or (np.diff(clip.times) > 0).all():
        return clip.times
    log.warning(
        "the times of %s do not rise from frame to frame; they are counted from its frame rate,"
        " %g frames per second",
        clip.source,
        clip.rate,
    )
    return clip.frames / clip.rate


def title_of(clip: Clip) -> str:
    """The name of a clip: that of its file, without folder and suffix."""
    if "://" in clip.source:
        return "clip"
    path = PurePath(clip.source.replace("\\", "/"))
    # Other programs leave the suffix out, and names have points of their own.
    is_file = path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES
    return (path.stem if is_file else path.name) or "clip"


def person_name(number: int) -> str:
    """``person1`` and so on."""
    return f"person{number}"
