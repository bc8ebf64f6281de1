"""The maps between an image and the crops of people, in a graph.

It mirrors :mod:`rtmpose.ops.crop` to the last bit, so that the network sees the pixels it sees in
Python: a place that is off by a rounding changes gray levels, and over many frames of a followed
person that grows.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import NamedTuple

import numpy as np

from rtmpose.exporting.fixed_point import to_fixed, to_pixels
from rtmpose.exporting.graph import Graph
from rtmpose.exporting.resample import F32, Frame, blend, ints, normalize, scalar, taps
from rtmpose.model_card import ModelCard
from rtmpose.ops.crop import PADDING


class AxisMap(NamedTuple):
    """From crop pixels to image pixels along one axis: place = start + step * pixel.

    Attributes:
        start: int64 ``(N, 1)`` in whole parts of :mod:`rtmpose.exporting.fixed_point`.
        step: Likewise.
    """

    start: str
    step: str


def crop_maps(g: Graph, boxes: str, input_wh: tuple[int, int]) -> tuple[AxisMap, AxisMap]:
    """The maps of boxes ``(N, 4)`` along x and y."""
    width, height = input_wh
    center_x, center_y, scale = _center_scale(g, boxes, input_wh)

    # Three corresponding points in 32-bit floats, as the networks were trained: their rounding is
    # part of the map. The second lies left of the center, the third below the second.
    left = g.op("Sub", center_x, g.op("Mul", scale, scalar(0.5)))
    below = g.op("Add", center_y, g.op("Sub", center_x, left))
    start_x, middle_x = to_fixed(g, left), to_fixed(g, center_x)
    middle_y, end_y = to_fixed(g, center_y), to_fixed(g, below)

    # From here on exact: half of the crop's width lies between two of the points.
    step_x = _part(g, g.op("Sub", middle_x, start_x), 2, width)
    step_y = _part(g, g.op("Sub", end_y, middle_y), 2, width)
    start_y = g.op("Sub", middle_y, _part(g, step_y, height, 2))
    return AxisMap(start_x, step_x), AxisMap(start_y, step_y)


def crop_places(
    g: Graph, maps: tuple[AxisMap, AxisMap], input_wh: tuple[int, int]
) -> tuple[str, str]:
    """Where the columns ``(N, w)`` and rows ``(N, h)`` of crops come from: float image pixels."""
    x, y = maps
    width, height = input_wh

    # OpenCV's step is a 32-bit float. Along x a place is rounded after the sum only, along y
    # after the product, too.
    step_x = to_fixed(g, to_pixels(g, x.step))
    columns = g.op("Add", g.op("Mul", step_x, np.arange(width)[None]), x.start)
    rows = g.op("Mul", to_pixels(g, y.step), np.arange(height, dtype=F32)[None])
    return to_pixels(g, columns), g.op("Add", rows, to_pixels(g, y.start))


def crop_people(g: Graph, frame: Frame, maps: tuple[AxisMap, AxisMap], card: ModelCard) -> str:
    """Normalized crops ``(N, 3, h, w)``; what lies outside the frame is black."""
    # The two axes are sampled apart: bilinear weights are products.
    columns, rows = crop_places(g, maps, card.input_wh)
    x = taps(g, columns, frame.width_f, zero_outside=True)
    y = taps(g, rows, frame.height_f, zero_outside=True)
    return normalize(g, g.op("Round", blend(g, frame, x, y)), card)


def uncrop(g: Graph, bins: tuple[str, str], maps: tuple[AxisMap, AxisMap], card: ModelCard) -> str:
    """Keypoints ``(N, K, 2)`` float in image pixels, of int64 bins ``(N, K)`` along x and y."""
    # Bins to crop pixels: a whole number of them in most models, a ratio in others.
    ratio = Fraction(card.codec.split_ratio).limit_denominator(1000)
    axes = []
    for index, axis in zip(bins, maps, strict=True):
        moved = _part(g, g.op("Mul", index, axis.step), ratio.denominator, ratio.numerator)
        place = to_pixels(g, g.op("Add", moved, axis.start))
        axes.append(g.op("Unsqueeze", place, ints(2)))
    return g.op("Concat", *axes, axis=2)


def _center_scale(g: Graph, boxes: str, input_wh: tuple[int, int]) -> tuple[str, str, str]:
    """Center (x, y) and width of the cropped regions, each float ``(N, 1)``."""
    # Corners (N, 2), center and padded size.
    low = g.op("Slice", boxes, ints(0), ints(2), ints(1))
    high = g.op("Slice", boxes, ints(2), ints(4), ints(1))
    center_x, center_y = _columns(g, g.op("Mul", g.op("Add", low, high), scalar(0.5)))
    w, h = _columns(g, g.op("Mul", g.op("Sub", high, low), scalar(PADDING)))

    # The region has the aspect ratio of the network's input and holds the whole box.
    aspect = input_wh[0] / input_wh[1]
    return center_x, center_y, g.op("Max", w, g.op("Mul", h, scalar(aspect)))


def _columns(g: Graph, pairs: str) -> list[str]:
    """The two columns ``(N, 1)`` of pairs ``(N, 2)``."""
    return [g.op("Slice", pairs, ints(k), ints(k + 1), ints(1)) for k in range(2)]


def _part(g: Graph, value: str, times: int, of: int) -> str:
    """Whole numbers times a fraction, cut off."""
    common = gcd(times, of)
    if times != common:
        value = g.op("Mul", value, ints(times // common))
    return value if of == common else g.op("Div", value, ints(of // common))
