"""The changes that make a network compute its dense convolutions in 8 bits.

A convolution is computed in 8 bits where quantizers stand before its input and its weights. One
scale for the whole input leaves nothing for most channels of these networks: after SiLU many of
them are nearly constant and far from the others. So each channel c gets a range of its own: the
quantizer maps ``center + scale * [low, high]`` to ``[low, high]``, which are the same for all
channels. The weights are multiplied by ``scale``, and the bias gets ``W center``. The function
stays the same; only the rounding changes. The quantizer does all of this in one pass.

Where a convolution pads its input with zeros the center must be 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import openvino_network as net
from rtmpose.backends.bf16_graph import constant_of
from rtmpose.model_card import Normalization
from rtmpose.types import FloatArray

if TYPE_CHECKING:
    from openvino import Model, Node, Output

SAMPLES_PER_IMAGE = 512
"""Places of a feature map that are looked at in each image, besides the extremes."""

BALANCE = 0.75
"""Share of a channel's range that is taken out of the activations; the weights take the rest."""

RANGE_PERCENTILE = 99.99
"""Percentile of a channel's values that counts as its range."""

FEWEST_CHANNELS = 32
"""Convolutions that read fewer channels stay as they are."""

LEVELS = 256
"""Of the input of a convolution."""

WEIGHT_LEVELS = 255
"""Of its weights, from -127 to 127."""


@dataclass(frozen=True)
class LayerRanges:
    """How the input of a convolution is quantized.

    Attributes:
        center: ``(C,)`` of each input channel.
        scale: ``(C,)`` of each input channel, positive.
        low: Lower end of the range that all channels share.
        high: Upper end.
        correction: ``(O,)`` added to each output channel: what rounding takes away on average.
    """

    center: FloatArray
    scale: FloatArray
    low: float
    high: float
    correction: FloatArray


Ranges = Mapping[str, LayerRanges]
"""By name of a convolution."""

Samples = Mapping[str, FloatArray]
"""By name of a convolution: ``(C, n)`` values of its input."""


# ---- which convolutions


def dense_convolutions(network: Model) -> list[Node]:
    """The convolutions of feature maps that are worth 8 bits.

    Not the first ones, which read few channels, depthwise ones, large kernels, such as that before
    the head, and those of a single row or point: they cost more accuracy than they save time.
    """
    found = []
    for node in network.get_ordered_ops():
        if node.get_type_name() != "Convolution":
            continue
        weights = _weights_of(node)
        if weights is None or weights.shape[1] < FEWEST_CHANNELS or max(weights.shape[2:]) > 3:
            continue
        height = node.input_value(0).get_partial_shape()[2]
        if height != 1:  # the gates of the channel attention see one point
            found.append(node)
    return found


def _weights_of(convolution: Node) -> FloatArray | None:
    return constant_of(convolution.input_value(1))


def _pads(convolution: Node) -> bool:
    attributes = convolution.get_attributes()
    return any(attributes["pads_begin"]) or any(attributes["pads_end"])


# ---- measuring


def sample_inputs(
    network: Model,
    normalization: Normalization,
    images: NDArray[np.uint8],
    names: Iterable[str] | None = None,
) -> dict[str, FloatArray]:
    """Values of the inputs of all dense convolutions over the images ``(N, h, w, 3)``.

    The network is changed: its inner values become outputs.
    """
    wanted = None if names is None else set(names)
    convolutions = [
        node
        for node in dense_convolutions(network)
        if wanted is None or node.get_friendly_name() in wanted
    ]
    samples: dict[str, list[FloatArray]] = {n.get_friendly_name(): [] for n in convolutions}
    generator = np.random.default_rng(0)
    sources = [node.input_value(0) for node in convolutions]
    for maps in _run_inside(network, normalization, images, sources):
        for name, values in zip(samples, maps, strict=True):
            flat = values.reshape(values.shape[0], -1)  # (C, places)
            count = min(SAMPLES_PER_IMAGE, flat.shape[1])
            places = generator.integers(0, flat.shape[1], count)
            # A sample misses the extremes, which the range needs.
            extremes = np.stack([flat.min(axis=1), flat.max(axis=1)], axis=1)
            samples[name].append(np.concatenate([flat[:, places], extremes], axis=1))
    return {name: np.concatenate(parts, axis=1) for name, parts in samples.items()}


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
    names = []
    for node in dense_convolutions(network):
        layer = ranges.get(node.get_friendly_name())
        weights = _weights_of(node)
        if layer is not None and weights is not None:
            names.append(node.get_friendly_name())
            inputs = _quantized_inputs(node, layer, weights)
            beside = ops.convolution(*inputs, **node.get_attributes())
            sources += [node.output(0), beside.output(0)]

    # (O, H, W) to the mean of each channel, over all images.
    sums = np.zeros(len(sources), object)
    for maps in _run_inside(network, normalization, images, sources):
        for i, values in enumerate(maps):
            sums[i] = sums[i] + values.reshape(values.shape[0], -1).mean(axis=1) / len(images)
    centers = bias_of_centers(network, ranges)
    return {
        name: (sums[2 * i] - sums[2 * i + 1] - centers[name]).astype(np.float32)
        for i, name in enumerate(names)
    }


