"""From an ONNX file to OpenVINO IR."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtmpose.backends.openvino_import import load_openvino
from rtmpose.cards.io import KEY, card_to_json
from rtmpose.errors import MissingDependencyError, ModelError
from rtmpose.model_card import ModelCard

if TYPE_CHECKING:
    from openvino import Model


def write_openvino(onnx_file: Path, card: ModelCard, out: Path, *, half: bool = False) -> None:
    """Write OpenVINO IR (``.xml`` and ``.bin``).

    Args:
        onnx_file: The network.
        card: Embedded.
        out: The ``.xml`` file.
        half: Store the weights as float16; arithmetic stays the device's choice.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        ModelError: it cannot convert the file.
    """
    # OpenVINO is optional.
    try:
        openvino = load_openvino()
    except ImportError as error:
        raise MissingDependencyError(
            "this needs OpenVINO: pip install 'rtmpose[openvino]'"
        ) from error
    try:
        network = openvino.Core().read_model(onnx_file)
    except RuntimeError as error:
        raise ModelError(
            f"OpenVINO could not read {onnx_file.name}: {str(error).strip().splitlines()[-1]}"
        ) from error
    save_openvino(network, card, out, half=half)


def save_openvino(network: Model, card: ModelCard, out: Path, *, half: bool = False) -> None:
    """Save an ``openvino.Model`` with its card; arguments as :func:`write_openvino`."""
    openvino = load_openvino()

    # The card, next to the framework's facts.
    network.set_rt_info(card_to_json(card), ["framework", KEY])
    openvino.save_model(network, out, compress_to_fp16=half)
