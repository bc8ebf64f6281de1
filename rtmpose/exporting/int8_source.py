"""What an ONNX file in 8 bits is made from: a file in float32, and ranges of its convolutions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rtmpose.backends.int8_preparation import measure_ranges, stored_ranges
from rtmpose.backends.int8_ranges import Ranges
from rtmpose.backends.openvino_network import read_network
from rtmpose.errors import ModelError
from rtmpose.exporting.options import ExportOptions
from rtmpose.exporting.quantize import calibration_images
from rtmpose.exporting.source import ExportSource
from rtmpose.model_card import ModelCard
from rtmpose.zoo import resolve

WriteOnnx = Callable[[ExportOptions, str], Path]
"""Writes the float32 file with these options and under this name."""


def int8_source(
    model: str | Path | ModelCard,
    source: ExportSource,
    options: ExportOptions,
    write_onnx: WriteOnnx,
    progress: Callable[[str], None],
) -> tuple[Path, Ranges]:
    """The float32 file, and the ranges of its convolutions.

    Args:
        model: What the user named.
        source: What it is.
        options: How it is exported.
        write_onnx: Makes the file where no published one serves.
        progress: Told of each step.

    Raises:
        InputError: there is nothing to calibrate on.
        MissingDependencyError: OpenVINO, which measures, is not installed.
    """
    found = _prepared(model, options)
    if found is not None:
        progress("the model is prepared for int8: its ranges are taken")
        return found

    # Ranges do not depend on the batch, and are measured image by image.
    card = source.card
    plain = replace(options, precision=None)
    images = calibration_images(card, options.calibrate)
    progress(f"calibrating on {len(images)} {'crops' if card.is_pose else 'frames'} ...")
    measured = write_onnx(replace(plain, batch=None), "plain.onnx")
    ranges = measure_ranges(measured, card, images)
    if options.batch in (None, 1):
        return measured, ranges
    return write_onnx(plain, "plain_batch.onnx"), ranges


def _prepared(model: str | Path | ModelCard, options: ExportOptions) -> tuple[Path, Ranges] | None:
    """The model's own ONNX file and its ranges, where it is prepared and exported as it is."""
    changed = (options.batch, options.input_wh, options.opset, options.calibrate)
    if any(value is not None for value in changed) or not options.nms:
        return None
    try:
        file, _ = resolve(model)
    except ModelError:  # published as a checkpoint only
        return None
    if file.suffix.lower() != ".onnx":
        return None
    stored = stored_ranges(file, read_network(file))
    return None if stored is None else (file, stored[0])
