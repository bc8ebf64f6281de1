"""Places of pixels as whole numbers in a graph: exact where 32-bit floats would be rounded.

Python computes them in 64-bit floats, which the WebGPU build of ONNX Runtime lacks. Whole numbers
of 64 bits are in every build.
"""

from __future__ import annotations

from onnx import TensorProto

from rtmpose.exporting.graph import Graph
from rtmpose.exporting.resample import scalar

PARTS = 2**36
"""A place is a whole number of these parts of a pixel: a 32-bit float from 2**-12 on is exact."""
FARTHEST = 2**20
"""Places in pixels are within this distance of 0, so that products stay within 64 bits."""


def to_fixed(g: Graph, places: str) -> str:
    """Float pixels as whole parts, int64."""
    near = g.op("Max", g.op("Min", places, scalar(FARTHEST)), scalar(-FARTHEST))
    return g.op("Cast", g.op("Mul", near, scalar(PARTS)), to=TensorProto.INT64)


def to_pixels(g: Graph, parts: str) -> str:
    """Whole parts as float pixels, rounded once."""
    return g.op("Mul", g.op("Cast", parts, to=TensorProto.FLOAT), scalar(1 / PARTS))
