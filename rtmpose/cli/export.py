"""``rtmpose export`` and ``rtmpose verify``: models for other engines, verified to be the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from rtmpose.cli.groups import expand_groups
from rtmpose.cli.named_models import named_card, named_skeleton
from rtmpose.cli.options import DETECTOR, MODELS, OUTPUT, KeypointSet
from rtmpose.cli.training_options import output_folder
from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.ranges import FRACTION, OPSET

if TYPE_CHECKING:
    from rtmpose.exporting.options import ExportOptions, ExportPrecision, Target
    from rtmpose.exporting.verify import Verification

FORMAT = "Format"
PIPELINE = "Pipeline of detector and pose model"

_Model = Annotated[
    str,
    typer.Argument(
        help="A name from `rtmpose models list`, or a .pth, .safetensors or .onnx file."
    ),
]


@dataclass(frozen=True)
class FormatOptions:
    """What kind of file it becomes."""

    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="onnx, openvino, ncnn, tensorrt, coreml, sdk, pipeline or triton.",
            rich_help_panel=FORMAT,
        ),
    ] = "onnx"
    precision: Annotated[
        str | None,
        typer.Option(
            help="fp32, fp16 or int8; by default fp16 for ncnn and coreml, else fp32.",
            rich_help_panel=FORMAT,
        ),
    ] = None
    batch: Annotated[
        str, typer.Option(help="'dynamic' or a number of images.", rich_help_panel=FORMAT)
    ] = "dynamic"
    input_size: Annotated[
        str | None,
        typer.Option(
            help="HxW, multiples of 32, such as 192x320. Not for RTMPose: its size is trained in.",
            rich_help_panel=FORMAT,
        ),
    ] = None
    normalize: Annotated[
        bool,
        typer.Option(
            "--normalize",
            help="onnx: the input is BGR uint8 images (N, H, W, 3).",
            rich_help_panel=FORMAT,
        ),
    ] = False
    decode: Annotated[
        bool,
        typer.Option(
            "--decode", help="onnx: the outputs are keypoints and scores.", rich_help_panel=FORMAT
        ),
    ] = False
    nms: Annotated[
        bool,
        typer.Option(
            help="Detectors: suppress duplicates inside the file (batch 1).", rich_help_panel=FORMAT
        ),
    ] = True
    half_weights: Annotated[
        bool,
        typer.Option(
            "--half-weights",
            help="onnx: half the file size; weights stored as fp16, computed in fp32.",
            rich_help_panel=FORMAT,
        ),
    ] = False
    opset: Annotated[
        int | None,
        OPSET,
        typer.Option(
            help="onnx and tensorrt: version of the operators, for converters that know older ones"
            " only; 18 by default.",
            rich_help_panel=FORMAT,
        ),
    ] = None
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="int8: folder of images to calibrate on (at most 300 crops are cut).",
            rich_help_panel=FORMAT,
        ),
    ] = None


@dataclass(frozen=True)
class PipelineOptions:
    """The detector of a whole pipeline in one file."""

    detector: Annotated[
        str, typer.Option(help="The detector to join.", rich_help_panel=PIPELINE)
    ] = DETECTOR
    detector_card: Annotated[
        str | None,
        typer.Option(
            "--detector-card",
            metavar="NAME|FILE",
            help="What the detector's file is, where it does not say.",
            rich_help_panel=PIPELINE,
        ),
    ] = None
    box_thr: Annotated[
        float,
        FRACTION,
        typer.Option(help="Lowest score of a detected box.", rich_help_panel=PIPELINE),
    ] = 0.3


_Output = Annotated[Path, output_folder("Folder for the result and its report.")]
_Data = Annotated[
    Path | None,
    typer.Option(help="COCO keypoint set: report AP before and after.", rich_help_panel=OUTPUT),
]
_Card = Annotated[
    str | None,
    typer.Option(
        "--card",
        metavar="NAME|FILE",
        help="What a file is, where it does not say: a model of the zoo, or a .card.json file.",
        rich_help_panel=MODELS,
    ),
]
_Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Keep a file that fails its verification.", rich_help_panel=OUTPUT
    ),
]
_Original = Annotated[
    str, typer.Argument(help="The original: a name, a .pth, .safetensors or .onnx file.")
]
_Exported = Annotated[
    Path, typer.Argument(help="The exported file: an .onnx, .xml or .param file.")
]
_Json = Annotated[
    Path | None, typer.Option("--json", metavar="PATH", help="Write the report to this file.")
]


# ---- the commands


@expand_groups
def export(
    model: _Model,
    form: FormatOptions,
    joined: PipelineOptions,
    output: _Output = Path("exports"),
    data: _Data = None,
    card: _Card = None,
    skeleton: KeypointSet = None,
    force: _Force = False,
) -> int:
    """Write a model for another engine and compare it with the original; a file that differs is not
    written.

    For example:

      rtmpose export rtmpose-s --to openvino --output exports

      rtmpose export rtmdet-nano --to onnx --input-size 192x320

      rtmpose export rtmpose-s --to pipeline --detector yolox-tiny

      rtmpose export mine.safetensors --to ncnn

    A zoo model is taken from its ONNX file where one is published, else from its checkpoint.
    """
    # Before the imports below, which need torch and onnx.
    _require_converters()
    from rtmpose.cli.terminal import stderr_console
    from rtmpose.exporting.export import export as run

    options = _export_options(form, joined, data, force=force)

    # The steps are reported, as some take minutes.
    with stderr_console().status("opening the model ...") as status:
        place, report = run(
            model,
            output,
            options,
            card=named_card(card),
            skeleton=named_skeleton(skeleton),
            progress=status.update,
        )

    # What was compared, then where the result lies.
    _show(report)
    typer.echo(f"wrote {place}")
    return 1 if report.passed is False else 0


def verify(
    model: _Original, exported: _Exported, card: _Card = None, json_file: _Json = None
) -> int:
    """Compare an exported file with its original on real crops; the exit status is 1 if it differs.

    Example: rtmpose verify rtmpose-s exports/rtmpose-s_body8-halpe26_256x192.xml
    """
    _require_converters()
    from rtmpose.exporting.verify_export import verify_file
    from rtmpose.files import write_text

    # The same comparison that `export` makes, for a file that exists already.
    report = verify_file(model, exported, card=named_card(card))
    _show(report)
    if json_file:
        write_text(json_file, report.to_json())
        typer.echo(f"wrote {json_file}")
    return 0 if report.passed else 1


def _require_converters() -> None:
    try:
        # Only a missing package of the extra has this remedy; other import errors are bugs.
        import rtmpose.exporting.export  # noqa: F401
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("torch", "onnx", "safetensors", "onnxscript"):
            raise MissingDependencyError(
                "exporting needs torch and onnx: pip install 'rtmpose[export]'"
            ) from error
        raise


def _show(report: Verification) -> None:
    from rich.markup import escape
    from rich.table import Table

    from rtmpose.cli.tables import print_table
    from rtmpose.exporting.verify import report_lines

    table = Table(show_header=False)
    for name, value in report_lines(report):
        table.add_row(name, escape(value))
    print_table(table)


# ---- reading options


def _export_options(
    form: FormatOptions, joined: PipelineOptions, data: Path | None, *, force: bool
) -> ExportOptions:
    from rtmpose.exporting.options import ExportOptions

    # Which refuses unknown texts.
    return ExportOptions(
        to=cast("Target", form.to),
        precision=cast("ExportPrecision | None", form.precision),
        batch=_batch(form.batch),
        input_wh=_size(form.input_size),
        normalize=form.normalize,
        decode=form.decode,
        nms=form.nms,
        half_weights=form.half_weights,
        opset=form.opset,
        detector=joined.detector,
        detector_card=named_card(joined.detector_card),
        score_thr=joined.box_thr,
        calibrate=form.calibrate,
        data=data,
        force=force,
    )


def _batch(text: str) -> int | None:
    if text == "dynamic":
        return None
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"--batch takes 'dynamic' or a number from 1, not {text!r}")
    return int(text)


def _size(text: str | None) -> tuple[int, int] | None:
    """Width and height."""
    if text is None:
        return None
    # Height comes first, as in the shapes of arrays.
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdigit() for p in parts):
        raise InputError(f"--input-size takes HxW such as 192x320, not {text!r}")
    return int(parts[1]), int(parts[0])
