"""The detecting branch of the pipeline graph: letterbox, network, boxes back in image pixels.

It mirrors :mod:`rtmpose.detector`.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto

from rtmpose.exporting.fixed_point import to_fixed, to_pixels
from rtmpose.exporting.graph import Graph
from rtmpose.exporting.resample import (
    F32,
    Frame,
    Taps,
    blend_fixed,
    ints,
    normalize,
    per_channel,
    scalar,
    taps,
)
from rtmpose.model_card import ModelCard
from rtmpose.ops.decoders import box_decoder
from rtmpose.ops.letterbox import CELL, PAD_VALUE


def detect(
    g: Graph, frame: Frame, detector: ModelProto, card: ModelCard, score_thr: float
) -> tuple[str, str]:
    """Add the nodes that find people.

    Args:
        g: A branch's graph.
        frame: Of the graph around it.
        detector: Returns ``dets`` and ``labels``.
        card: Its description.
        score_thr: Lowest box score taken.

    Returns:
        Boxes ``(N, 4)`` xyxy in image pixels and scores ``(N,)``, the highest-scoring first.
    """
    # The steps of the Python detector, node by node; boxes are divided by the factors last.
    sizes, factors = letterbox_size(g, frame, card)
    canvas = letterbox(g, frame, sizes, card)
    pixels = normalize(g, canvas, card)
    if _takes_rectangles(detector, card):
        pixels = _rectangle(g, pixels, sizes)
    outputs = g.inline(detector, {detector.graph.input[0].name: pixels}, "detector/")
    boxes, scores = _people(g, outputs["dets"], outputs["labels"], score_thr)
    return g.op("Div", boxes, g.op("Concat", *factors, *factors, axis=0)), scores


def letterbox_size(g: Graph, frame: Frame, card: ModelCard) -> tuple[list[str], list[str]]:
    """Width and height of the resized frame, and what its pixels are multiplied by, each float."""
    # The two families of detectors round and scale back differently.
    if box_decoder(card).truncate:
        return _truncated_size(g, frame, card)
    sides = (frame.width, frame.height)
    sizes = []
    factors = []
    for side, side_f, limit in zip(
        sides, (frame.width_f, frame.height_f), card.input_wh, strict=True
    ):
        # Whole numbers are exact, and every engine has them: WebGPU's has no doubles.
        fits = []
        for other, most in zip(sides, card.input_wh, strict=True):
            twice = g.op("Add", g.op("Mul", side, ints(2 * most)), other)
            fits.append(g.op("Div", twice, g.op("Mul", other, ints(2))))
        new = g.op("Min", g.op("Max", g.op("Min", *fits), ints(1)), ints(limit))
        sizes.append(g.op("Cast", new, to=TensorProto.FLOAT))
        factors.append(g.op("Div", sizes[-1], side_f))
    return sizes, factors


def _truncated_size(g: Graph, frame: Frame, card: ModelCard) -> tuple[list[str], list[str]]:
    """The same, cut off to whole pixels."""
    # In double, as Python computes them: a size one pixel off moves boxes.
    sides = [g.op("Cast", v, to=TensorProto.DOUBLE) for v in (frame.width, frame.height)]
    ratios = [
        g.op("Div", np.array(limit, np.float64), side)
        for limit, side in zip(card.input_wh, sides, strict=True)
    ]
    ratio = g.op("Min", *ratios)
    sizes = []
    for side, limit in zip(sides, card.input_wh, strict=True):
        new = g.op("Floor", g.op("Mul", side, ratio))
        new = g.op("Min", g.op("Max", new, np.array(1.0)), np.array(float(limit)))
        sizes.append(g.op("Cast", new, to=TensorProto.FLOAT))
    factor = g.op("Cast", ratio, to=TensorProto.FLOAT)
    return sizes, [factor, factor]


def letterbox(g: Graph, frame: Frame, sizes: list[str], card: ModelCard) -> str:
    """The resized frame on a gray canvas: float ``(1, h, 3 w)`` BGR."""
    sides = (frame.width_f, frame.height_f)
    axes = []
    insides = []
    for side, new, limit in zip(sides, sizes, card.input_wh, strict=True):
        # Where each canvas column (row) comes from; those behind the image are gray.
        # Pixel centers onto pixel centers: ((2 i + 1) side - new) / (2 new), rounded once.
        odd = g.op("Mul", 2 * np.arange(limit) + 1, to_fixed(g, side))
        twice = g.op("Mul", g.op("Cast", new, to=TensorProto.INT64), ints(2))
        source = to_pixels(g, g.op("Div", g.op("Sub", odd, to_fixed(g, new)), twice))
        if side == frame.width_f:
            # Beyond the outer pixels OpenCV takes one column, but blends a row with itself.
            source = g.op("Max", g.op("Min", source, g.op("Sub", side, scalar(1))), scalar(0))
        inside = g.op("Less", np.arange(limit, dtype=F32), new)
        insides.append(g.op("Cast", inside, to=TensorProto.FLOAT))
        axes.append(taps(g, source, side, zero_outside=False))
    inside_x, inside_y = insides

    # One image: a leading axis of one.
    x, y = (
        Taps(
            [g.op("Unsqueeze", value, ints(0)) for value in axis.indices],
            [g.op("Unsqueeze", value, ints(0)) for value in axis.weights],
        )
        for axis in axes
    )
    # Pixels outside the resized frame are the padding color.
    canvas = blend_fixed(g, frame, x, y)
    rows = g.op("Reshape", inside_y, ints(1, -1, 1))
    columns = g.op("Reshape", per_channel(g, inside_x), ints(1, 1, -1))
    mask = g.op("Mul", rows, columns)
    gray = g.op("Mul", g.op("Sub", scalar(1), mask), scalar(PAD_VALUE))
    return g.op("Add", g.op("Mul", canvas, mask), gray)


def _takes_rectangles(detector: ModelProto, card: ModelCard) -> bool:
    """Whether the network saves the padding, as :class:`rtmpose.Detector` does by default."""
    shape = detector.graph.input[0].type.tensor_type.shape.dim
    return card.input_fit == "rectangular" and not any(side.dim_value for side in shape[2:])


def _rectangle(g: Graph, pixels: str, sizes: list[str]) -> str:
    """The top left part ``(1, 3, h, w)`` that holds the resized frame, in whole cells."""
    width, height = sizes
    ends = []
    for new in (height, width):
        cells = g.op("Ceil", g.op("Div", new, scalar(CELL)))
        ends.append(g.op("Cast", g.op("Mul", cells, scalar(CELL)), to=TensorProto.INT64))
    return g.op("Slice", pixels, ints(0, 0), g.op("Concat", *ends, axis=0), ints(2, 3))


def _people(g: Graph, dets: str, labels: str, score_thr: float) -> tuple[str, str]:
    """Boxes and scores of people above the threshold, with a positive area, in order of score."""
    dets = g.op("Squeeze", dets, ints(0))  # (n, 5)
    labels = g.op("Cast", g.op("Squeeze", labels, ints(0)), to=TensorProto.INT64)

    # Columns as vectors (n,), so that rows can be chosen by their values.
    columns = [
        g.op("Reshape", g.op("Slice", dets, ints(k), ints(k + 1), ints(1)), ints(-1))
        for k in range(5)
    ]
    x1, y1, x2, y2, scores = columns

    # People, with a positive area and a score above the threshold.
    sized = g.op("And", g.op("Greater", x2, x1), g.op("Greater", y2, y1))
    confident = g.op("GreaterOrEqual", scores, scalar(score_thr))
    person = g.op("And", confident, g.op("Equal", labels, np.array(0, np.int64)))
    rows = g.op("Reshape", g.op("NonZero", g.op("And", person, sized)), ints(-1))

    # The highest-scoring first.
    scores = g.op("Gather", scores, rows)
    scores, order = g.ops("TopK", scores, g.op("Shape", scores), axis=0, outputs=2)
    rows = g.op("Gather", rows, order)
    return g.op("Gather", g.op("Slice", dets, ints(0), ints(4), ints(1)), rows, axis=0), scores
