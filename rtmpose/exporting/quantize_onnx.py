"""8-bit quantization for ONNX Runtime: QuantizeLinear / DequantizeLinear pairs (QDQ)."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from rtmpose.exporting.onnx_edits import embed_card
from rtmpose.exporting.quantize import QuantizationRecord, normalized_inputs
from rtmpose.model_card import ModelCard


class _CalibrationReader:
    """Hands out inputs one by one, as ONNX Runtime's CalibrationDataReader does."""

    def __init__(self, input_name: str, card: ModelCard, images: NDArray[np.uint8]) -> None:
        self._input_name = input_name
        self._inputs = normalized_inputs(card, images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input; None behind the last."""
        batch = next(self._inputs, None)
        return None if batch is None else {self._input_name: batch}


def quantize_onnx(
    onnx_file: Path, card: ModelCard, images: NDArray[np.uint8], out: Path, float_layers: int = 0
) -> QuantizationRecord:
    """Write an ONNX file with QuantizeLinear / DequantizeLinear pairs around its convolutions.

    Args:
        onnx_file: The float network, normalized pixels in.
        card: Its description.
        images: Calibration crops or frames.
        out: The file.
        float_layers: How many of the first convolutions stay in float, next to the attention and
            the last layer.

    Returns:
        A record of what was done.
    """
    from onnxruntime import quantization

    # Convolutions only; everything else stays in float.
    model = onnx.load(str(onnx_file))
    reader = _CalibrationReader(model.graph.input[0].name, card, images)
    convolutions = [n.name for n in model.graph.node if n.op_type == "Conv"]
    with contextlib.redirect_stdout(None):  # the quantizer prints its progress
        quantization.quantize_static(
            str(onnx_file),
            str(out),
            reader,
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            nodes_to_quantize=convolutions[float_layers:],
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # One scale cannot hold what a convolution puts out; its inputs, equalized, can be held.
            # One outlier among 300 crops would stretch a range for all: ranges follow a moving
            # average.
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["Conv"],
                "CalibMovingAverage": True,
                "CalibMovingAverageConstant": 0.01,
            },
        )

    # The quantizer writes a file without the card.
    written = onnx.load(str(out))
    embed_card(written, card)
    onnx.save(written, str(out))
    return QuantizationRecord(len(images), len(convolutions), tuple(convolutions[:float_layers]))
