"""8-bit quantization in an ONNX file: QuantizeLinear / DequantizeLinear pairs (QDQ).

What :mod:`rtmpose.backends.int8_graph` does to a network in memory, as a file for other programs:
each channel of a convolution's input has a range of its own, which a multiplication and an addition
bring to the one that all share. Engines that know the pairs, such as OpenVINO, make one step of the
three, and compute the convolution in 8 bits. ONNX Runtime's own CPU kernels compute in float what
lies between the pairs: the same result, no faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from rtmpose.backends.int8_ranges import (
    LEVELS,
    WEIGHT_LIMIT,
    LayerRanges,
    Ranges,
    centers_bias,
    scaled_weights,
)
from rtmpose.errors import InputError, ModelError
from rtmpose.exporting.onnx_edits import embed_card
from rtmpose.model_card import ModelCard
from rtmpose.types import FloatArray

OLDEST_OPSET = 13
"""Before it, weights had one scale for all output channels."""


def quantize_onnx(onnx_file: Path, card: ModelCard, ranges: Ranges, out: Path) -> int:
    """Write an ONNX file whose convolutions with ranges are computed in 8 bits.

    Args:
        onnx_file: The float network, normalized pixels in.
        card: Its description.
        ranges: From :mod:`rtmpose.backends.int8_preparation`, of this very file.
        out: The file.

    Returns:
        The number of convolutions in 8 bits.

    Raises:
        InputError: the operators of the file are too old for it.
        ModelError: none of its convolutions has ranges.
    """
    model = onnx.load(str(onnx_file))
    opset = max((entry.version for entry in model.opset_import if not entry.domain), default=0)
    if opset < OLDEST_OPSET:
        raise InputError(f"int8 needs --opset {OLDEST_OPSET} or newer, not {opset}")
    writer = _Writer(model)
    changed = writer.quantize(ranges)
    if not changed:
        raise ModelError(f"{onnx_file.name} has no convolutions that gain from int8")
    embed_card(model, card)
    onnx.save(model, str(out))
    return changed


@dataclass
class _Writer:
    """A model whose nodes are written anew.

    Attributes:
        model: The model.
        weights: Its constants by name, also those that a Cast turns into float32.
        quantizers: By what they read and how: the values behind quantizers.
    """

    model: ModelProto
    weights: Mapping[str, TensorProto] = field(init=False)
    quantizers: dict[tuple[object, ...], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weights = {constant.name: constant for constant in self.model.graph.initializer}
        for node in self.model.graph.node:
            if node.op_type == "Cast" and node.input[0] in weights:
                weights[node.output[0]] = weights[node.input[0]]
        self.weights = weights

    def quantize(self, ranges: Ranges) -> int:
        """Put the pairs into the model; how many convolutions have them."""
        graph = self.model.graph
        nodes: list[NodeProto] = []
        changed = 0
        for node in graph.node:
            layer = _ranges_of(node, ranges)
            if layer is not None and node.input[1] in self.weights:
                nodes += self._quantized(node, layer)
                changed += 1
            else:
                nodes.append(node)

        # Conversions and constants that nobody reads any more.
        read = {name for node in nodes for name in node.input}
        read |= {output.name for output in graph.output}
        nodes = [n for n in nodes if n.op_type != "Cast" or n.output[0] in read]
        read = {name for node in nodes for name in node.input}
        constants = [constant for constant in graph.initializer if constant.name in read]
        del graph.node[:]
        del graph.initializer[:]
        graph.node.extend(nodes)
        graph.initializer.extend(constants)
        return changed

    def _quantized(self, node: NodeProto, layer: LayerRanges) -> list[NodeProto]:
        """A convolution with the pairs before its inputs."""
        name = node.output[0]
        nodes: list[NodeProto] = []
        key = (node.input[0], layer.low, layer.high, layer.scale.tobytes())
        if key not in self.quantizers:
            nodes += self._quantizer(node.input[0], name, layer)
            self.quantizers[key] = nodes[-1].output[0]

        # Weights that undo the scales, with a step for each output channel.
        weights = self._value(node.input[1])
        levels, steps = _levels(layer, weights)
        zeros = np.zeros(len(steps), np.int8)
        parts = [
            self._constant(f"{name}_{part}", values)
            for part, values in (("levels", levels), ("steps", steps), ("zeros", zeros))
        ]
        nodes.append(_node("DequantizeLinear", parts, f"{name}_weights", axis=0))

        # The bias gets what the centers and the rounding took away.
        bias = centers_bias(weights, layer.center) + layer.correction
        if len(node.input) > 2:
            bias += self._value(node.input[2])
        convolution = NodeProto()
        convolution.CopyFrom(node)
        del convolution.input[:]
        convolution.input.extend(
            [
                self.quantizers[key],
                nodes[-1].output[0],
                self._constant(f"{name}_bias", bias.astype(np.float32)),
            ]
        )
        return [*nodes, convolution]

    def _quantizer(self, source: str, name: str, layer: LayerRanges) -> list[NodeProto]:
        """The steps from a feature map to its values in 8 bits; the last one has them."""
        # Every channel's own range to the one that all share.
        shape = (1, -1, 1, 1)
        factor = self._constant(f"{name}_factor", (1 / layer.scale).reshape(shape))
        nodes = [_node("Mul", [source, factor], f"{name}_scaled")]
        if layer.center.any():
            offset = (-layer.center / layer.scale).reshape(shape)
            offset_name = self._constant(f"{name}_offset", offset)
            nodes.append(_node("Add", [nodes[-1].output[0], offset_name], f"{name}_shifted"))

        # Zero is one of the levels.
        step = np.float32((layer.high - layer.low) / (LEVELS - 1))
        pair = [
            self._constant(f"{name}_step", np.array(step)),
            self._constant(f"{name}_zero", np.array(round(-layer.low / step), np.uint8)),
        ]
        nodes.append(_node("QuantizeLinear", [nodes[-1].output[0], *pair], f"{name}_quantized"))
        nodes.append(_node("DequantizeLinear", [nodes[-1].output[0], *pair], f"{name}_input"))
        return nodes

    def _value(self, name: str) -> FloatArray:
        return numpy_helper.to_array(self.weights[name]).astype(np.float32)

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name


def _node(kind: str, inputs: list[str], output: str, **attributes: int) -> NodeProto:
    return helper.make_node(kind, inputs, [output], name=output, **attributes)


def _ranges_of(node: NodeProto, ranges: Ranges) -> LayerRanges | None:
    """The ranges of a convolution; None for other operations and where there are none."""
    if node.op_type != "Conv":
        return None
    # OpenVINO splits a convolution from its bias, and names one without a name by its output.
    title = node.name or node.output[0]
    return ranges.get(f"{title}/WithoutBiases") or ranges.get(title)


def _levels(layer: LayerRanges, weights: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Weights ``(O, C, h, w)`` in levels, and the step between levels ``(O,)``."""
    scaled, limits = scaled_weights(weights, layer.scale)
    steps = (limits / WEIGHT_LIMIT).astype(np.float32)
    levels = np.rint(scaled / steps).clip(-WEIGHT_LIMIT, WEIGHT_LIMIT)
    return levels.astype(np.int8), steps.reshape(-1)