def _run_inside(
    network: Model,
    normalization: Normalization,
    images: NDArray[np.uint8],
    sources: Sequence[Output],
) -> Iterable[list[FloatArray]]:
    """For each image the maps ``(C, H, W)`` of inner values."""
    # Two layers may share a value, and it may be an output of the network already.
    network.add_outputs(list({_key(source): source for source in sources}.values()))
    places = {_key(node.input_value(0)): i for i, node in enumerate(network.get_results())}
    order = [places[_key(source)] for source in sources]

    folded = net.fold_normalization(network, normalization)
    compiled = net.core().compile_model(folded, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    for image in images:
        request.infer({0: image[None]})
        yield [request.get_output_tensor(place).data[0] for place in order]


def _key(source: Output) -> tuple[str, int]:
    return source.get_node().get_name(), source.get_index()


def ranges_from(
    network: Model, samples: Samples, *, balance: float = BALANCE
) -> dict[str, LayerRanges]:
    """The ranges of the convolutions whose inputs were sampled."""
    ranges = {}
    for node in dense_convolutions(network):
        values = samples.get(node.get_friendly_name())
        weights = _weights_of(node)
        if values is None or weights is None:
            continue
        ranges[node.get_friendly_name()] = _ranges_of(values, weights, _pads(node), balance)
    return ranges


def _ranges_of(values: FloatArray, weights: FloatArray, pads: bool, balance: float) -> LayerRanges:
    # The typical value of each channel, and how far it reaches to either side.
    center = np.zeros(len(values), np.float32)
    if not pads:
        center = np.median(values, axis=1).astype(np.float32)
    low = np.percentile(values, 100 - RANGE_PERCENTILE, axis=1) - center
    high = np.percentile(values, RANGE_PERCENTILE, axis=1) - center
    reach = np.maximum(np.maximum(high, -low), 1e-4)

    # How strongly the weights read each channel: (O, C, kh, kw) to (C,).
    strength = np.abs(weights).transpose(1, 0, 2, 3).reshape(weights.shape[1], -1).max(axis=1)
    scale = reach**balance / np.maximum(strength, 1e-6) ** (1 - balance)
    scale /= np.exp(np.log(scale).mean())  # around 1

    # One range for all channels, in which 0 is one of the levels: padding stays exact.
    least = min(float((low / scale).min()), 0.0)
    most = max(float((high / scale).max()), 1e-4)
    step = (most - least) / (LEVELS - 1)
    zero = round(-least / step)
    return LayerRanges(
        center,
        scale.astype(np.float32),
        -zero * step,
        (LEVELS - 1 - zero) * step,
        np.zeros(weights.shape[0], np.float32),
    )


# ---- changing the network


def ranges_fit(network: Model, ranges: Ranges) -> bool:
    """Whether there is a convolution with as many channels for each of the ranges."""
    shapes = {}
    for node in dense_convolutions(network):
        weights = _weights_of(node)
        assert weights is not None
        shapes[node.get_friendly_name()] = weights.shape[:2]
    return all(
        (len(layer.correction), len(layer.scale)) == shapes.get(name)
        and len(layer.center) == len(layer.scale)
        for name, layer in ranges.items()
    )


def bias_of_centers(network: Model, ranges: Ranges) -> dict[str, NDArray[np.float64]]:
    """What the centers take away from each output channel ``(O,)`` of the named convolutions."""
    biases = {}
    for node in dense_convolutions(network):
        layer = ranges.get(node.get_friendly_name())
        weights = _weights_of(node)
        if layer is not None and weights is not None:
            biases[node.get_friendly_name()] = _bias_of(weights, layer.center)
    return biases


def _bias_of(weights: FloatArray, center: FloatArray) -> NDArray[np.float64]:
    # Summed in float64 because its terms cancel.
    return weights.sum(axis=(2, 3), dtype=np.float64) @ center.astype(np.float64)


def quantize(network: Model, ranges: Ranges) -> int:
    """Put quantizers before the inputs and weights of the named convolutions, in place.

    Returns:
        The number of convolutions changed.
    """
    from openvino import opset13 as ops

    changed = 0
    for node in dense_convolutions(network):
        layer = ranges.get(node.get_friendly_name())
        weights = _weights_of(node)
        if layer is None or weights is None:
            continue
        targets = node.output(0).get_target_inputs()  # before the addition becomes one of them

        for port, source in enumerate(_quantized_inputs(node, layer, weights)):
            node.input(port).replace_source_output(source)

        # What the centers and the rounding took away.
        bias = (_bias_of(weights, layer.center) + layer.correction).astype(np.float32)
        if bias.any():
            added = ops.add(node.output(0), ops.constant(bias.reshape(1, -1, 1, 1)))
            for target in targets:
                target.replace_source_output(added.output(0))
        changed += 1

    # Shapes do not change, but the engine must know the new nodes.
    network.validate_nodes_and_infer_types()
    return changed


def _quantized_inputs(node: Node, layer: LayerRanges, weights: FloatArray) -> list[Output]:
    """Input and weights of a convolution behind their quantizers."""
    from openvino import opset13 as ops

    # The input: every channel's own range to the one that all share.
    shape = (1, -1, 1, 1)
    low, high = (np.full((1, 1, 1, 1), end, np.float32) for end in (layer.low, layer.high))
    quantizer = ops.fake_quantize(
        node.input_value(0),
        ops.constant((layer.center + layer.scale * layer.low).reshape(shape)),
        ops.constant((layer.center + layer.scale * layer.high).reshape(shape)),
        ops.constant(low),
        ops.constant(high),
        LEVELS,
    )

    # The weights: symmetric, a range for each output channel.
    scaled = (weights * layer.scale.reshape(shape)).astype(np.float32)
    limit = np.abs(scaled).reshape(len(scaled), -1).max(axis=1).reshape(-1, 1, 1, 1)
    limit = np.maximum(limit, 1e-12).astype(np.float32)
    ends = [ops.constant(-limit), ops.constant(limit)]
    rounded = ops.fake_quantize(ops.constant(scaled), *ends, *ends, WEIGHT_LEVELS)
    return [quantizer.output(0), rounded.output(0)]
