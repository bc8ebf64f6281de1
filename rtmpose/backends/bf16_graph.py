"""The changes that make a network insensitive to the rounding of bfloat16.

Subtract each input channel's typical value c (its median over real crops) before a 1x1 convolution
with weights W, and add W c to its bias. The biases themselves must not be rounded: in one channel
of RTMPose-s, 11.71 rounded to 11.69 moves everything behind it, which costs up to 1 AP. Where c is
subtracted, it is moved a little, so that the bias is a number that bf16 has; elsewhere biases are
kept in fp32, which takes time. The function stays the same; only the rounding changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import openvino_network as net
from rtmpose.model_card import Normalization
from rtmpose.types import FloatArray

if TYPE_CHECKING:
    from openvino import Input, Model, Node, Output

Medians = Mapping[str, FloatArray]
"""By name of a convolution: one value per input channel."""

SAMPLES_PER_CROP = 256
"""Places of a feature map that are looked at in each crop."""

SMALLEST_DIRECTION = 1e-3
"""Directions in which weights pass on less than this share of what they pass on in their main one
are left alone when a median is moved: it would have to be moved far."""

HARMLESS = 2**-12
"""What may be rounded away from a bias, as a share of the largest one of its convolution; bf16
rounds away up to 2**-9."""

NO_LIMIT = 1e30
"""More than any value of a network, and less than what the engine knows to have no effect."""


def measure_medians(
    network: Model, normalization: Normalization, crops: NDArray[np.uint8]
) -> dict[str, FloatArray]:
    """Median of every input channel of every 1x1 convolution over the crops ``(N, h, w, 3)``.

    The network is changed: its inner values become outputs.
    """
    # Two convolutions may share an input; it is measured once.
    readers: dict[tuple[str, int], list[str]] = {}
    sources: dict[tuple[str, int], Output] = {}
    for node in pointwise_convolutions(network):
        source = node.input_value(0)
        key = (source.get_node().get_name(), source.get_index())
        readers.setdefault(key, []).append(node.get_friendly_name())
        sources[key] = source

    # Make these inputs outputs of the network.
    first = len(network.outputs)
    network.add_outputs(list(sources.values()))
    folded = net.fold_normalization(network, normalization)
    compiled = net.core().compile_model(folded, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()

    # Some random places of each feature map do for a median.
    samples: dict[tuple[str, int], list[FloatArray]] = {key: [] for key in sources}
    generator = np.random.default_rng(0)
    # The seed is fixed: a calibration repeated gives the same medians.
    for crop in crops:
        request.infer({0: crop[None]})
        for i, key in enumerate(sources):
            tensor = request.get_output_tensor(first + i).data
            values = tensor[0].reshape(tensor.shape[1], -1)  # (C, places), of one crop
            count = min(SAMPLES_PER_CROP, values.shape[1])
            places = generator.integers(0, values.shape[1], count)
            samples[key].append(values[:, places].copy())

    # Convolutions with the same input share the median.
    medians = {}
    for key, parts in samples.items():
        median = np.median(np.concatenate(parts, axis=1), axis=1).astype(np.float32)  # (C,)
        for name in readers[key]:
            medians[name] = median
    return medians


def medians_fit(network: Model, medians: Medians) -> bool:
    """Whether there is a 1x1 convolution with as many input channels for each of the medians."""
    channels = {
        node.get_friendly_name(): node.input_value(1).get_partial_shape().to_shape()[1]
        for node in pointwise_convolutions(network)
    }
    return all(len(median) == channels.get(name) for name, median in medians.items())


def subtract_medians(network: Model, medians: Medians) -> int:
    """Put ``x - c`` before each named 1x1 convolution and ``+ W c`` behind it, in place.

    Returns:
        The number of convolutions changed.
    """
    from openvino import opset13 as ops

    changed = 0
    for node in pointwise_convolutions(network):
        center = medians.get(node.get_friendly_name())
        kernel = constant_of(node.input_value(1))
        if center is None or kernel is None:
            continue

        weights = kernel[:, :, 0, 0].astype(np.float64)  # (O, C)
        addition = _bias_addition(node) if _is_read_once(node) else None
        old_bias = _bias_of(addition)
        if old_bias is None:  # then the new one is added before whatever is behind
            addition, old_bias = None, np.zeros(len(weights))
        center, bias = _moved(center, weights, old_bias)

        # Broadcast over batch, height and width.
        shape = (1, -1, 1, 1)
        targets = node.output(0).get_target_inputs()  # before the addition becomes one of them

        # x - c in front of the convolution ...
        shifted = ops.subtract(node.input_value(0), ops.constant(center.reshape(shape)))
        node.input(0).replace_source_output(shifted.output(0))

        # ... and W c behind it, together with the bias.
        constant = ops.constant(bias.reshape(shape))
        if addition is not None:
            other = addition.get_node().input(1 - addition.get_index())
            other.replace_source_output(constant.output(0))
        else:
            added = ops.add(node.output(0), constant)
            for target in targets:
                target.replace_source_output(added.output(0))
        changed += 1

    # Shapes do not change, but the engine must know the new nodes.
    network.validate_nodes_and_infer_types()
    return changed


def keep_biases(network: Model) -> int:
    """Keep the biases of depthwise and 1x1 convolutions in fp32, in place, where rounding would
    change them.

    The engine makes the addition behind a convolution part of it, and rounds what is added to bf16
    with the weights. Behind an operation that changes nothing it is computed before the result is
    rounded, which takes a little time. Convolutions in 8 bits keep theirs anyway.

    Returns:
        The number of convolutions changed.
    """
    from openvino import opset13 as ops

    changed = 0
    for node in network.get_ordered_ops():
        # Only convolutions whose addition the engine would fuse.
        kind = node.get_type_name()
        pointwise = kind == "Convolution" and _kernel(node) == [1, 1]
        if not pointwise and kind != "GroupConvolution":
            continue
        if node.input_value(1).get_node().get_type_name() == "FakeQuantize":  # in 8 bits
            continue
        addition = _bias_addition(node)
        if addition is not None and not _survives_rounding(_bias_of(addition)):
            # A clamp without effect keeps the addition apart.
            unchanged = ops.clamp(node.output(0), -NO_LIMIT, NO_LIMIT)
            addition.replace_source_output(unchanged.output(0))
            changed += 1
    network.validate_nodes_and_infer_types()
    return changed


def pointwise_convolutions(network: Model) -> list[Node]:
    """The 1x1 convolutions that read a feature map; not those of a single row of it."""
    # Axis 2 is the height: with 1 it is no feature map.
    return [
        node
        for node in network.get_ordered_ops()
        if node.get_type_name() == "Convolution"
        and _kernel(node) == [1, 1]
        and node.input_value(0).get_partial_shape()[2] != 1
    ]


# ---- biases


def _moved(
    center: FloatArray, weights: NDArray[np.float64], bias: NDArray[np.float64]
) -> tuple[FloatArray, FloatArray]:
    """A center ``(C,)`` close to the given one, and the bias ``(O,)`` that goes with it: W c and
    what the convolution has, for weights ``(O, C)``. Rounding hardly changes this bias, unless
    there are more outputs than inputs.
    """
    # Summed in float64, because the terms of W c cancel.
    wanted = weights @ center.astype(np.float64) + bias
    missing = round_to_bf16(wanted) - wanted
    # The smallest change that moves the bias to the nearest numbers of bf16.
    change = np.linalg.lstsq(weights, missing, rcond=SMALLEST_DIRECTION)[0]
    moved = (center + change).astype(np.float32)
    return moved, (weights @ moved.astype(np.float64) + bias).astype(np.float32)


def _bias_addition(convolution: Node) -> Input | None:
    """Where the addition behind a convolution reads its result; None where there is not one."""
    # Other readers of the output may ask for its shape only.
    readers = convolution.output(0).get_target_inputs()
    additions = [r for r in readers if r.get_node().get_type_name() == "Add"]
    return additions[0] if len(additions) == 1 else None


def _is_read_once(convolution: Node) -> bool:
    """Whether one operation alone reads the values of the result."""
    readers = [r.get_node().get_type_name() for r in convolution.output(0).get_target_inputs()]
    return len([kind for kind in readers if kind != "ShapeOf"]) == 1


def _bias_of(addition: Input | None) -> NDArray[np.float64] | None:
    """What is added, ``(O,)``; None where that is not one constant for each channel."""
    if addition is None:
        return None
    added = addition.get_node().input_value(1 - addition.get_index())
    shape = net.dims_of(added.get_partial_shape())
    # Readers of files put a reshape between.
    if added.get_node().get_type_name() == "Reshape":
        added = added.get_node().input_value(0)
    values = constant_of(added)
    if values is None or len(shape) != 4 or shape != (1, values.size, 1, 1):
        return None
    return values.reshape(-1).astype(np.float64)


def _survives_rounding(bias: NDArray[np.float64] | None) -> bool:
    if bias is None:
        return False
    rounded_away = np.abs(round_to_bf16(bias) - bias).max()
    return bool(rounded_away <= HARMLESS * np.abs(bias).max())


def round_to_bf16(values: NDArray[np.floating]) -> FloatArray:
    """The nearest numbers of bfloat16, as float32; ties to even."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    kept = (bits + np.uint32(0x7FFF) + even) & np.uint32(0xFFFF0000)
    return kept.view(np.float32)


def _kernel(convolution: Node) -> list[int]:
    """Height and width of the weights."""
    return list(convolution.input_value(1).get_partial_shape().to_shape()[-2:])


def constant_of(output: Output) -> NDArray[np.float32] | None:
    """The data of a constant, also through a conversion from half precision."""
    # Files in half precision store their constants as fp16, followed by a conversion.
    node = output.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.asarray(node.data, np.float32) if node.get_type_name() == "Constant" else None
