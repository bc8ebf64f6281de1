"""One table: for every kind of network output how it is decoded and what is expected of it.

A kind of :class:`rtmpose.model_card.Codec` has one row in :data:`DECODERS`. Whoever runs networks
(pose estimator, detector, one-stage models, calibration, export checks) reads the row instead of
asking for the kind, so that a new kind is a row here and a function next to the others in ``ops``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtmpose.errors import ModelError
from rtmpose.model_card import CodecKind, ModelCard
from rtmpose.ops import heatmap, rtmo, simcc, yolo
from rtmpose.ops.detector_outputs import read_outputs
from rtmpose.types import Detections, FloatArray, Outputs, Shapes

# ---- the kinds of rows


@dataclass(frozen=True)
class KeypointDecoder:
    """Networks that find the keypoints of one person in a crop.

    Attributes:
        decode: Outputs to keypoints ``(N, K, 2)`` float32 in crop pixels and scores ``(N, K)``.
        expected: What the shapes of the outputs should be, in words; empty if they are right.
        flip_back: Outputs of mirrored crops as those of the crops themselves, given the flip
            indices; None where outputs cannot be averaged.
        udp: Whether crops are cut by the unbiased map (see :func:`rtmpose.ops.crop.crop_matrices`).
    """

    decode: Callable[[Outputs, ModelCard], tuple[FloatArray, FloatArray]]
    expected: Callable[[Shapes, ModelCard], str]
    flip_back: Callable[[Outputs, Sequence[int]], Sequence[FloatArray]] | None
    udp: bool = False


@dataclass(frozen=True)
class BoxDecoder:
    """Networks that find boxes in a frame.

    Attributes:
        decode: Outputs for one frame to detections in input pixels, given the lowest score, a name
            for errors, and width and height of the input.
        truncate: How the resized frame is measured (see :func:`rtmpose.ops.letterbox.letterbox`).
    """

    decode: Callable[[Outputs, float, str, tuple[int, int]], Detections]
    truncate: bool = False


@dataclass(frozen=True)
class PeopleDecoder:
    """One-stage networks: people with boxes and keypoints in a frame.

    Attributes:
        decode: Outputs for one frame to people in input pixels, given the lowest score and a name
            for errors.
        centered: Whether frames are put into the middle of the input rather than its top left
            corner.
    """

    decode: Callable[[Outputs, float, str], rtmo.People]
    centered: bool


@dataclass(frozen=True)
class ClassDecoder:
    """Networks that tell classes apart: one output ``(N, classes)`` of logits."""


Decoder = KeypointDecoder | BoxDecoder | PeopleDecoder | ClassDecoder


def _take_decoded(outputs: Outputs, card: ModelCard) -> tuple[FloatArray, FloatArray]:
    # Shapes as declared: keypoints (N, K, 2) and scores (N, K).
    return np.asarray(outputs[0], np.float32), np.asarray(outputs[1], np.float32)


def _expected_decoded(shapes: Shapes, card: ModelCard) -> str:
    right = len(shapes) == 2 and shapes[0] == (*shapes[1], 2)
    return "" if right else "keypoints (N, K, 2) and scores (N, K)"


def _take_triples(outputs: Outputs, card: ModelCard) -> tuple[FloatArray, FloatArray]:
    # x, y and score of each keypoint in one array.
    points = np.asarray(outputs[0], np.float32)
    return points[..., :2], points[..., 2]


def _expected_triples(shapes: Shapes, card: ModelCard) -> str:
    right = len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][2] == 3
    return "" if right else "one array of keypoints (N, K, 3)"


def _yolo_people(outputs: Outputs, score_thr: float, name: str) -> rtmo.People:
    shapes = [o.shape for o in outputs]
    rows = shapes[0][1] if len(shapes) == 1 and len(shapes[0]) == 3 else 0
    if rows < 8 or (rows - 5) % 3:
        raise ModelError(
            f"{name} is not a YOLO pose model: it returns arrays of shape {shapes}; read is"
            " (1, 5 + 3 K, A)"
        )
    return yolo.decode_people(np.asarray(outputs[0], np.float32), score_thr)


# ---- the table


DECODERS: Mapping[CodecKind, Decoder] = {
    # Top-down pose networks.
    "simcc": KeypointDecoder(simcc.decode_outputs, simcc.expected_outputs, simcc.flip_outputs_back),
    "heatmap": KeypointDecoder(
        heatmap.decode_outputs, heatmap.expected_outputs, heatmap.flip_outputs_back, udp=True
    ),
    "gaussian": KeypointDecoder(
        heatmap.decode_plain_outputs, heatmap.expected_outputs, heatmap.flip_plain_outputs_back
    ),
    # Detectors.
    "rtmdet": BoxDecoder(read_outputs),
    "yolox": BoxDecoder(read_outputs, truncate=True),
    "yolo": BoxDecoder(read_outputs),
    # One-stage models and image classifiers.
    "rtmo": PeopleDecoder(rtmo.decode, centered=True),
    "yolo-pose": PeopleDecoder(_yolo_people, centered=True),
    "classifier": ClassDecoder(),
}

DECODED_INSIDE = KeypointDecoder(_take_decoded, _expected_decoded, None)
"""For files that hold their decoding: keypoints in crop pixels and scores come out of them."""
DECODED_NAMES = ("keypoints", "scores")
"""The names of such a file's outputs."""
DECODED_TRIPLES = KeypointDecoder(_take_triples, _expected_triples, None)
"""For files that hold their decoding and return keypoints with scores ``(N, K, 3)``."""


