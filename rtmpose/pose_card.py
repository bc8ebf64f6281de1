"""What a pose network's file shows of itself where its card leaves it open: size and coding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtmpose.backends import Backend
from rtmpose.errors import ModelError
from rtmpose.model_card import Codec, ModelCard, Normalization
from rtmpose.ops import rtmo
from rtmpose.ops.decoders import KeypointDecoder, decoder_inside, keypoint_decoder
from rtmpose.recognize import Shape, shapes_text

RTMPOSE_PIXELS = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")
DEFAULT_BINS = 2.0
"""SimCC bins per pixel of the published models."""


def assumed_card(path: Path) -> ModelCard:
    """The card of a file that nothing is known of; its size and coding are left open."""
    return ModelCard(
        path.name, "pose estimation", "unknown", (0, 0), RTMPOSE_PIXELS, Codec("simcc")
    )


def complete_card(
    card: ModelCard, backend: Backend, path: Path
) -> tuple[ModelCard, KeypointDecoder]:
    """The card with what the file itself shows, where the card leaves it open; and how its outputs
    are decoded.

    Args:
        card: With the size (0, 0) where nothing is known of the file.
        backend: The opened file.
        path: Names it in errors.

    Raises:
        ModelError: the file is a model of another kind, or does not fit the card.
    """
    # Checked first, for an error that says what such a file is good for.
    names = [o.name for o in backend.outputs]
    shapes: list[Shape] = [o.shape for o in backend.outputs]
    if rtmo.is_layout(shapes, names):
        raise ModelError(
            f"{path} is a one-stage model: it finds people and keypoints in whole frames, not in"
            " boxes; use Pipeline(pose=...) or OneStage(...)"
        )

    # A declared size must agree with the card's.
    height, width = backend.input.shape[2:]
    if card.input_wh != (0, 0):
        if None not in (width, height) and card.input_wh != (width, height):
            raise ModelError(
                f"{path} takes {width}x{height} pixels, but {card.id} takes"
                f" {card.input_wh[0]}x{card.input_wh[1]}"
            )
        return card, decoder_inside(shapes, names) or keypoint_decoder(card)
    return _from_file(card, backend, path, shapes)


def _from_file(
    card: ModelCard, backend: Backend, path: Path, shapes: list[Shape]
) -> tuple[ModelCard, KeypointDecoder]:
    """The same for a card without a size."""
    height, width = backend.input.shape[2:]
    if width is None or height is None:
        width, height = _size_by_bins(shapes)
    if width is None or height is None:
        raise ModelError(
            f"{path} declares no input size: {_found(backend)}. Name the model it is (--card), or"
            " pass a ModelCard"
        )
    card = replace(card, input_wh=(width, height))

    # Outputs without a declared shape show it when they are computed.
    if any(len(shape) < 2 for shape in shapes):
        black = np.zeros((backend.input.shape[0] or 1, height, width, 3), np.uint8)
        shapes = [output.shape for output in backend(black)]

    inside = decoder_inside(shapes, [o.name for o in backend.outputs])
    if inside is not None:
        return card, inside
    # Vectors of y before those of x are told by their lengths, where width and height differ.
    codec = _codec(shapes, (width, height)) or _codec(shapes[::-1], (width, height))
    if codec is None:
        raise ModelError(
            f"{path} is not a pose model of a known form: {_found(backend)}. Read are SimCC vectors"
            " (N, K, bins of x) and (N, K, bins of y), also in the other order where width and"
            " height differ, one heat map (N, K, h, w), keypoints (N, K, 3), and keypoints"
            " (N, K, 2) with scores (N, K)"
        )
    card = replace(card, codec=codec)
    return card, keypoint_decoder(card)


def _size_by_bins(shapes: Sequence[Shape]) -> tuple[int | None, int | None]:
    """Width and height of a SimCC network, which usually has two bins per pixel."""
    if [len(shape) for shape in shapes] != [3, 3]:
        return None, None
    x, y = (shape[2] for shape in shapes)
    return (x // 2, y // 2) if x and y else (None, None)


def _codec(shapes: Sequence[Shape], size_wh: tuple[int, int]) -> Codec | None:
    """The coding that outputs of these shapes have; None for none that is known."""
    ranks = [len(shape) for shape in shapes]
    width, height = size_wh
    if ranks == [4]:
        # A quarter of the input unless the file says otherwise.
        map_h = shapes[0][2] or height // 4
        map_w = shapes[0][3] or width // 4
        return Codec("heatmap", heatmap_wh=(map_w, map_h))
    if ranks != [3, 3]:
        return None

    # The number of bins per pixel is that of both axes.
    bins = [shape[2] for shape in shapes]
    ratios = {count / side for count, side in zip(bins, size_wh, strict=True) if count}
    ratio = ratios.pop() if ratios else DEFAULT_BINS
    fits = not ratios and 0.5 <= ratio <= 16
    return Codec("simcc", split_ratio=ratio) if fits else None


def _found(backend: Backend) -> str:
    """What a file takes and returns, in words for errors."""
    takes = shapes_text([(backend.input.name, backend.input.shape)])
    returns = shapes_text([(o.name, o.shape) for o in backend.outputs])
    return f"it takes {takes} and returns {returns}"
