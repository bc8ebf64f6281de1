"""The first calls of a model, made before requests come: engines compile a network for each size of
input, which takes up to a second.
"""

from __future__ import annotations

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
    width, height = LIKELY_WH[0]
    image = np.zeros((height, width, 3), np.uint8)
    box = np.array([[0, 0, width / 4, height / 2]], np.float32)
    for people in PEOPLE:
        if not go_on():
            return
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
