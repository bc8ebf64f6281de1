"""ONNX nodes that cut regions out of a frame: bilinear samples, gathered by index.

Images are sampled by gathering their pixels by index, so that a large frame is never copied as
float. Rows of interleaved pixels ``(..., 3 w)`` multiply faster than ``(..., w, 3)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from rtmpose.exporting.graph import Graph
from rtmpose.model_card import ModelCard

F32 = np.float32


def ints(*values: int) -> NDArray[np.int64]:
    """A constant ``(n,)``: indices, axes, shapes."""
    return np.array(values, np.int64)


def scalar(value: float) -> NDArray[np.float32]:
    """A constant number."""
    return np.array(value, F32)


@dataclass(frozen=True)
class Frame:
    """The frame as a list of pixels, to gather from by index.

    Attributes:
        height: int64 ``(1,)``.
        width: Likewise.
        pixels: uint8 ``(H W, 3)``.
        height_f: Float ``(1,)``.
        width_f: Likewise.
    """

    height: str
    width: str
    pixels: str
    height_f: str
    width_f: str

    @classmethod
    def of_input(cls, g: Graph, image: str) -> Frame:
        """The frame in the input ``image`` uint8 ``(H, W, 3)``."""
        # Sizes as values of the graph: frames may have any.
        shape = g.op("Shape", image)
        height = g.op("Gather", shape, ints(0), axis=0)
        width = g.op("Gather", shape, ints(1), axis=0)
        pixels = g.op("Reshape", image, ints(-1, 3))
        height_f = g.op("Cast", height, to=TensorProto.FLOAT)
        width_f = g.op("Cast", width, to=TensorProto.FLOAT)
        return cls(height, width, pixels, height_f, width_f)


class Taps(NamedTuple):
    """The two pixels that each sample lies between, along one axis.

    Attributes:
        indices: int64, within the frame; two names of values of the same shape.
        weights: Float; likewise.
    """

    indices: list[str]
    weights: list[str]


def taps(g: Graph, source: str, side: str, *, zero_outside: bool) -> Taps:
    """The taps for samples at the float places ``source`` of an axis of length ``side``.

    Outside the frame samples are 0 (``zero_outside``) or repeat the border.
    """
    # Each sample lies between two pixels; the fraction says how far behind the first.
    floor = g.op("Floor", source)
    fraction = g.op("Sub", source, floor)
    last = g.op("Sub", side, scalar(1))
    indices = []
    weights = []
    for place, weight in (
        (floor, g.op("Sub", scalar(1), fraction)),
        (g.op("Add", floor, scalar(1)), fraction),
    ):
        if zero_outside:  # black beyond the image's edge
            inside = g.op(
                "And",
                g.op("GreaterOrEqual", place, scalar(0)),
                g.op("LessOrEqual", place, last),
            )
            weight = g.op("Mul", weight, g.op("Cast", inside, to=TensorProto.FLOAT))
        # Indices must be valid even where the weight is 0.
        safe = g.op("Max", g.op("Min", place, last), scalar(0))
        indices.append(g.op("Cast", safe, to=TensorProto.INT64))
        weights.append(weight)
    return Taps(indices, weights)


def blend(g: Graph, frame: Frame, x: Taps, y: Taps) -> str:
    """Bilinear samples ``(N, h, 3 w)`` float from columns ``(N, w)`` and rows ``(N, h)``."""
    rows = []
    # (N, 1, 3 w)
    wide = [g.op("Unsqueeze", per_channel(g, weight), ints(1)) for weight in x.weights]
    for row, weight_y in zip(y.indices, y.weights, strict=True):
        # Pixels are numbered row by row.
        base = g.op("Mul", g.op("Unsqueeze", row, ints(2)), frame.width)
        parts = []
        for column, weight_x in zip(x.indices, wide, strict=True):
            # (N, h, w): the number of each pixel.
            index = g.op("Add", base, g.op("Unsqueeze", column, ints(1)))
            pixels = _merge_last(g, g.op("Gather", frame.pixels, index, axis=0))
            parts.append(g.op("Mul", g.op("Cast", pixels, to=TensorProto.FLOAT), weight_x))
        # (N, h, 3 w) per row tap.
        rows.append(g.op("Mul", g.op("Add", *parts), g.op("Unsqueeze", weight_y, ints(2))))
    return g.op("Add", *rows)


def blend_fixed(g: Graph, frame: Frame, x: Taps, y: Taps) -> str:
    """The same in OpenCV's fixed-point arithmetic, so that a detector sees the very pixels it sees
    in Python.
    """

    def fixed(weight: str) -> str:
        scaled = g.op("Round", g.op("Mul", weight, scalar(2048)))
        return g.op("Cast", scaled, to=TensorProto.INT32)

    def whole(value: int) -> NDArray[np.int32]:
        return np.array(value, np.int32)

    # OpenCV's weights have 11 bits.
    wide = [g.op("Unsqueeze", per_channel(g, fixed(weight)), ints(1)) for weight in x.weights]
    rows = []

    # As in blend, in whole numbers.
    for row, weight_y in zip(y.indices, y.weights, strict=True):
        base = g.op("Mul", g.op("Unsqueeze", row, ints(2)), frame.width)
        parts = []
        for column, weight_x in zip(x.indices, wide, strict=True):
            index = g.op("Add", base, g.op("Unsqueeze", column, ints(1)))
            gathered = _merge_last(g, g.op("Gather", frame.pixels, index, axis=0))
            pixels = g.op("Cast", gathered, to=TensorProto.INT32)
            parts.append(g.op("Mul", pixels, weight_x))
        # The sum is cut in steps, as OpenCV does, to stay within 32 bits.
        value = g.op("Div", g.op("Add", *parts), whole(16))
        value = g.op("Mul", value, g.op("Unsqueeze", fixed(weight_y), ints(2)))
        rows.append(g.op("Div", value, whole(65536)))
    total = g.op("Div", g.op("Add", g.op("Add", *rows), whole(2)), whole(4))
    return g.op("Cast", total, to=TensorProto.FLOAT)


def per_channel(g: Graph, values: str) -> str:
    """``(..., w)`` as ``(..., 3 w)``, each value three times."""
    last = g.op("Unsqueeze", values, ints(-1))
    return _merge_last(g, g.op("Concat", last, last, last, axis=-1))


def _merge_last(g: Graph, value: str) -> str:
    """``(..., w, 3)`` as ``(..., 3 w)``."""
    # All axes but the last two, then one for both.
    shape = g.op("Shape", value)
    head = g.op("Slice", shape, ints(0), ints(-2), ints(0))
    return g.op("Reshape", value, g.op("Concat", head, ints(-1), axis=0))


def normalize(g: Graph, pixels: str, card: ModelCard) -> str:
    """BGR float ``(N, h, 3 w)`` to the network's normalized ``(N, 3, h, w)``."""
    scaling = card.normalization
    width, height = card.input_wh
    # Means and standard deviations are in the network's order, the pixels are BGR.
    order = [2, 1, 0] if scaling.color == "rgb" else [0, 1, 2]
    mean = np.tile(np.array(scaling.mean, np.float64)[order], width)
    std = np.tile(np.array(scaling.std, np.float64)[order], width)
    # Interleaved, as the rows are: (3 w,).
    scaled = g.op("Mul", g.op("Sub", pixels, mean.astype(F32)), (1 / std).astype(F32))
    image = g.op("Reshape", scaled, ints(-1, height, width, 3))
    planes = g.op("Transpose", image, perm=[0, 3, 1, 2])  # (N, 3, h, w)
    return planes if order[0] == 0 else g.op("Gather", planes, ints(2, 1, 0), axis=1)
