"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

POSE = "rtmpose-s-finetuned"
"""The default; :data:`rtmpose.pipeline.DEFAULT_POSE_MODEL`, which would load the engines for
``--help``.
"""
DETECTOR = "rtmdet-nano-finetuned"
"""Likewise :data:`rtmpose.pipeline.DEFAULT_DETECTOR`."""
Pose = Annotated[
    str, typer.Option(help="Pose model: a name from `rtmpose models list`, an .onnx file or URL.")
]
DetectorName = Annotated[
    str,
    typer.Option(
        help=(
            "Detector: a name, an .onnx file or URL, or 'none' to take each whole image as one"
            " person."
        )
    ),
]
Backend = Annotated[str, typer.Option(help="Engine: auto, onnxruntime or openvino.")]
Device = Annotated[
    str,
    typer.Option(
        help=(
            "auto, cpu, cuda, cuda:1, tensorrt (ONNX Runtime), gpu, npu (OpenVINO). Never falls"
            " back."
        )
    ),
]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes all cores.")]
Spinning = Annotated[
    bool,
    typer.Option(
        help="Let idle ONNX Runtime threads burn CPU: a little faster alone, far slower in company."
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help=(
            "auto, fp32, or bf16 (OpenVINO on CPUs that have it; the model is prepared once for"
            " it)."
        )
    ),
]
