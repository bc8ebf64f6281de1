"""A YOLOX export for a smaller input than it was exported for.

YOLOX has no layer that sees the whole image, so nothing is lost where the padding is cut off; a
16:9 frame in a square input is 44 % padding. But the export contains the positions and strides of
its cells as constants, one row per cell, level after level: the rows of the smaller grid are taken
out of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import ModelError

if TYPE_CHECKING:
    from openvino import Model, Node

STRIDES = (8, 16, 32)


# ---- cells of the grid


def cells(size_hw: tuple[int, int], smaller_hw: tuple[int, int] | None = None) -> NDArray[np.int64]:
    """Rows of the cells that a smaller grid shares with the full one: same top left corner, level
    after level.

    Args:
        size_hw: Height and width of the full input.
        smaller_hw: Of the smaller one; multiples of 32, no side larger.
    """
    # Levels follow each other in the constants, each in row-major order.
    height, width = smaller_hw or size_hw
    rows = []
    start = 0  # row of the level's first cell
    for stride in STRIDES:
        across = size_hw[1] // stride  # cells per row of the full grid
        y, x = np.mgrid[: height // stride, : width // stride]
        rows.append((start + y * across + x).ravel())
        start += (size_hw[0] // stride) * across
    return np.concatenate(rows).astype(np.int64)


def has_grid(network: Model, size_hw: tuple[int, int]) -> bool:
    """Whether an ``openvino.Model`` with that fixed input has constants with one row per cell."""
    # No other constant of the network has that many rows.
    count = len(cells(size_hw))
    return any(
        _axis(node, count) is not None
        for node in network.get_ops()
        if node.get_type_name() == "Constant"
    )


# ---- cutting the network down


def shrink(network: Model, size_hw: tuple[int, int], smaller_hw: tuple[int, int]) -> Model:
    """A copy of the network for a smaller input.

    Args:
        network: ``openvino.Model`` that takes ``(1, 3, H, W)``.
        size_hw: Its height and width.
        smaller_hw: Multiples of 32, no side larger.

    Raises:
        ModelError: the network cannot be cut down.
    """
    from openvino import PartialShape
    from openvino import opset8 as ops

    # Strides must divide the new sides, or the levels would not fit onto each other.
    for side, largest in zip(smaller_hw, size_hw, strict=True):
        if side % STRIDES[-1] or not 0 < side <= largest:
            raise ModelError(
                f"an input of {smaller_hw} (height, width) cannot be cut out of {size_hw}"
            )

    # Constants first: the input's shape is checked against them.
    copy = network.clone()
    count = len(cells(size_hw))
    rows = cells(size_hw, smaller_hw)
    for node in copy.get_ordered_ops():
        if node.get_type_name() != "Constant":
            continue
        data = _smaller_constant(node, count, rows, size_hw, smaller_hw)
        if data is not None:
            node.output(0).replace(ops.constant(data).output(0))

    try:
        # Not Model.reshape: that checks the new constants against the old input first.
        copy.get_parameters()[0].set_partial_shape(PartialShape([1, 3, *smaller_hw]))
        copy.validate_nodes_and_infer_types()
    except RuntimeError as error:
        raise ModelError(f"the network cannot be cut down to {smaller_hw}: {error}") from error
    return copy


def _smaller_constant(
    node: Node,
    count: int,
    rows: NDArray[np.int64],
    size_hw: tuple[int, int],
    smaller_hw: tuple[int, int],
) -> NDArray[np.generic] | None:
    """What replaces a constant in the smaller network; None where it stays.

    Args:
        node: The constant.
        count: Number of cells of the full grid.
        rows: The cells that remain.
        size_hw: Height and width of the full input.
        smaller_hw: Of the smaller one.
    """
    # Positions and strides: one row per cell.
    axis = _axis(node, count)
    if axis is not None:
        return np.take(node.data, rows, axis=axis)

    # Shapes: the number of candidates, and those of the first layer.
    if not np.issubdtype(node.data.dtype, np.integer) or not node.data.size:
        return None
    if (node.data == count).all():
        return np.full_like(node.data, len(rows))
    shapes = _stem_shapes(size_hw)
    if node.data.tolist() in shapes:
        position = shapes.index(node.data.tolist())
        return np.array(_stem_shapes(smaller_hw)[position], node.data.dtype)
    return None


def _stem_shapes(size_hw: tuple[int, int]) -> list[list[int]]:
    """Target shapes with which the first layer puts 2x2 pixels into channels."""
    # The first layer ("Focus") turns 2x2 pixels into 4 x 3 channels by a reshape.
    half_h = size_hw[0] // 2
    half_w = size_hw[1] // 2
    return [[1, 3, half_h, 2, -1, 2], [1, 3, half_h, 2, half_w, 2], [1, 12, half_h, half_w]]


def _axis(node: Node, count: int) -> int | None:
    """The axis of a constant that runs over the cells."""
    shape = list(node.get_output_shape(0))
    return shape.index(count) if len(shape) >= 2 and count in shape else None
