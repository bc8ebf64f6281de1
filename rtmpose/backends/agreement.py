"""How far a network in reduced precision agrees with itself in fp32, on bundled photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.base import Outputs
from rtmpose.backends.sample_images import bundled_crops, bundled_frames
from rtmpose.model_card import ModelCard
from rtmpose.ops import heatmap, simcc
from rtmpose.ops.boxes import box_iou
from rtmpose.ops.detector_outputs import read_outputs
from rtmpose.types import FloatArray

CONFIDENT = 0.3
"""Keypoints and boxes with a higher score count."""

SPREAD_PIXELS = 4.0
"""A keypoint that moved by this many crop pixels counts exp(-1/2)."""


@dataclass(frozen=True)
class Judge:
    """How the networks of one kind are judged.

    Attributes:
        inputs: Images ``(N, h, w, 3)`` for a network of that card, from the bundled photographs.
        agreement: 0..1 for a card, the outputs in fp32 and those to be judged; one entry for each
            input.
        trusted_from: Least agreement to be trusted.
    """

    inputs: Callable[[ModelCard], NDArray[np.uint8]]
    agreement: Callable[[ModelCard, Sequence[Outputs], Sequence[Outputs]], float]
    trusted_from: float


def judge_for(card: ModelCard) -> Judge | None:
    """How networks of that card's kind are judged; None for kinds that cannot be."""
    return _JUDGES.get(card.codec.kind)


def pose_agreement(card: ModelCard, exact: Sequence[Outputs], other: Sequence[Outputs]) -> float:
    """Mean over the confident keypoints of ``exp(-d^2 / 2 s^2)``, d their distance in crop pixels
    and s = 4 pixels.
    """
    keypoints, scores = _decode(card, exact)
    moved, _ = _decode(card, other)
    confident = scores > CONFIDENT
    if not confident.any():
        return 0.0
    squared_distance = ((keypoints - moved)[confident] ** 2).sum(axis=1)
    return round(float(np.exp(-squared_distance / (2 * SPREAD_PIXELS**2)).mean()), 4)


def box_agreement(card: ModelCard, exact: Sequence[Outputs], other: Sequence[Outputs]) -> float:
    """Mean over the confident boxes of the overlap with the best box, less the difference of the
    scores.
    """
    values: list[float] = []
    for one, another in zip(exact, other, strict=True):
        expected = read_outputs(one, 0.05, card.id)
        expected = expected[expected.scores > CONFIDENT]
        found = read_outputs(another, 0.05, card.id)
        if not len(expected):
            continue
        if not len(found):
            values += [0.0] * len(expected)
            continue
        overlap = box_iou(expected.boxes, found.boxes)
        best = overlap.argmax(axis=1)
        difference = np.abs(expected.scores - found.scores[best])
        values += list(overlap.max(axis=1) - difference)
    return round(float(np.mean(values)), 4) if values else 0.0


def _decode(card: ModelCard, runs: Sequence[Outputs]) -> tuple[FloatArray, FloatArray]:
    """Keypoints ``(N, K, 2)`` in crop pixels and scores ``(N, K)`` of all runs."""
    outputs = [np.concatenate(column) for column in zip(*runs, strict=True)]
    if card.codec.kind == "heatmap":
        return heatmap.decode(outputs[0], card.input_wh)
    return simcc.decode(outputs[0], outputs[1], card.codec.split_ratio)


_POSE = Judge(bundled_crops, pose_agreement, trusted_from=0.985)
_DETECTOR = Judge(bundled_frames, box_agreement, trusted_from=0.95)

# By kind of codec; kinds that are not here run in fp32 unless bf16 is asked for.
_JUDGES: Mapping[str, Judge] = {
    "simcc": _POSE,
    "heatmap": _POSE,
    "rtmdet": _DETECTOR,
    "yolox": _DETECTOR,
}
