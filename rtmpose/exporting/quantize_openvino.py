"""8-bit quantization for OpenVINO, by NNCF."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.base import BackendOptions
from rtmpose.backends.openvino import OpenVinoBackend
from rtmpose.backends.openvino_import import no_telemetry
from rtmpose.backends.openvino_network import read_network
from rtmpose.errors import MissingDependencyError
from rtmpose.exporting.quantize import QuantizationRecord, normalized_inputs
from rtmpose.exporting.silence import no_logging, no_output
from rtmpose.exporting.verify import agreement, run_on
from rtmpose.model_card import ModelCard

if TYPE_CHECKING:
    from openvino import Model, Node

log = logging.getLogger(__name__)

FLOAT_STEPS = (2, 4, 8, 12)
"""How many of the most harmful layers are tried in float, one after the other."""
GOOD_ENOUGH = 0.93
"""Agreement with float on held-out crops that needs no layer in float; see
:func:`rtmpose.exporting.verify.agreement`.
"""
MIN_GAIN = 0.002
"""Agreement that more layers in float must add."""

_QUANTIZED = ("Convolution", "GroupConvolution")

Judge = Callable[["Model"], float]
"""Agreement of a quantized network with the float one, 0..1."""


def quantize_openvino(
    onnx_file: Path,
    card: ModelCard,
    images: NDArray[np.uint8],
    *,
    progress: Callable[[str], None] = log.info,
) -> tuple[Model, QuantizationRecord]:
    """Quantize the convolutions of a network to 8 bits.

    Args:
        onnx_file: The equalized float network, normalized pixels in.
        card: Its description.
        images: Calibration crops or frames ``(N, h, w, 3)``; every fourth judges.
        progress: Told of each step.

    Returns:
        The network and a record of what was done.

    Raises:
        MissingDependencyError: NNCF is not installed.
    """
    nncf = _nncf()

    # Every fourth image judges and does not calibrate. Of too few images all do both.
    judging = images[::4] if len(images) >= 8 else images
    learning = np.delete(images, np.s_[::4], axis=0) if len(images) >= 8 else images
    samples = list(normalized_inputs(card, learning))
    judge = _judge(onnx_file, card, judging)
    convolutions, others = _layers(onnx_file)

    def quantized(float_layers: Sequence[str]) -> Model:
        with _silent():
            return nncf.quantize(
                read_network(onnx_file),
                nncf.Dataset(samples),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(samples),
                fast_bias_correction=False,
                ignored_scope=nncf.IgnoredScope(
                    names=list(float_layers), types=others, validate=False
                ),
            )

    # All convolutions first; that may be good enough.
    progress(f"quantizing {len(convolutions)} convolutions ...")
    best = quantized([])
    value = judge(best.clone())
    agreements = {0: round(value, 4)}
    kept = 0

    # If that is not enough, more and more of the layers that do most damage stay in float.
    ranking: list[str] = []
    if value < GOOD_ENOUGH:
        progress(f"agreement {value:.3f}: measuring the damage of {len(convolutions)} layers ...")
        damage = _layer_damage(best, convolutions, judge)
        ranking = sorted(convolutions, key=lambda name: -damage.get(name, 0.0))
    for count in FLOAT_STEPS:
        if value >= GOOD_ENOUGH or count > len(ranking) // 2:
            break
        network = quantized(ranking[:count])
        now = judge(network.clone())
        agreements[count] = round(now, 4)
        progress(f"{count} layers in float: agreement {now:.3f}")
        if now > value + MIN_GAIN:
            best = network
            value = now
            kept = count

    # The record goes into the report next to the file.
    record = QuantizationRecord(
        len(learning), len(convolutions), tuple(ranking[:kept]), len(judging), agreements
    )
    return best, record


def _nncf() -> ModuleType:
    try:
        with _silent(), no_telemetry():
            import nncf
    except ImportError as error:
        raise MissingDependencyError(
            "int8 for OpenVINO needs nncf: pip install 'rtmpose[export]'"
        ) from error
    module: ModuleType = nncf
    return module


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """NNCF talks a lot, partly through its own progress bars."""
    with no_logging(), no_output():
        yield


def _judge(onnx_file: Path, card: ModelCard, images: NDArray[np.uint8]) -> Judge:
    """Compares networks with the float one on some images."""
    # The float network's outputs are computed once.
    options = BackendOptions("openvino", "cpu", precision="fp32")
    exact = run_on(OpenVinoBackend(onnx_file, card, options), images)

    def judge(network: Model) -> float:
        return agreement(card, exact, run_on(OpenVinoBackend(network, card, options), images))

    return judge


def _layers(onnx_file: Path) -> tuple[list[str], list[str]]:
    """Names of the convolutions, and the types of all other operations."""
    # Everything but the convolutions stays in float.
    nodes = list(read_network(onnx_file).get_ordered_ops())
    convolutions = [n.get_friendly_name() for n in nodes if n.get_type_name() in _QUANTIZED]
    types = {n.get_type_name() for n in nodes}
    return convolutions, sorted(types - {*_QUANTIZED, "Parameter", "Result", "Constant"})


def _layer_damage(network: Model, names: Sequence[str], judge: Judge) -> Mapping[str, float]:
    """By layer: how much agreement returns when its inputs and weights alone are left in float."""
    # Each layer alone is put back into float.
    base = judge(network.clone())
    damage = {}
    for name in names:
        trial = network.clone()
        for node in trial.get_ops():
            if node.get_friendly_name() == name:
                for port in range(2):  # activations and weights
                    _unquantize(node, port)
        trial.validate_nodes_and_infer_types()
        damage[name] = judge(trial) - base
    return damage


def _unquantize(node: Node, port: int) -> None:
    """Let an input of a node bypass its quantizer."""
    # The quantizer is the FakeQuantize node in front of the input.
    direct = node.input_value(port).get_node()
    source = direct
    # Weights may pass a reshape between quantizer and layer.
    while source.get_type_name() in ("Reshape", "Convert"):
        source = source.input_value(0).get_node()
    if source.get_type_name() != "FakeQuantize":
        return

    # Straight to its input, or, behind a reshape, for all that read the quantizer.
    if source is direct:
        node.input(port).replace_source_output(source.input_value(0))
    else:
        for target in source.output(0).get_target_inputs():
            target.replace_source_output(source.input_value(0))
