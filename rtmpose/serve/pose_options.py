"""Options of a request for poses, from its query, its form or its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated

import numpy as np
from fastapi import Query

from rtmpose.draw import BACKGROUNDS, COLORS, DrawStyle
from rtmpose.errors import InputError
from rtmpose.ranges import FRACTION, IMAGE_SIDE, KEYPOINT_SCORE, PEOPLE, check_number
from rtmpose.serve.faults import unusable
from rtmpose.serve.json_numbers import as_whole
from rtmpose.serve.settings import ServeSettings
from rtmpose.text_files import parse_json
from rtmpose.types import Detections, Image

LONGEST_TEXT = 1_000_000


@dataclass(frozen=True)
class PoseOptions:
    """What a request may ask for; None is the service's own value.

    Attributes:
        box_thr: Lowest score of a detected box, 0 to 1.
        person_thr: Lowest score of a person, 0 to 1; 0 keeps all. Not for given boxes.
        kpt_thr: Lowest keypoint score that is drawn, and counted in ``num_keypoints``.
        max_people: At most this many people per image.
        background: ``image`` or ``black``.
        color: ``side``, ``person`` or ``id``.
        draw_boxes: Draw the boxes.
        draw_scores: Write the scores.
        output_size: Long side of the picture in pixels.
    """

    box_thr: float | None = None
    person_thr: float | None = None
    kpt_thr: float = 0.3
    max_people: int | None = None
    background: str = "image"
    color: str = "side"
    draw_boxes: bool = False
    draw_scores: bool = False
    output_size: int | None = None

    def style(self) -> DrawStyle:
        """What is drawn.

        Raises:
            ServiceError: a value cannot be used.
        """
        try:
            return DrawStyle(
                kpt_thr=self.kpt_thr,
                background=self.background,
                color=self.color,
                draw_boxes=self.draw_boxes,
                draw_scores=self.draw_scores,
                output_size=self.output_size,
            )
        except InputError as error:
            raise unusable(str(error)) from error


NAMES = tuple(field.name for field in fields(PoseOptions))
_NUMBERS = {
    "box_thr": FRACTION,
    "person_thr": FRACTION,
    "kpt_thr": KEYPOINT_SCORE,
    "max_people": PEOPLE,
    "output_size": IMAGE_SIDE,
}
_FLAGS = ("draw_boxes", "draw_scores")
_YES = ("true", "1", "yes", "on")
_NO = ("false", "0", "no", "off")


async def query_options(
    box_thr: Annotated[float | None, Query(ge=0, le=1)] = None,
    person_thr: Annotated[float | None, Query(ge=0, le=1)] = None,
    kpt_thr: Annotated[float, Query(ge=0, le=100)] = 0.3,
    max_people: Annotated[int | None, Query(ge=1, le=1000)] = None,
    background: Annotated[str, Query(pattern="^(image|black)$")] = "image",
    color: Annotated[str, Query(pattern="^(side|person|id)$")] = "side",
    draw_boxes: bool = False,
    draw_scores: bool = False,
    output_size: Annotated[int | None, Query(ge=16, le=16384)] = None,
) -> PoseOptions:
    """Options in the query. It waits for nothing: but others are called in a thread of their own,
    for each request.
    """
    return PoseOptions(
        box_thr,
        person_thr,
        kpt_thr,
        max_people,
        background,
        color,
        draw_boxes,
        draw_scores,
        output_size,
    )


def with_options(options: PoseOptions, given: Mapping[str, object]) -> PoseOptions:
    """Options with those of a form (texts) or of JSON in their place.

    Raises:
        ServiceError: one is unknown, or cannot be used.
    """
    changed: dict[str, object] = {}
    for name, value in given.items():
        if name not in NAMES:
            raise unusable(f"there is no option {name[:60]!r}; there are {', '.join(NAMES)}")
        try:
            changed[name] = _checked(name, value)
        except InputError as error:
            raise unusable(str(error)) from error
    return replace(options, **changed)  # type: ignore[arg-type]


def read_boxes(value: object, settings: ServeSettings, name: str = "boxes") -> Detections:
    """Boxes of one image: rows of x1, y1, x2, y2 in pixels.

    Args:
        value: The rows, or their JSON.
        settings: How many there may be.
        name: Names them in errors.

    Raises:
        ServiceError: they are something else, or too many.
    """
    rows = json_value(value, name)
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == 4 and all(_is_number(v) for v in row) for row in rows
    ):
        raise unusable(f"{name} must be a list of rows x1, y1, x2, y2 in pixels")
    if len(rows) > settings.max_people:
        raise unusable(f"{name}: at most {settings.max_people} boxes per image")
    try:
        return Detections.from_boxes(np.asarray(rows, np.float64).reshape(-1, 4))
    except InputError as error:
        raise unusable(str(error)) from error


def check_boxes(boxes: Detections, image: Image, name: str = "boxes") -> None:
    """Refuse boxes that are parts of the size of their image instead of pixels.

    Args:
        boxes: Boxes of one image.
        image: BGR uint8 ``(H, W, 3)``.
        name: Names them in errors.

    Raises:
        ServiceError: a box lies in the first pixel.
    """
    if max(image.shape[:2]) == 1:
        return
    for number, box in enumerate(boxes.boxes):
        if np.abs(box).max() <= 1:
            row = [round(float(value), 4) for value in box]
            raise unusable(
                f"{name}: row {number} lies in the first pixel: {row}; boxes are x1, y1, x2, y2 in"
                " pixels, not parts of the image's size"
            )


def json_value(value: object, name: str) -> object:
    """A value that may stand as JSON in a text."""
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST_TEXT:
        raise unusable(f"{name} is too long")
    try:
        return parse_json(value, name)
    except InputError as error:
        raise unusable(str(error)) from error


def _checked(name: str, value: object) -> object:
    if name in _FLAGS:
        return _flag(name, value)
    if name in _NUMBERS:
        allowed = _NUMBERS[name]
        return check_number(name, _number(value, whole=allowed.whole), allowed)
    choices = BACKGROUNDS if name == "background" else COLORS
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}")
    return value


def _number(value: object, *, whole: bool) -> object:
    """The number in a text of a form, or in JSON; anything else as it is."""
    if not isinstance(value, str) or len(value) > 32:
        return as_whole(value) if whole else value
    try:
        return int(value) if whole else float(value)
    except ValueError:
        return value


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _YES:
        return True
    if isinstance(value, str) and value.lower() in _NO:
        return False
    raise InputError(f"{name} must be true or false")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
