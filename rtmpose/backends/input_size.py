"""A YOLOX export for a smaller input than it was made for.

YOLOX has no layer that looks at the whole picture, so nothing is lost where the padding is cut off;
a 16:9 frame in a square input is 44 % padding. But the export carries the places and strides of its
cells as constants, one row per cell, level after level: the rows of the smaller grid are picked out
of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import ModelError

STRIDES = (8, 16, 32)


def cells(size_hw: tuple[int, int], smaller_hw: tuple[int, int] | None = None) -> NDArray[np.int64]:
    """Rows of the cells that a smaller grid shares with the full one: same top left corner, level
    after level.

    Args:
        size_hw: Height and width of the full input.
        smaller_hw: Of the smaller one; multiples of 32, no side larger.
    """
    rows, start = [], 0
    height, width = smaller_hw or size_hw
    for stride in STRIDES:
        across = size_hw[1] // stride
        y, x = np.mgrid[: height // stride, : width // stride]
        rows.append((start + y * across + x).ravel())
        start += (size_hw[0] // stride) * across
    return np.concatenate(rows).astype(np.int64)


def has_grid(network: Any, size_hw: tuple[int, int]) -> bool:
    """Whether an ``openvino.Model`` with that fixed input carries constants with one row per cell."""
    count = len(cells(size_hw))
    return any(
        _axis(node, count) is not None
        for node in network.get_ops()
        if node.get_type_name() == "Constant"
    )


def shrink(network: Any, size_hw: tuple[int, int], smaller_hw: tuple[int, int]) -> Any:
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

    if any(
        s % STRIDES[-1] or s > most or s <= 0 for s, most in zip(smaller_hw, size_hw, strict=True)
    ):
        raise ModelError(f"an input of {smaller_hw} (height, width) cannot be cut out of {size_hw}")
    copy = network.clone()
    count, rows = len(cells(size_hw)), cells(size_hw, smaller_hw)
    for node in copy.get_ordered_ops():
        if node.get_type_name() != "Constant":
            continue
        axis = _axis(node, count)
        if axis is not None:
            data = np.take(node.data, rows, axis=axis)
        elif not np.issubdtype(node.data.dtype, np.integer) or not node.data.size:
            continue
        elif (node.data == count).all():
            data = np.full_like(node.data, len(rows))  # how many candidates there are
        elif node.data.tolist() in _stem_shapes(size_hw):
            data = np.array(
                _stem_shapes(smaller_hw)[_stem_shapes(size_hw).index(node.data.tolist())],
                node.data.dtype,
            )
        else:
            continue
        node.output(0).replace(ops.constant(data).output(0))
    try:
        # Not Model.reshape: that checks the new constants against the old input first.
        copy.get_parameters()[0].set_partial_shape(PartialShape([1, 3, *smaller_hw]))
        copy.validate_nodes_and_infer_types()
    except RuntimeError as error:
        raise ModelError(f"the network cannot be cut down to {smaller_hw}: {error}") from error
    return copy


def _stem_shapes(size_hw: tuple[int, int]) -> list[list[int]]:
    """Target shapes with which the first layer puts 2x2 pixels into channels."""
    half_h, half_w = size_hw[0] // 2, size_hw[1] // 2
    return [[1, 3, half_h, 2, -1, 2], [1, 3, half_h, 2, half_w, 2], [1, 12, half_h, half_w]]


def _axis(node: Any, count: int) -> int | None:
    """The axis of a constant that runs over the cells."""
    shape = list(node.get_output_shape(0))
    return shape.index(count) if len(shape) >= 2 and count in shape else None
