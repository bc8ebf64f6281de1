"""What a client of a stream may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from rtmpose.errors import InputError
from rtmpose.ranges import (
    FRACTION,
    PEOPLE,
    Range,
    check_choice,
    check_fields,
    check_flags,
)
from rtmpose.serve.settings import ServeSettings
from rtmpose.tracking import TrackerParams

INTERVAL = Range(1, 1000, whole=True)


@dataclass(frozen=True)
class StreamSettings:
    """Settings of a stream; None is the service's own value.

    Attributes:
        track: Give everybody an id, and follow them; else every frame is for itself.
        smooth: ``live`` or ``off``.
        det_interval: Frames from one detection to the next.
        box_thr: Lowest score of a detected box; None for the tracker's own.
        person_thr: Lowest score of a new person.
        max_people: At most this many people.

    Raises:
        InputError: a value is out of its range.
    """

    track: bool = True
    smooth: str = "live"
    det_interval: int = 1
    box_thr: float | None = None
    person_thr: float | None = None
    max_people: int | None = None

    def __post_init__(self) -> None:
        check_flags(self, "track")
        check_choice("smooth", self.smooth, ("off", "live"))
        check_fields(
            self,
            det_interval=INTERVAL,
            box_thr=FRACTION.optional(),
            person_thr=FRACTION.optional(),
            max_people=PEOPLE.optional(),
        )

    def params(self, service: ServeSettings) -> TrackerParams:
        """The same for the tracker."""
        usual = TrackerParams()
        most = min(self.max_people or service.max_people, service.max_people)
        return TrackerParams(
            det_interval=self.det_interval,
            det_thr=usual.det_thr if self.box_thr is None else self.box_thr,
            pose_max_num_bboxes=most,
            smooth=self.smooth,
            person_thr=service.person_thr if self.person_thr is None else self.person_thr,
        )

    def as_json(self) -> dict[str, Any]:
        """For the client."""
        return asdict(self)


def stream_settings(given: Mapping[str, object]) -> StreamSettings:
    """Settings of a message.

    Raises:
        InputError: one is unknown or out of its range.
    """
    known = [field.name for field in fields(StreamSettings)]
    for name in given:
        if name not in known:
            raise InputError(f"there is no setting {name[:60]!r}; there are {', '.join(known)}")
    return StreamSettings(**given)  # type: ignore[arg-type]
