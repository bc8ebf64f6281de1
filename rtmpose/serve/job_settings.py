"""What a client may ask for with a video."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from rtmpose.draw import COLORS, DrawStyle
from rtmpose.errors import InputError
from rtmpose.ranges import (
    FRACTION,
    KEYPOINT_SCORE,
    PEOPLE,
    Range,
    check_choice,
    check_fields,
    check_flags,
    check_number,
)
from rtmpose.serve.json_numbers import as_whole
from rtmpose.serve.settings import ServeSettings
from rtmpose.tracking import TrackerParams
from rtmpose.writers.openpose_layouts import LAYOUTS
from rtmpose.writers.table import FORMATS, format_named

INTERVAL = Range(1, 1000, whole=True)
TRAIL = Range(0, 1000, whole=True)
SMOOTHING = ("off", "live", "offline")
DEFAULT_FORMATS = ("json", "jsonl", "csv")


@dataclass(frozen=True)
class JobSettings:
    """Settings of a job; None is the service's own value.

    Attributes:
        track: Give everybody an id, and follow them; else every frame is for itself.
        smooth: ``off``, ``live``, or ``offline``: no lag, gaps filled.
        det_interval: Frames from one detection to the next, or ``auto``.
        box_thr: Lowest score of a detected box.
        person_thr: Lowest score of a new person.
        max_people: At most this many people per frame.
        formats: Names of the formats of results.
        annotated: Make a video with the people drawn on it.
        kpt_thr: Lowest keypoint score drawn.
        draw_boxes: Draw the boxes.
        draw_scores: Write the scores.
        color: ``side``, ``person`` or ``id``.
        trail: Frames over which the path of a person is drawn.
        openpose_format: Order of the points in OpenPose's JSON.

    Raises:
        InputError: a value is out of its range.
        MissingDependencyError: a format needs a package that is not installed.
    """

    track: bool = True
    smooth: str = "live"
    det_interval: int | str = 1
    box_thr: float | None = None
    person_thr: float | None = None
    max_people: int | None = None
    formats: tuple[str, ...] = DEFAULT_FORMATS
    annotated: bool = True
    kpt_thr: float = 0.3
    draw_boxes: bool = False
    draw_scores: bool = False
    color: str = "side"
    trail: int = 0
    openpose_format: str = "auto"

    def __post_init__(self) -> None:
        check_flags(self, "track", "annotated", "draw_boxes", "draw_scores")
        check_choice("smooth", self.smooth, SMOOTHING)
        if self.det_interval != "auto":
            number = check_number("det_interval", self.det_interval, INTERVAL)
            object.__setattr__(self, "det_interval", int(number))
        if not isinstance(self.formats, list | tuple) or (not self.formats and not self.annotated):
            known = ", ".join(row.name for row in FORMATS)
            raise InputError(f"formats must be a list of some of {known}")
        for name in self.formats:
            format_named(name if isinstance(name, str) else "").check_installed()
        object.__setattr__(self, "formats", tuple(dict.fromkeys(self.formats)))
        check_choice("openpose_format", self.openpose_format, tuple(LAYOUTS))
        check_fields(
            self,
            box_thr=FRACTION.optional(),
            person_thr=FRACTION.optional(),
            max_people=PEOPLE.optional(),
            kpt_thr=KEYPOINT_SCORE,
            trail=TRAIL,
        )
        self.style()
        if not self.track and self.smooth == "offline":
            raise InputError("offline smoothing is for people who are tracked")

    def style(self) -> DrawStyle:
        """What is drawn."""
        return DrawStyle(
            kpt_thr=self.kpt_thr,
            draw_boxes=self.draw_boxes,
            draw_scores=self.draw_scores,
            color=self.color,
            trail=self.trail if self.track else 0,
        )

    def params(self, service: ServeSettings) -> TrackerParams:
        """Settings of the tracker."""
        usual = TrackerParams()
        most = min(self.max_people or service.max_people, service.max_people)
        return TrackerParams(
            det_thr=usual.det_thr if self.box_thr is None else self.box_thr,
            pose_max_num_bboxes=most,
            # Offline smoothing works on the poses as they are.
            smooth="live" if self.smooth == "live" else "off",
            person_thr=service.person_thr if self.person_thr is None else self.person_thr,
        )

    def as_json(self) -> dict[str, Any]:
        """For the client, and for the database."""
        return {**asdict(self), "formats": list(self.formats)}


def installed_formats() -> list[str]:
    """The formats that can be written here."""
    return [
        row.name
        for row in FORMATS
        if not row.package or importlib.util.find_spec(row.package) is not None
    ]


def settings_schema() -> dict[str, Any]:
    """The settings as JSON Schema, for the OpenAPI document."""
    fraction = {"type": "number", "minimum": 0, "maximum": 1}
    flag = {"type": "boolean"}
    properties: dict[str, Any] = {
        "track": flag,
        "smooth": {"enum": list(SMOOTHING)},
        "det_interval": {
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": 1000}, {"const": "auto"}]
        },
        "box_thr": fraction,
        "person_thr": fraction,
        "max_people": {"type": "integer", "minimum": 1, "maximum": 1000},
        "formats": {"type": "array", "items": {"enum": installed_formats()}},
        "annotated": flag,
        "kpt_thr": {"type": "number", "minimum": 0, "maximum": 100},
        "draw_boxes": flag,
        "draw_scores": flag,
        "color": {"enum": list(COLORS)},
        "trail": {"type": "integer", "minimum": 0, "maximum": 1000},
        "openpose_format": {"enum": list(LAYOUTS)},
    }
    # There must be some result, and offline smoothing is for people with ids.
    nothing = {"annotated": {"const": False}, "formats": {"maxItems": 0}}
    no_ids = {"track": {"const": False}, "smooth": {"const": "offline"}}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "allOf": [
            {"not": {"required": list(wrong), "properties": wrong}} for wrong in (nothing, no_ids)
        ],
    }


def job_settings(given: Mapping[str, object]) -> JobSettings:
    """Settings of a request.

    Raises:
        InputError: one is unknown or out of its range.
    """
    known = [field.name for field in fields(JobSettings)]
    for name in given:
        if name not in known:
            raise InputError(f"there is no setting {name[:60]!r}; there are {', '.join(known)}")
    return JobSettings(**{name: as_whole(value) for name, value in given.items()})  # type: ignore[arg-type]