def decoder_inside(
    shapes: Sequence[tuple[int | None, ...]], names: Sequence[str] = ()
) -> KeypointDecoder | None:
    """How a file is read that decodes inside, by its outputs; None for any other file.

    Args:
        shapes: Of the outputs; None marks a dimension that may vary.
        names: Of the outputs.
    """
    # Names are certain; no coding has vectors of two or three numbers.
    if tuple(names) == DECODED_NAMES:
        return DECODED_INSIDE
    if [len(shape) for shape in shapes] == [3, 2] and shapes[0][2] == 2:
        return DECODED_INSIDE
    if [len(shape) for shape in shapes] == [3] and shapes[0][2] == 3:
        return DECODED_TRIPLES
    return None


# ---- looking up a row


def keypoint_decoder(card: ModelCard) -> KeypointDecoder:
    """The row of a network that works on crops.

    Raises:
        ModelError: the card is of another kind of network.
    """
    row = DECODERS[card.codec.kind]
    if isinstance(row, KeypointDecoder):
        return row

    # The most likely mix-up deserves a message that says what to use.
    if isinstance(row, PeopleDecoder):
        raise ModelError(
            f"{card.id} is a one-stage model: it finds people and keypoints in whole frames, not"
            " in boxes; use Pipeline(pose=...) or OneStage(...)"
        )
    raise ModelError(
        f"{card.id} is for {card.task}, not a pose model; `rtmpose models list` shows those"
    )


def y_first(row: KeypointDecoder) -> KeypointDecoder:
    """The row of SimCC, for a network that returns the vectors of y before those of x."""
    flip_back = row.flip_back
    return KeypointDecoder(
        lambda outputs, card: row.decode(outputs[::-1], card),
        lambda shapes, card: row.expected(shapes[::-1], card),
        flip_back and (lambda outputs, pairs: flip_back(outputs[::-1], pairs)[::-1]),
        row.udp,
    )


def box_decoder(card: ModelCard) -> BoxDecoder:
    """The row of a detector.

    Raises:
        ModelError: the card is of another kind of network.
    """
    row = DECODERS[card.codec.kind]
    if isinstance(row, BoxDecoder):
        return row
    raise ModelError(
        f"{card.id} is for {card.task}, not a detector; `rtmpose models list` shows those"
    )


def people_decoder(card: ModelCard) -> PeopleDecoder:
    """The row of a one-stage model.

    Raises:
        ModelError: the card is of another kind of network.
    """
    row = DECODERS[card.codec.kind]
    if isinstance(row, PeopleDecoder):
        return row
    raise ModelError(
        f"{card.id} is for {card.task}, not a one-stage model; `rtmpose models list` shows those"
    )


# ---- decoding whatever the network is


def decode_keypoints(
    outputs: Outputs, card: ModelCard, names: Sequence[str] = ()
) -> tuple[FloatArray, FloatArray]:
    """Keypoints ``(N, K, 2)`` in crop pixels and scores ``(N, K)``, also of files that decode
    inside.

    Args:
        outputs: Of the network, for N crops.
        card: Its card.
        names: Of the outputs, where they are known; without them their shapes tell.
    """
    row = decoder_inside([output.shape for output in outputs], names) or keypoint_decoder(card)
    return row.decode(outputs, card)


def decode_boxes(outputs: Outputs, card: ModelCard, score_thr: float) -> Detections:
    """Boxes in input pixels of any network that works on frames."""
    # One-stage models are detectors too: the keypoints are left out.
    row = DECODERS[card.codec.kind]
    if isinstance(row, PeopleDecoder):
        return row.decode(outputs, score_thr, card.id).detections()
    return box_decoder(card).decode(outputs, score_thr, card.id, card.input_wh)
