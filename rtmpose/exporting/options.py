"""What ``rtmpose export`` can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.ranges import BATCH, FRACTION, OPSET, Range, check_fields, check_flags, check_length

Target = Literal["onnx", "openvino", "ncnn", "tensorrt", "coreml", "sdk", "pipeline", "triton"]
ExportPrecision = Literal["fp32", "fp16", "int8"]
TARGETS: tuple[Target, ...] = get_args(Target)
PRECISIONS: tuple[ExportPrecision, ...] = get_args(ExportPrecision)
EXPORTED_SIDE = Range(1, 8192, whole=True)

OPSET_TARGETS: tuple[Target, ...] = ("onnx", "tensorrt")


@dataclass(frozen=True)
class ExportOptions:
    """What to export to, and how.

    Attributes:
        to: The target, one of :data:`TARGETS`.
        precision: One of :data:`PRECISIONS`; None for the target's usual one (fp16 for ncnn and
            Core ML, else fp32).
        batch: Fixed number of images, or None for any number (1 where the target supports nothing
            else).
        input_wh: Another input size; detectors, heat maps and classifiers only.
        normalize: For ``onnx``: the input is BGR uint8 images.
        decode: For ``onnx``: the outputs are keypoints and scores.
        nms: For detectors: non-maximum suppression inside the file.
        opset: For ``onnx`` and ``tensorrt``: version of the operators, such as 12; None for the
            newest that engines of the last years read.
        half_weights: For ``onnx`` in fp32: a file of half the size, whose weights are stored as
            float16.
        detector: For ``pipeline`` and ``triton``: the detector to join.
        detector_card: Describes a detector's file that does not say what it is.
        score_thr: For ``pipeline`` and ``triton``: lowest box score.
        calibrate: For ``int8``: folder of photos; None for the package's own few.
        data: A COCO keypoint set: AP before and after goes into the report.
        force: Keep a file that fails its verification.

    Raises:
        InputError: an unknown target or precision, or options that do not go together.
    """

    to: Target
    precision: ExportPrecision | None = None
    batch: int | None = None
    input_wh: tuple[int, int] | None = None
    normalize: bool = False
    decode: bool = False
    nms: bool = True
    half_weights: bool = False
    opset: int | None = None
    detector: str = "rtmdet-nano-finetuned"
    detector_card: ModelCard | None = None
    score_thr: float = 0.3
    calibrate: Path | None = None
    data: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        # Each value by itself.
        if self.to not in TARGETS:
            raise InputError(f"unknown target {self.to!r}; use {', '.join(TARGETS)}")
        if self.precision is not None and self.precision not in PRECISIONS:
            raise InputError(f"unknown precision {self.precision!r}; use {', '.join(PRECISIONS)}")
        if self.input_wh is not None:
            check_length(self, "input_wh", (2,), "width and height")
        check_fields(
            self,
            batch=BATCH.optional(),
            input_wh=EXPORTED_SIDE.optional(),
            score_thr=FRACTION,
            opset=OPSET.optional(),
        )
        check_flags(self, "normalize", "decode", "nms", "half_weights", "force")

        # Combinations that do not go together.
        if self.precision == "int8" and self.to not in ("onnx", "openvino"):
            raise InputError(f"int8 is for onnx and openvino, not for {self.to}")
        if self.precision == "int8" and (self.normalize or self.decode):
            raise InputError(
                "int8 takes and returns plain tensors: leave out --normalize and --decode"
            )
        if self.half_weights and (self.to != "onnx" or self.chosen_precision != "fp32"):
            raise InputError(
                "--half-weights is for ONNX files that are computed in fp32: leave out --to and"
                " --precision"
            )
        if self.opset is not None and self.to not in OPSET_TARGETS:
            raise InputError(f"--opset is for {' and '.join(OPSET_TARGETS)}, not for {self.to}")

    @property
    def chosen_precision(self) -> ExportPrecision:
        """The precision, or the target's usual one."""
        if self.precision is not None:
            return self.precision
        return "fp16" if self.to in ("ncnn", "coreml") else "fp32"
