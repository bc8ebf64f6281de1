"""``rtmpose export`` and ``rtmpose verify``: models for other engines, proved to be the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rtmpose.errors import InputError, MissingDependencyError

CardOption = Annotated[
    str | None,
    typer.Option("--card", help="Which model of the zoo a file is, where the file does not say."),
]


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A name from `rtmpose models list`, or a .pth, .safetensors or .onnx file."
        ),
    ],
    to: Annotated[
        str, typer.Option("--to", help="onnx, openvino, ncnn, tensorrt, coreml, sdk or pipeline.")
    ] = "onnx",
    precision: Annotated[
        str | None,
        typer.Option(
            help="fp32, fp16 or int8; fp16 for ncnn and coreml unless said otherwise, else fp32."
        ),
    ] = None,
    batch: Annotated[str, typer.Option(help="'dynamic' or a number of images.")] = "dynamic",
    input_size: Annotated[
        str | None,
        typer.Option(
            help="HxW, multiples of 32, such as 192x320. Not for RTMPose: its size is trained in."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("exports"),
    normalize: Annotated[
        bool, typer.Option("--normalize", help="onnx: BGR uint8 images (N, H, W, 3) go in.")
    ] = False,
    decode: Annotated[
        bool, typer.Option("--decode", help="onnx: keypoints and scores come out.")
    ] = False,
    nms: Annotated[
        bool, typer.Option(help="Detectors: suppress doubles inside the file (batch 1).")
    ] = True,
    half_weights: Annotated[
        bool,
        typer.Option(
            "--half-weights",
            help="onnx: half the file size; weights kept as fp16, computed in fp32.",
        ),
    ] = False,
    detector: Annotated[str, typer.Option(help="pipeline: the detector to join.")] = "rtmdet-nano",
    score_thr: Annotated[
        float, typer.Option(min=0, max=1, help="pipeline: lowest box score.")
    ] = 0.3,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="int8: folder of photographs to calibrate on (300 crops are cut from them)."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="COCO keypoint set: report AP before and after.")
    ] = None,
    card: CardOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Keep a file that fails its verification.")
    ] = False,
) -> int:
    """Write a model for another engine and compare it with the original; a file that differs is not
    written.

    For example:

      rtmpose export rtmpose-s --to openvino --out exports

      rtmpose export rtmdet-nano --to onnx --input-size 192x320

      rtmpose export rtmpose-s --to pipeline --detector yolox-tiny

      rtmpose export mine.safetensors --to ncnn

    A zoo model is taken from its ONNX file where one is published, else from its checkpoint.
    """
    run = _converters()
    from rtmpose.cli.terminal import stderr_console
    from rtmpose.zoo import find

    options = run.ExportOptions(
        to=to,
        precision=precision,
        batch=_batch(batch),
        input_wh=_size(input_size),
        normalize=normalize,
        decode=decode,
        nms=nms,
        half_weights=half_weights,
        detector=detector,
        score_thr=score_thr,
        calibrate=calibrate,
        data=data,
        force=force,
    )
    with stderr_console().status("opening the model ...") as status:
        place, report = run.export(
            model,
            out,
            options,
            card=find(card) if card else None,
            progress=lambda text: status.update(text),
        )
    _show(report)
    typer.echo(f"wrote {place}")
    return 1 if report.passed is False else 0


def verify(
    model: Annotated[
        str, typer.Argument(help="The original: a name, a .pth, .safetensors or .onnx file.")
    ],
    exported: Annotated[Path, typer.Argument(help="What was made of it: .onnx, .xml or .param.")],
    card: CardOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report.")] = None,
) -> int:
    """Compare an exported file with its original on real crops; the exit status is 1 if it differs.

    Example: rtmpose verify rtmpose-s exports/rtmpose-s_body8-halpe26_256x192.xml
    """
    run = _converters()
    from rtmpose.zoo import find

    report = run.verify_file(model, exported, card=find(card) if card else None)
    _show(report)
    if json_file:
        from rtmpose.files import write_text

        write_text(json_file, report.to_json())
        typer.echo(f"wrote {json_file}")
    return 0 if report.passed else 1


def _converters() -> Any:
    try:
        from rtmpose.exporting import export as module
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("torch", "onnx", "safetensors", "onnxscript"):
            raise MissingDependencyError(
                "exporting needs torch and onnx: pip install 'rtmpose[export]'"
            ) from error
        raise
    return module


def _show(report: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    from rtmpose.exporting.verify import report_lines

    table = Table(show_header=False)
    for name, value in report_lines(report):
        table.add_row(name, value)
    Console().print(table)


def _batch(text: str) -> int | None:
    if text == "dynamic":
        return None
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"--batch takes 'dynamic' or a number from 1, not {text!r}")
    return int(text)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdigit() for p in parts):
        raise InputError(f"--input-size takes HxW such as 192x320, not {text!r}")
    return int(parts[1]), int(parts[0])
