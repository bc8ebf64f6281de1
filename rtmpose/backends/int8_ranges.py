"""Which convolutions of a network are computed in 8 bits, and how their inputs are quantized.

One scale for a whole feature map leaves nothing for most channels of these networks: after SiLU
many of them are nearly constant and far from the others. So each channel c gets a range of its
own: the quantizer maps ``center + scale * [low, high]`` to ``[low, high]``, which are the same for
all channels. :mod:`rtmpose.backends.int8_graph` puts the quantizers into the network.

Where a convolution pads its input with zeros the center must be 0. Convolutions that read the same
feature map share its ranges, so that it is quantized once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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

FEWEST_CHANNELS = 16
"""Convolutions that read fewer channels stay as they are: quantizing pixels takes the time that the
convolution gains."""

LARGEST_KERNEL = 7
"""Convolutions with larger kernels stay as they are."""

LEVELS = 256
"""Of the input of a convolution."""

WEIGHT_LIMIT = 127
"""The levels of its weights are from -127 to 127."""


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
    """The convolutions of feature maps that gain from 8 bits.

    Not the first one, which reads pixels, not depthwise ones, which are no faster in 8 bits, and
    not those of a single row or point.
    """
    return [node for node in network.get_ordered_ops() if _gains(node)]


def _gains(node: Node) -> bool:
    weights = weights_of(node)
    if weights is None or node.input_value(0).get_partial_shape()[2] == 1:
        return False  # the gates of the channel attention see one point
    return weights.shape[1] >= FEWEST_CHANNELS and max(weights.shape[2:]) <= LARGEST_KERNEL


def weights_of(node: Node) -> FloatArray | None:
    """The weights ``(O, C, h, w)`` of a convolution; None for other operations, and where they are
    no constant.
    """
    return constant_of(node.input_value(1)) if node.get_type_name() == "Convolution" else None


def scaled_weights(weights: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weights ``(O, C, h, w)`` for inputs that were divided by ``scale`` ``(C,)``, and how far
    those of each output channel reach, ``(O, 1, 1, 1)``.
    """
    scaled = (weights * scale.reshape(1, -1, 1, 1)).astype(np.float32)
    limits = np.abs(scaled).max(axis=(1, 2, 3), keepdims=True)
    return scaled, np.maximum(limits, 1e-12).astype(np.float32)


def centers_bias(weights: FloatArray, center: FloatArray) -> NDArray[np.float64]:
    """What the centers ``(C,)`` take away from each output channel ``(O,)``."""
    # Summed in float64 because its terms cancel.
    return weights.sum(axis=(2, 3), dtype=np.float64) @ center.astype(np.float64)


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
    for maps in run_inside(network, normalization, images, sources):
        for name, values in zip(samples, maps, strict=True):
            flat = values.reshape(values.shape[0], -1)  # (C, places)
            count = min(SAMPLES_PER_IMAGE, flat.shape[1])
            places = generator.integers(0, flat.shape[1], count)
            # A sample misses the extremes, which the range needs.
            extremes = np.stack([flat.min(axis=1), flat.max(axis=1)], axis=1)
            samples[name].append(np.concatenate([flat[:, places], extremes], axis=1))
    return {name: np.concatenate(parts, axis=1) for name, parts in samples.items()}


def run_inside(
    network: Model,
    normalization: Normalization,
    images: NDArray[np.uint8],
    sources: Sequence[Output],
) -> Iterable[list[FloatArray]]:
    """For each image the maps ``(C, H, W)`` of inner values.

    The network is changed: its inner values become outputs.
    """
    # Two layers may share a value, and it may be an output of the network already.
    network.add_outputs(list({source_key(source): source for source in sources}.values()))
    places = {source_key(node.input_value(0)): i for i, node in enumerate(network.get_results())}
    order = [places[source_key(source)] for source in sources]

    folded = net.fold_normalization(network, normalization)
    compiled = net.core().compile_model(folded, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    for image in images:
        request.infer({0: image[None]})
        yield [request.get_output_tensor(place).data[0] for place in order]


def source_key(source: Output) -> tuple[str, int]:
    """The same for the same value of a network."""
    return source.get_node().get_name(), source.get_index()


# ---- choosing


def ranges_from(network: Model, samples: Samples) -> dict[str, LayerRanges]:
    """The ranges of the convolutions whose inputs were sampled."""
    # Convolutions that read the same map, in the order of the network.
    readers: dict[tuple[str, int], list[Node]] = {}
    for node in dense_convolutions(network):
        if node.get_friendly_name() in samples:
            readers.setdefault(source_key(node.input_value(0)), []).append(node)

    ranges = {}
    for nodes in readers.values():
        shared = _ranges_of(samples[nodes[0].get_friendly_name()], nodes)
        for node in nodes:
            outputs = node.output(0).get_partial_shape()[1].get_length()
            correction = np.zeros(outputs, np.float32)
            ranges[node.get_friendly_name()] = replace(shared, correction=correction)
    return ranges


def _ranges_of(values: FloatArray, readers: Sequence[Node]) -> LayerRanges:
    """The ranges for all convolutions that read the values ``(C, n)``, without corrections."""
    # The typical value of each channel, and how far it reaches to either side.
    center = np.zeros(len(values), np.float32)
    if not any(_pads(node) for node in readers):
        center = np.median(values, axis=1).astype(np.float32)
    low = np.percentile(values, 100 - RANGE_PERCENTILE, axis=1) - center
    high = np.percentile(values, RANGE_PERCENTILE, axis=1) - center
    reach = np.maximum(np.maximum(high, -low), 1e-4)

    # How strongly the weights read each channel: (O, C, h, w) to (C,).
    weights = [found for found in map(weights_of, readers) if found is not None]
    strength = np.max([np.abs(each).max(axis=(0, 2, 3)) for each in weights], axis=0)
    scale = reach**BALANCE / np.maximum(strength, 1e-6) ** (1 - BALANCE)
    scale /= np.exp(np.log(scale).mean())  # around 1

    # One range for all channels, in which 0 is one of the levels: padding stays exact.
    least = min(float((low / scale).min()), 0.0)
    most = max(float((high / scale).max()), 1e-4)
    step = (most - least) / (LEVELS - 1)
    zero = round(-least / step)
    ends = -zero * step, (LEVELS - 1 - zero) * step
    return LayerRanges(center, scale.astype(np.float32), *ends, np.zeros(0, np.float32))
