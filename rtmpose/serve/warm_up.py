"""The first calls of a model, made before requests come: engines compile a network for each size of
input, which takes up to a second. Then it is seen how many people of a call cost least.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from rtmpose.detector import Detector
from rtmpose.families import PoseModel
from rtmpose.types import Detections

LIKELY_WH = ((640, 480), (1280, 720), (720, 1280), (480, 640), (720, 480), (480, 720))
"""Photos and videos: 4:3, 16:9 and 3:2, wide and tall. Others are compiled for when they come."""
PEOPLE = (1, 2, 2, 4)
"""Of the calls of the pose network. Some engines treat the first call of several people as calls of
one, hence two.
"""
MEASURED = (1, 2, 4, 8)
"""People of the calls that are compared."""
ROUNDS = 5
"""Of each of them, the shortest counts: other programs may be at work."""


def warm_up(model: PoseModel, go_on: Callable[[], bool]) -> None:
    """Make the likely calls once; of models that are no networks of ours, none.

    Args:
        model: An opened model.
        go_on: Asked before each call.
    """
    if not model.networks:
        return
    for width, height in _sizes_of(model):
        if not go_on():
            return
        image = np.zeros((height, width, 3), np.uint8)
        if model.needs_boxes:
            model.detect(image)
        else:
            model.estimate([image])
    if not model.needs_boxes:
        return
    for people in PEOPLE:
        if not go_on():
            return
        _estimate(model, people)


def seconds_of_calls(model: PoseModel, go_on: Callable[[], bool]) -> dict[int, float]:
    """What calls of the pose network take, by the people in them; nothing where it ends early.

    Args:
        model: An opened model that takes boxes.
        go_on: Asked before each call.
    """
    seconds: dict[int, float] = {}
    # The first round is to warm up. All sizes in each, as the machine may be busy for a while.
    for number in range(1 + ROUNDS):
        for people in MEASURED:
            if not go_on():
                return {}
            started = time.perf_counter()
            _estimate(model, people)
            took = time.perf_counter() - started
            if number:
                seconds[people] = min(took, seconds.get(people, took))
    return seconds


def _estimate(model: PoseModel, people: int) -> None:
    """A call of the pose network for so many people."""
    width, height = LIKELY_WH[0]
    image = np.zeros((height, width, 3), np.uint8)
    box = np.array([[0, 0, width / 4, height / 2]], np.float32)
    model.estimate([image], [Detections.from_boxes(np.tile(box, (people, 1)))])


def _sizes_of(model: PoseModel) -> tuple[tuple[int, int], ...]:
    """Images whose inputs differ."""
    if not model.needs_boxes:
        return LIKELY_WH[:1]
    detector = model.detector
    if detector is None:
        return ()
    rectangular = isinstance(detector, Detector) and detector.rectangular
    return LIKELY_WH if rectangular else LIKELY_WH[:1]
