"""Angles of the people of a clip, over time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtmpose.kinematics.body import Body, Points, make_body, used_keypoints
from rtmpose.kinematics.definitions import ANGLES, JOINTS, SEGMENTS
from rtmpose.kinematics.facing import FACINGS, Facing, facing_of
from rtmpose.kinematics.scale import FloorLine
from rtmpose.kinematics.smoothing import fill_gaps, low_pass
from rtmpose.ranges import COUNT_OR_ZERO, KEYPOINT_SCORE, POSITIVE, check_choice, check_fields
from rtmpose.writers.clip import Clip

log = logging.getLogger(__name__)

FILTERS = ("butterworth", "none")


@dataclass(frozen=True)
class AngleOptions:
    """How angles are measured.

    Attributes:
        kpt_thr: Points that score lower are not used.
        gap: Frames of the longest gap of a point that is filled along a straight line.
        filter: ``butterworth`` (order 4, without lag, on the points) or ``none``.
        cutoff: Its cut-off frequency in Hz.
        facing: ``auto``, or ``right`` or ``left`` for everybody.

    Raises:
        InputError: a value is out of range.
    """

    kpt_thr: float = 0.3
    gap: int = 10
    filter: str = "butterworth"
    cutoff: float = 6.0
    facing: str = "auto"

    def __post_init__(self) -> None:
        check_fields(self, kpt_thr=KEYPOINT_SCORE, gap=COUNT_OR_ZERO, cutoff=POSITIVE)
        check_choice("filter", self.filter, FILTERS)
        check_choice("facing", self.facing, FACINGS)


@dataclass(frozen=True, eq=False)
class PersonAngles:
    """The angles of one person, from the first to the last frame that shows them.

    Attributes:
        source: Name of the source.
        id: Number of the person.
        frames: ``(F,)`` int64 numbers of the frames in the source.
        times: ``(F,)`` float64 seconds since its start.
        names: Names of the A angles.
        values: ``(F, A)`` float64 degrees; NaN where a point is missing.
        facing: Which way the person faces.
        filled: ``(F,)`` bool: at least one point lies in a gap that was filled.
        body: The points, filled and filtered, in image pixels.
        cutoff: Hz of the low-pass filter; None where nothing was filtered.
        rate: Processed frames per second.
    """

    source: str
    id: int
    frames: NDArray[np.int64]
    times: NDArray[np.float64]
    names: tuple[str, ...]
    values: Points
    facing: Facing
    filled: NDArray[np.bool_]
    body: Body
    cutoff: float | None
    rate: float


def person_angles(
    clip: Clip, options: AngleOptions | None = None, floor: FloorLine | None = None
) -> Iterator[PersonAngles]:
    """The angles of everybody in a clip, one person after the other.

    People of a photo are numbered from 1 where they have no ids.

    Args:
        clip: Results, see :func:`rtmpose.results.read_results`.
        options: How to measure; by default as :class:`AngleOptions` says.
        floor: Line that counts as horizontal; by default the rows of the image are.

    Raises:
        InputError: nothing says who is who from frame to frame.
    """
    options = options or AngleOptions()
    whole = numbered(clip).without_points_below(options.kpt_thr)
    for number in whole.person_ids:
        yield _angles_of(presence(whole.people([number])), options, floor)


def numbered(clip: Clip) -> Clip:
    """A clip with ids; the people of a single photo are numbered from 1."""
    if clip.still and clip.ids is None:
        return replace(clip, ids=np.arange(1, len(clip.rows) + 1))
    return clip.with_ids()


def presence(person: Clip) -> Clip:
    """A clip of one person, from the first to the last frame that shows them."""
    first, last = int(person.rows[0]), int(person.rows[-1])
    part = slice(first, last + 1)
    return replace(
        person, frames=person.frames[part], times=person.times[part], rows=person.rows - first
    )


def smoothed(
    person: Clip, indices: list[int], options: AngleOptions
) -> tuple[Points, NDArray[np.bool_], bool]:
    """Points of one person, gaps filled and filtered.

    Returns:
        ``(F, N, 2)`` points in image pixels, ``(F, N)`` whether they were filled, and whether they
        were filtered.
    """
    # A filter needs frames at one distance; those that were added are left out again.
    even = person.evenly()
    kept = np.isin(even.frames, person.frames)
    points = even.tracks().keypoints[:, 0, indices].astype(np.float64)
    flat, added = fill_gaps(points.reshape(len(points), -1), options.gap)
    added = added.reshape(points.shape)[..., 0]

    can_filter = _can_filter(even, options)
    if can_filter:
        flat, short = low_pass(flat, even.sampling_rate, options.cutoff)
        if short:
            log.info(
                "person %d of %s: %d coordinates stand in runs too short to be filtered",
                person.person_ids[0],
                person.source,
                short,
            )
    return flat.reshape(points.shape)[kept], added[kept], can_filter


def _can_filter(clip: Clip, options: AngleOptions) -> bool:
    if options.filter == "none" or clip.still or len(clip) < 2:
        return False
    if options.cutoff < clip.sampling_rate / 2:
        return True
    log.warning(
        "%s has %g frames per second, too few for a cut-off at %g Hz: it is not filtered; a"
        " --cutoff below %g is possible",
        clip.source,
        clip.sampling_rate,
        options.cutoff,
        clip.sampling_rate / 2,
    )
    return False


def _angles_of(person: Clip, options: AngleOptions, floor: FloorLine | None) -> PersonAngles:
    used = used_keypoints(person.skeleton)
    points, added, filtered = smoothed(person, list(used.values()), options)
    body = make_body(list(used), points)
    facing = facing_of(body, person.sampling_rate, options.facing)
    return PersonAngles(
        person.source,
        person.person_ids[0],
        person.frames,
        person.times,
        ANGLES,
        measure(body, facing, floor),
        facing,
        np.asarray(added.any(axis=1), bool),
        body,
        options.cutoff if filtered else None,
        person.sampling_rate,
    )


def measure(body: Body, facing: Facing, floor: FloorLine | None = None) -> Points:
    """``(F, A)`` angles in degrees, in the order of :data:`ANGLES`."""
    segments: dict[str, Points] = {}
    for segment in SEGMENTS:
        vector = body.at(segment.end) - body.at(segment.start)
        # y up, from the floor, and facing right.
        direction = np.arctan2(-vector[:, 1], vector[:, 0]) - (floor.angle if floor else 0.0)
        degrees = np.degrees(direction)
        length = np.abs(vector).sum(axis=1)
        degrees[length == 0] = np.nan
        segments[segment.name] = np.where(facing.signs > 0, degrees, 180 - degrees)

    columns: list[Points] = []
    for joint in JOINTS:
        turned = segments[joint.segment] - segments[joint.reference] + joint.offset
        columns.append(_within(turned, joint.lowest))
    columns += [_unwrapped(_within(segments[segment.name], -180)) for segment in SEGMENTS]
    return np.stack(columns, axis=1)


def _within(degrees: Points, lowest: float) -> Points:
    return (degrees - lowest) % 360 + lowest


def _unwrapped(degrees: Points) -> Points:
    """The same directions without jumps by 360 degrees: a somersault goes on beyond 180."""
    known = np.isfinite(degrees)
    if not known.any():
        return degrees
    whole = degrees.copy()
    whole[known] = np.unwrap(degrees[known], period=360)
    # The middle of the clip stays where it belongs.
    whole -= 360 * np.round(np.median(whole[known]) / 360)
    return whole
