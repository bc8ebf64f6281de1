"""What a call of the engine asks of a model."""

from __future__ import annotations

from collections.abc import Sequence

from rtmpose.families import PoseModel
from rtmpose.serve.tickets import Part
from rtmpose.types import Calibration, Image, Poses


def poses_of(model: PoseModel, parts: Sequence[Part]) -> list[Poses]:
    """The poses of all parts, in one call where the model takes boxes."""
    if model.needs_boxes:
        images = [part.ticket.task.image for part in parts]
        return model.estimate(images, [part.boxes for part in parts])
    tasks = [part.ticket.task for part in parts]
    return [
        model.estimate([task.image], box_thr=task.box_thr, max_people=task.max_people)[0]
        for task in tasks
    ]


def takes_any(model: PoseModel) -> bool:
    """Whether calls of fewer people are shorter: not where the file fixes their number."""
    backend = getattr(model.pose, "backend", None)
    return backend is None or backend.input.shape[0] in (None, 1)


def calibration_of(model: PoseModel) -> Calibration | None:
    """Of the model's scores; None where it has none."""
    return getattr(getattr(model.pose, "card", None), "calibration", None)


def pixels_of(image: Image) -> int:
    """Pixels of an image."""
    return int(image.shape[0]) * int(image.shape[1])
