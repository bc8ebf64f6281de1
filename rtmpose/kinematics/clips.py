"""Angles of whole clips, with floor and scale."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from rtmpose.errors import InputError
from rtmpose.kinematics.angles import (
    AngleOptions,
    PersonAngles,
    measure,
    numbered,
    person_angles,
    presence,
)
from rtmpose.kinematics.body import used_keypoints
from rtmpose.kinematics.scale import (
    FloorLine,
    Scale,
    floor_from_feet,
    height_in_pixels,
    length_in_pixels,
)
from rtmpose.writers.clip import Clip

log = logging.getLogger(__name__)

MIN_SEGMENT_POINTS = 2


@dataclass(frozen=True)
class MeterSettings:
    """What is known of lengths and of the floor.

    Attributes:
        height_m: Height of the person in meters.
        length: Two keypoints and their distance in meters.
        floor: Two points on it as x1, y1, x2, y2 in pixels; None for the rows of the image.
        find_floor: Draw the floor through feet at rest.
    """

    height_m: float | None = None
    length: tuple[str, str, float] | None = None
    floor: FloorLine | None = None
    find_floor: bool = False

    @classmethod
    def parsed(cls, height_m: float | None, length: str | None, floor: str) -> MeterSettings:
        """Settings as they are typed.

        Raises:
            InputError: a text cannot be read, or height and length are given both.
        """
        if height_m is not None and length is not None:
            raise InputError("--height-m and --length both set the scale: give one of them")
        known = None if length is None else _parsed_length(length)
        if floor in ("none", "auto"):
            return cls(height_m, known, None, floor == "auto")
        try:
            numbers = [float(part) for part in floor.split(",")]
        except ValueError as error:
            raise InputError(
                f"--floor is x1,y1,x2,y2 in pixels, auto or none, not {floor!r}"
            ) from error
        return cls(height_m, known, FloorLine.through(numbers))


@dataclass(frozen=True, eq=False)
class ClipAngles:
    """The angles of everybody in one source.

    Attributes:
        clip: The results they were measured on.
        people: One entry per person.
        options: How they were measured.
        floor: Line they were measured from; None for the rows of the image.
        scale: From pixels to meters; None without a known length.
        notes: What was filled, found and measured on the way, in sentences.
    """

    clip: Clip
    people: list[PersonAngles]
    options: AngleOptions
    floor: FloorLine | None = None
    scale: Scale | None = None
    notes: tuple[str, ...] = ()


def clip_angles(
    clip: Clip, options: AngleOptions | None = None, settings: MeterSettings | None = None
) -> ClipAngles:
    """The angles of everybody in a clip.

    Raises:
        InputError: nothing says who is who from frame to frame, the keypoints are not those of a
            body, or what the scale is measured on is never seen.
    """
    options, settings = options or AngleOptions(), settings or MeterSettings()
    if len(used_keypoints(clip.skeleton)) < MIN_SEGMENT_POINTS:
        raise InputError(
            f"{clip.source} has the keypoints {clip.skeleton.name}, which are not those of a body"
        )
    if clip.fps is None and not clip.still:
        log.warning(
            "the results do not say the frame rate of %s: %.4g frames per second are taken, which"
            " the filter and the times depend on; --fps sets it",
            clip.source,
            clip.rate,
        )
    floor = settings.floor
    people = list(person_angles(clip, options, floor))
    if not people:
        log.warning("nobody was seen in %s", clip.source)
        return ClipAngles(clip, people, options, floor)
    notes = _filled_note(clip, people, options)
    _say_doubts(clip, people)

    main = max(people, key=lambda person: int(np.isfinite(person.values).any(axis=1).sum()))
    if settings.find_floor:
        floor = floor_from_feet(main.body, main.times)
        if floor is None:
            log.warning("no feet at rest in %s: the rows of the image are the floor", clip.source)
        else:
            notes.append(f"floor of {clip.source}: {_shown(floor, clip)}")
            people = [
                replace(person, values=measure(person.body, person.facing, floor))
                for person in people
            ]
    scale = _scale_of(clip, main, options, settings, floor)
    if scale is not None:
        notes.append(_scale_note(clip, scale))
    return ClipAngles(clip, people, options, floor, scale, tuple(notes))


def _scale_of(
    clip: Clip,
    main: PersonAngles,
    options: AngleOptions,
    settings: MeterSettings,
    floor: FloorLine | None,
) -> Scale | None:
    if settings.length is not None:
        first, second, meters = settings.length
        seen = numbered(clip).without_points_below(options.kpt_thr).people([main.id])
        points = presence(seen).tracks().keypoints[:, 0].astype(np.float64)
        pixels = length_in_pixels(points, clip.skeleton, first, second)
        origin = f"{first} to {second} of person {main.id}, {pixels:.1f} pixels"
    elif settings.height_m is not None:
        meters, pixels = settings.height_m, height_in_pixels(main.body)
        origin = f"the height of person {main.id}, {pixels:.1f} pixels"
    else:
        return None
    return Scale(meters / pixels, floor or _lowest(clip, main), origin)


def _lowest(clip: Clip, main: PersonAngles) -> FloorLine:
    """A floor where none is known: the lower border of the image, as `rtmpose convert` has it."""
    if clip.size_wh is not None:
        return FloorLine(0.0, float(clip.size_wh[1]))
    return FloorLine(0.0, float(np.nanmax([np.nanmax(p) for p in main.body.points.values()])))


def _filled_note(clip: Clip, people: list[PersonAngles], options: AngleOptions) -> list[str]:
    frames = {person.id: int(person.filled.sum()) for person in people if person.filled.any()}
    if not frames:
        return []
    shown = ", ".join(f"{count} of person {number}" for number, count in frames.items())
    return [
        f"gaps of up to {options.gap} frames of a point were filled in {clip.source}, in frames:"
        f" {shown}"
    ]


def _scale_note(clip: Clip, scale: Scale) -> str:
    middle = (clip.size_wh or (0, 0))[0] / 2
    return (
        f"scale of {clip.source}: {scale.meters_per_pixel:.6g} meters per pixel, from"
        f" {scale.origin}; for `rtmpose convert`: --meters-per-pixel {scale.meters_per_pixel:.6g}"
        f" --floor-y {scale.floor.row_at(middle):.1f}"
    )


def _say_doubts(clip: Clip, people: list[PersonAngles]) -> None:
    """One line for all people, not one for each."""
    unknown = [str(person.id) for person in people if not person.facing.rule]
    frontal = [str(person.id) for person in people if person.facing.frontal]
    if unknown:
        log.warning(
            "nothing tells which way these people of %s face: %s; right is taken, and --facing"
            " sets it",
            clip.source,
            ", ".join(unknown),
        )
    if frontal:
        log.warning(
            "these people of %s seem to be seen from the front or from behind: %s; angles are"
            " measured in the plane of the image, and right only from the side",
            clip.source,
            ", ".join(frontal),
        )


def _shown(floor: FloorLine, clip: Clip) -> str:
    width = (clip.size_wh or (1000, 0))[0]
    return (
        f"--floor 0,{floor.row_at(0):.1f},{width},{floor.row_at(width):.1f}"
        f" ({np.degrees(floor.angle):+.2f} degrees)"
    )


def _parsed_length(text: str) -> tuple[str, str, float]:
    parts = [part.strip() for part in text.split(",")]
    try:
        first, second, meters = parts
        length = float(meters)
    except ValueError as error:
        raise InputError(
            f"--length is two keypoints and their distance in meters, such as"
            f" left_knee,left_ankle,0.42, not {text!r}"
        ) from error
    if not 0 < length < 100:
        raise InputError(f"--length is in meters, above 0 and below 100, not {meters}")
    return first, second, length
