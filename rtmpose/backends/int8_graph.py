"""The changes that make a network compute its dense convolutions in 8 bits.

A convolution is computed in 8 bits where quantizers stand before its input and its weights. Each
channel c of the input has a range of its own (see :mod:`rtmpose.backends.int8_ranges`): the weights
are multiplied by its scale, and the bias gets ``W center``. The function stays the same; only the
rounding changes. The quantizer does all of this in one pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.bf16_graph import constant_of
from rtmpose.backends.int8_ranges import (
    LEVELS,
    WEIGHT_LIMIT,
    LayerRanges,
    Ranges,
    centers_bias,
    dense_convolutions,
    run_inside,
    scaled_weights,
    source_key,
    weights_of,
)
from rtmpose.model_card import Normalization
from rtmpose.types import FloatArray

if TYPE_CHECKING:
    from openvino import Model, Node, Output


def ranges_fit(network: Model, ranges: Ranges) -> bool:
    """Whether there is a convolution with as many channels for each of the ranges."""
    shapes = {}
    for node in dense_convolutions(network):
        channels = [value.get_partial_shape()[1] for value in (node.output(0), node.input_value(0))]
        shapes[node.get_friendly_name()] = tuple(count.get_length() for count in channels)
    return all(
        (len(layer.correction), len(layer.scale)) == shapes.get(name)
        and len(layer.center) == len(layer.scale)
        for name, layer in ranges.items()
    )


def quantize(network: Model, ranges: Ranges) -> int:
    """Put quantizers before the inputs and weights of the named convolutions, in place.

    Returns:
        The number of convolutions changed.
    """
    quantizers: dict[tuple[object, ...], Output] = {}
    changed = 0
    for node, layer, weights in _named(network, ranges):
        # What the centers and the rounding took away.
        bias = centers_bias(weights, layer.center) + layer.correction
        if bias.any():
            _add_bias(node, bias.astype(np.float32))

        # Convolutions that read the same map with the same ranges share the quantizer.
        source = node.input_value(0)
        key = (*source_key(source), layer.low, layer.high, layer.scale.tobytes())
        if key not in quantizers:
            quantizers[key] = _quantized_input(source, layer)
        node.input(0).replace_source_output(quantizers[key])
        node.input(1).replace_source_output(_quantized_weights(layer, weights))
        changed += 1

    # Shapes do not change, but the engine must know the new nodes.
    network.validate_nodes_and_infer_types()
    return changed


def rounding_errors(
    network: Model, normalization: Normalization, images: NDArray[np.uint8], ranges: Ranges
) -> dict[str, FloatArray]:
    """What rounding takes away from every output channel ``(O,)`` of the convolutions on average,
    each for itself: their inputs are those of the network in fp32.

    The network is changed: its inner values become outputs.
    """
    from openvino import opset13 as ops

    # Beside every convolution the same in 8 bits, with the same input.
    sources = []
    centers = {}
    for node, layer, weights in _named(network, ranges):
        centers[node.get_friendly_name()] = centers_bias(weights, layer.center)
        source = _quantized_input(node.input_value(0), layer)
        rounded = _quantized_weights(layer, weights)
        beside = ops.convolution(source, rounded, **node.get_attributes())
        sources += [node.output(0), beside.output(0)]

    # (O, H, W) to the mean of each channel, over all images.
    sums = np.zeros(len(sources), object)
    for maps in run_inside(network, normalization, images, sources):
        for i, values in enumerate(maps):
            sums[i] = sums[i] + values.reshape(values.shape[0], -1).mean(axis=1) / len(images)
    return {
        name: (sums[2 * i] - sums[2 * i + 1] - centers[name]).astype(np.float32)
        for i, name in enumerate(centers)
    }


# ---- parts


def _named(network: Model, ranges: Ranges) -> list[tuple[Node, LayerRanges, FloatArray]]:
    """The convolutions that have ranges, with these and their weights."""
    found = []
    for node in dense_convolutions(network):
        layer = ranges.get(node.get_friendly_name())
        weights = weights_of(node)
        if layer is not None and weights is not None:
            found.append((node, layer, weights))
    return found


def _add_bias(node: Node, bias: FloatArray) -> None:
    """Add a value ``(O,)`` to each output channel of a convolution, in its own bias if it has
    one.
    """
    from openvino import opset13 as ops

    shape = (1, -1, 1, 1)
    targets = node.output(0).get_target_inputs()
    additions = [target.get_node() for target in targets]
    if len(additions) == 1 and additions[0].get_type_name() == "Add":
        for port in (0, 1):
            constant = constant_of(additions[0].input_value(port))
            if constant is not None and constant.shape == (1, len(bias), 1, 1):
                total = ops.constant(constant + bias.reshape(shape))
                additions[0].input(port).replace_source_output(total.output(0))
                return

    added = ops.add(node.output(0), ops.constant(bias.reshape(shape)))
    for target in targets:
        target.replace_source_output(added.output(0))


def _quantized_input(source: Output, layer: LayerRanges) -> Output:
    """A feature map behind its quantizer: every channel's own range to the one that all share."""
    from openvino import opset13 as ops

    shape = (1, -1, 1, 1)
    low, high = (np.full((1, 1, 1, 1), end, np.float32) for end in (layer.low, layer.high))
    quantizer = ops.fake_quantize(
        source,
        ops.constant((layer.center + layer.scale * layer.low).reshape(shape)),
        ops.constant((layer.center + layer.scale * layer.high).reshape(shape)),
        ops.constant(low),
        ops.constant(high),
        LEVELS,
    )
    return quantizer.output(0)


def _quantized_weights(layer: LayerRanges, weights: FloatArray) -> Output:
    """The weights of a convolution, made for its quantized input, behind their quantizer."""
    from openvino import opset13 as ops

    # Symmetric, a range for each output channel.
    scaled, limits = scaled_weights(weights, layer.scale)
    ends = [ops.constant(-limits), ops.constant(limits)]
    levels = 2 * WEIGHT_LIMIT + 1
    return ops.fake_quantize(ops.constant(scaled), *ends, *ends, levels).output(0)
