"""Reading and changing ``openvino.Model`` objects: shapes, normalization, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtmpose.backends.base import channels_last
from rtmpose.backends.cpu import bf16_taken_away
from rtmpose.backends.openvino_import import load_openvino
from rtmpose.errors import ModelError
from rtmpose.model_card import Normalization
from rtmpose.onnx_file import onnx_flaw

if TYPE_CHECKING:
    from openvino import Core, Model, Node, PartialShape

_core: Core | None = None


# ---- the engine


def core() -> Core:
    """The process-wide OpenVINO core: creating one costs a quarter of a second.

    Raises:
        ImportError: it is not installed, or does not load.
    """
    global _core
    if _core is None:
        try:
            created = load_openvino().Core()
            created.get_versions("CPU")  # loads what computes on the CPU
        # An incomplete installation, or something else of that name.
        except (AttributeError, OSError, RuntimeError) as error:
            raise ImportError(reason(error)) from error
        # Weights are read, not mapped: a file that is written anew during a run would end it with
        # a bus error.
        created.set_property({"ENABLE_MMAP": False})
        _core = created
    return _core


def cpu_has_bf16() -> bool:
    """Whether this CPU computes bfloat16 in hardware (AVX512-BF16 or AMX)."""
    if bf16_taken_away():
        return False
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def engine_version() -> str:
    """Version and build of the engine."""
    return str(load_openvino().__version__)


# ---- reading


def read_network(path: Path) -> Model:
    """Read an ``.onnx`` or ``.xml`` file into an ``openvino.Model``.

    Raises:
        ImportError: the engine does not load.
        ModelError: it cannot be read, or does not take one image batch.
    """
    # What is no ONNX file would be tried by every reader of the engine, and these print.
    flaw = _flaw_of(path)
    if flaw:
        raise ModelError(f"{path} could not be opened as an ONNX model: {flaw}; it may be damaged")
    engine = core()
    try:
        network = engine.read_model(path)
    except Exception as error:
        raise ModelError(
            f"{path} could not be opened as an ONNX model by OpenVINO: {reason(error)}; it may be"
            " damaged"
        ) from error

    # One image batch of rank 4; other sizes may be left open.
    shapes = [i.get_partial_shape() for i in network.inputs]
    if len(shapes) != 1 or shapes[0].rank.is_dynamic or len(shapes[0]) != 4:
        raise ModelError(
            f"{path} does not take one image batch (N, 3, H, W): its inputs are"
            f" {[str(s) for s in shapes]}; it is not a model this package can run"
        )
    join_hard_swish(network)
    return network


def join_hard_swish(network: Model) -> int:
    """Turn ``x * HardSigmoid(x)`` into hard swish, in place.

    The engine (2026.4.1) makes hard swish a part of the convolution before it, but not the product,
    which exporters write for ONNX opset 13 and older: there RTMPose-s would be slower than with
    SiLU.

    Returns:
        The number of products changed.
    """
    from openvino import opset13 as ops

    changed = 0
    for gate in network.get_ordered_ops():
        if gate.get_type_name() != "HardSigmoid" or not _is_swish_gate(gate):
            continue
        source = gate.input_value(0)
        for reader in gate.output(0).get_target_inputs():
            product = reader.get_node()
            if product.get_type_name() != "Multiply":
                continue
            other = product.input_value(1 - reader.get_index())
            if (other.get_node().get_name(), other.get_index()) == (
                source.get_node().get_name(),
                source.get_index(),
            ):
                name = product.get_friendly_name()
                joined = ops.hswish(source)
                product.output(0).replace(joined.output(0))
                joined.set_friendly_name(name)
                changed += 1
    return changed


def _is_swish_gate(gate: Node) -> bool:
    """Whether a hard sigmoid is ``clip(x + 3, 0, 6) / 6``."""
    slope, offset = (gate.input_value(i).get_node() for i in (1, 2))
    if {slope.get_type_name(), offset.get_type_name()} != {"Constant"}:
        return False
    return bool(np.allclose([slope.data.item(), offset.data.item()], [1 / 6, 1 / 2], atol=1e-3))


def unpack_weights(network: Model) -> None:
    """Turn weights stored in half precision into float32, in place.

    The engine would do it for each network that it compiles, and keep a copy for each of them. Done
    before, the compiled networks share one.
    """
    from openvino import opset13 as ops

    for node in network.get_ops():
        if node.get_type_name() != "Convert":
            continue
        stored = node.input_value(0).get_node()
        packed = stored.get_type_name() == "Constant" and stored.get_element_type().is_real()
        if packed and node.get_element_type().to_string() == "f32":
            weights = np.asarray(stored.data, np.float32)
            node.output(0).replace(ops.constant(weights, shared_memory=False).output(0))


def _flaw_of(path: Path) -> str:
    if path.suffix.lower() != ".onnx":
        return ""
    try:
        return onnx_flaw(path.read_bytes())
    except OSError as error:
        return error.strerror or str(error)


def takes_pixels(network: Model) -> bool:
    """Whether normalization is inside the file already: it takes BGR uint8 ``(N, H, W, 3)``."""
    return str(network.inputs[0].get_element_type()) == "<Type: 'uint8_t'>"


def is_quantized(network: Model) -> bool:
    """Whether the network computes in 8 bits."""
    return any(node.get_type_name() == "FakeQuantize" for node in network.get_ops())


def fold_normalization(network: Model, normalization: Normalization) -> Model:
    """The network with uint8 BGR NHWC input; mean, scale and channel order become its first layers.

    A network that takes pixels already is returned as it is; any other is changed in place.
    """
    if takes_pixels(network):
        return network

    # Imported late: most calls return above.
    openvino = load_openvino()
    from openvino.preprocess import ColorFormat, PrePostProcessor

    # What comes in.
    folding = PrePostProcessor(network)
    tensor = folding.input().tensor()
    tensor.set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    tensor.set_color_format(ColorFormat.BGR)

    # What the network takes, and the steps between.
    last = channels_last(dims_of(network.inputs[0].get_partial_shape()))
    folding.input().model().set_layout(openvino.Layout("NHWC" if last else "NCHW"))
    steps = folding.input().preprocess().convert_element_type(openvino.Type.f32)
    if normalization.color == "rgb":
        steps = steps.convert_color(ColorFormat.RGB)
    steps.mean(list(normalization.mean)).scale(list(normalization.std))
    return folding.build()


# ---- shapes and metadata


def set_dims(network: Model, dims: Mapping[int, int]) -> None:
    """Fix dimensions of the input, in place: axis to size."""
    from openvino import PartialShape

    shape = network.inputs[0].get_partial_shape()
    network.reshape(PartialShape([dims.get(i, shape[i]) for i in range(4)]))


def dims_of(shape: PartialShape) -> tuple[int | None, ...]:
    """The dimensions of a shape, None where one may vary."""
    if shape.rank.is_dynamic:
        return ()
    return tuple(None if d.is_dynamic else d.get_length() for d in shape)


def metadata_of(network: Model) -> dict[str, str]:
    """The text properties embedded in the file."""
    # Networks without metadata have no such entry, and raise.
    try:
        entry = network.get_rt_info(["framework"]).value
        return {str(k): str(v.astype(str)) for k, v in entry.items()}
    except (RuntimeError, TypeError, AttributeError):
        return {}


def reason(error: Exception) -> str:
    """The most informative line of an OpenVINO exception; the first ones are names of its source
    files.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Lines of context, not the cause.
    informative = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (informative or lines or ["no reason given"])[-1]
