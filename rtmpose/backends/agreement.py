"""How far a network in reduced precision agrees with itself in fp32, on bundled photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.base import Outputs
from rtmpose.backends.sample_images import bundled_crops, bundled_frames, varied_crops
from rtmpose.model_card import ModelCard
from rtmpose.ops.boxes import box_iou
from rtmpose.ops.decoders import decode_boxes, keypoint_decoder
from rtmpose.types import FloatArray

# ---- what counts


CONFIDENT = 0.3
"""Keypoints and boxes with a higher score count."""

LOWEST_SCORE = 0.05
"""Of the boxes that a confident one may be found again in."""

SPREAD_PIXELS = 4.0
"""A keypoint that moved by this many crop pixels counts exp(-1/2)."""


# ---- judges


@dataclass(frozen=True)
class Judge:
    """How the networks of one kind are judged.

    Attributes:
        inputs: Images ``(N, h, w, 3)`` for a network of that card, from the bundled photographs.
        varied: More of them, to measure the ranges of a network's values on.
        agreement: 0..1 for a card, the outputs in fp32 and those to be judged; one entry for each
            input.
        trusted_from: Least agreement to be trusted.
    """

    inputs: Callable[[ModelCard], NDArray[np.uint8]]
    varied: Callable[[ModelCard], NDArray[np.uint8]]
    agreement: Callable[[ModelCard, Sequence[Outputs], Sequence[Outputs]], float]
    trusted_from: float


def judge_for(card: ModelCard) -> Judge | None:
    """How networks of that card's kind are judged; None for kinds that cannot be."""
    return _JUDGES.get(card.output)


def pose_agreement(card: ModelCard, exact: Sequence[Outputs], other: Sequence[Outputs]) -> float:
    """Mean over the confident keypoints of ``exp(-d^2 / 2 s^2)``, d their distance in crop pixels
    and s = 4 pixels.
    """
    # (N, K, 2) in crop pixels, and (N, K).
    keypoints, scores = _decode(card, exact)
    moved, _ = _decode(card, other)

    # Only keypoints that fp32 is confident about: the others lie anywhere in either run.
    confident = scores > CONFIDENT
    if not confident.any():
        return 0.0

    # A Gaussian of the distance: small moves cost little, and lost keypoints count 0.
    squared_distance = ((keypoints - moved)[confident] ** 2).sum(axis=1)
    return round(float(np.exp(-squared_distance / (2 * SPREAD_PIXELS**2)).mean()), 4)


def box_agreement(card: ModelCard, exact: Sequence[Outputs], other: Sequence[Outputs]) -> float:
    """Mean over the confident boxes of the overlap with the best box, less the difference of the
    scores.
    """
    # One value per confident box of fp32, over all frames.
    values: list[float] = []
    for one, another in zip(exact, other, strict=True):
        # Boxes found again may score a little lower, so they are read down to a lower threshold.
        expected = decode_boxes(one, card, LOWEST_SCORE)
        expected = expected[expected.scores > CONFIDENT]
        found = decode_boxes(another, card, LOWEST_SCORE)
        if not len(expected):
            continue
        if not len(found):
            # All lost.
            values += [0.0] * len(expected)
            continue

        # Each expected box with the one that covers it best.
        overlap = box_iou(expected.boxes, found.boxes)
        best = overlap.argmax(axis=1)
        difference = np.abs(expected.scores - found.scores[best])
        values += list(overlap.max(axis=1) - difference)
    return round(float(np.mean(values)), 4) if values else 0.0


def _decode(card: ModelCard, runs: Sequence[Outputs]) -> tuple[FloatArray, FloatArray]:
    """Keypoints ``(N, K, 2)`` in crop pixels and scores ``(N, K)`` of all runs."""
    # One batch of all runs, so that decoding is called once.
    outputs = [np.concatenate(column) for column in zip(*runs, strict=True)]
    return keypoint_decoder(card).decode(outputs, card)


# By ModelCard.output; networks that are not here run in fp32 unless bf16 is asked for.
_JUDGES: Mapping[str, Judge] = {
    "keypoints": Judge(bundled_crops, varied_crops, pose_agreement, trusted_from=0.985),
    "boxes": Judge(bundled_frames, bundled_frames, box_agreement, trusted_from=0.95),
}
