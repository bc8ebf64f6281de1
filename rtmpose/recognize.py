"""What a model file is that neither zoo nor card describes: by its layers, shapes and name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from rtmpose.errors import ModelError
from rtmpose.model_card import Codec, CodecKind, ModelCard, Normalization
from rtmpose.onnx_file import onnx_inputs, onnx_outputs
from rtmpose.ops import rtmo, yolo
from rtmpose.ops.detector_outputs import READ_FORMS

log = logging.getLogger(__name__)

Shape = tuple[int | None, ...]
NamedShapes = Sequence[tuple[str, Shape]]

RTMDET_PIXELS = Normalization((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), "bgr")
RAW_PIXELS = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bgr")
UNIT_PIXELS = Normalization((0.0, 0.0, 0.0), (255.0, 255.0, 255.0), "rgb")
"""RGB from 0 to 1: what the YOLO families apart from YOLOX are trained on."""

# Names of layers that exports keep, and the family they belong to.
MARKERS: Mapping[bytes, tuple[CodecKind, Normalization, int]] = {
    b"rtm_cls": ("rtmdet", RTMDET_PIXELS, 320),
    b"multi_level_conv": ("yolox", RAW_PIXELS, 416),
}


def recognize_detector(path: Path) -> ModelCard:
    """A card for a detector: from layer names in it or its file name, else from its outputs.

    Raises:
        ModelError: it is a model of another kind, or nothing tells what it is.
    """
    # Checked first, for an error that says what such a file is good for.
    content = path.read_bytes()
    is_onnx = path.suffix.lower() == ".onnx"
    inputs = onnx_inputs(content) if is_onnx else []
    outputs = onnx_outputs(content) if is_onnx else []
    if rtmo.is_layout([shape for _, shape in outputs], [name for name, _ in outputs]):
        raise ModelError(
            f"{path} is a one-stage model: it finds people and keypoints by itself; give it as the"
            " pose model, without a detector"
        )

    # Names of layers count more than the file name, but both are accepted.
    name = path.name.lower()
    for marker, (kind, pixels, size) in MARKERS.items():
        if marker in content or kind in name:
            log.info("%s is not in the zoo; taken for a %s detector", path.name, kind)
            return ModelCard(path.name, "detection", kind, (size, size), pixels, Codec(kind))

    # Shapes that only one family has.
    size_wh = _input_size(inputs)
    form = yolo.form_of(outputs[0][1], size_wh) if len(outputs) == 1 else None
    if form is None and "yolo" in name:
        form = "anchors"
    if form is not None:
        family: CodecKind = "yolox" if form == "cells" and "yolo" not in name else "yolo"
        pixels = RAW_PIXELS if family == "yolox" else UNIT_PIXELS
        log.warning(
            "%s is not in the zoo; taken for a %s detector by its outputs, which takes %s",
            path.name,
            "YOLOX" if family == "yolox" else "YOLO",
            "BGR from 0 to 255" if family == "yolox" else "RGB from 0 to 1",
        )
        return ModelCard(path.name, "detection", family, size_wh, pixels, Codec(family))
    raise ModelError(
        f"{path} is not in the zoo, and nothing in it shows an RTMDet or YOLOX detector, or"
        f" another YOLO: it takes"
        f" {shapes_text(inputs)} and returns {shapes_text(outputs)}. Read are {READ_FORMS}. Put"
        " rtmdet, yolox or yolo into its file name if it is one (which says how pixels go in), or"
        f" describe it in {path.name}.card.json"
    )


def recognize_one_stage(path: Path) -> ModelCard | None:
    """A card for a one-stage model, by its outputs; None for any other file."""
    if path.suffix.lower() != ".onnx":
        return None
    content = path.read_bytes()
    outputs = onnx_outputs(content)
    if rtmo.is_layout([shape for _, shape in outputs], [name for name, _ in outputs]):
        return ModelCard(path.name, "body", "rtmo", (0, 0), RAW_PIXELS, Codec("rtmo"))

    # One column for each cell: box, score, and three numbers for each keypoint.
    size_wh = _input_size(onnx_inputs(content))
    if len(outputs) != 1 or len(outputs[0][1]) != 3:
        return None
    _, rows, _ = outputs[0][1]
    form = yolo.form_of(outputs[0][1], size_wh)
    if form not in ("people", "channels-first") or rows is None or rows < 8 or (rows - 5) % 3:
        return None
    log.warning(
        "%s is not in the zoo; taken for a YOLO pose model by its outputs, which takes RGB from 0"
        " to 1",
        path.name,
    )
    return ModelCard(path.name, "body", "yolo-pose", size_wh, UNIT_PIXELS, Codec("yolo-pose"))


def shapes_text(values: NamedShapes) -> str:
    """Names and shapes in words for errors; ``?`` marks a dimension that may vary."""
    if not values:
        return "nothing that can be read"
    return ", ".join(
        f"{name} ({', '.join('?' if size is None else str(size) for size in shape)})"
        for name, shape in values
    )


def _input_size(inputs: NamedShapes) -> tuple[int, int]:
    """Width and height that the only input declares, channels first or last."""
    default = yolo.DEFAULT_SIDE
    if len(inputs) != 1 or len(inputs[0][1]) != 4:
        return default, default
    shape = inputs[0][1]
    height, width = shape[1:3] if shape[3] == 3 and shape[1] != 3 else shape[2:]
    return width or default, height or default
