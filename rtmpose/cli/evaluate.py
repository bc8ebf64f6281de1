"""``rtmpose eval``: accuracy of pose models, detectors and classifiers on annotated sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli import options
from rtmpose.cli.data_options import AnnotationFormat, Images, SkeletonSet, Split
from rtmpose.errors import InputError

if TYPE_CHECKING:
    from rtmpose.backends import BackendOptions

app = typer.Typer(
    no_args_is_help=True,
    help="""Measure the accuracy of a model on annotated images.

rtmpose eval pose coco/annotations/person_keypoints_val2017.json --pose rtmpose-s

rtmpose eval detector coco/annotations/person_keypoints_val2017.json --detector rtmdet-nano

rtmpose eval classifier imagenet/val --classifier cspnext-s.onnx

A model is a name from `rtmpose models list`, or a file: a checkpoint, ONNX, OpenVINO or ncnn, or an SDK folder.
`rtmpose eval DATA` is short for `rtmpose eval pose DATA`.""",  # noqa: E501
)

KINDS = ("pose", "detector", "classifier")
METRICS_PANEL = "Metrics"
BOXES_PANEL = "Boxes"
CALIBRATION_PANEL = "Calibration"
OUTPUTS_PANEL = "Outputs"

Annotations = Annotated[
    Path,
    typer.Argument(
        help="Annotation file in any format `rtmpose data` reads, or its folder.",
        show_default=False,
    ),
]
Card = Annotated[
    str | None,
    typer.Option(
        help="Which model of the zoo a file is, where the file does not say.", show_default=False
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        help=(
            "Results file of another model (written with --results): difference in AP, with its"
            " error over images."
        ),
        show_default=False,
        rich_help_panel=METRICS_PANEL,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Evaluate at most this number of images.", show_default="all"),
]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        help="Write metrics and settings.",
        show_default=False,
        rich_help_panel=OUTPUTS_PANEL,
    ),
]
ResultsFile = Annotated[
    Path | None,
    typer.Option(
        "--results",
        help="Write the poses or boxes as COCO results.",
        show_default=False,
        rich_help_panel=OUTPUTS_PANEL,
    ),
]


def with_kind(arguments: list[str]) -> list[str]:
    """Command-line arguments in which ``eval DATA`` became ``eval pose DATA``.

    Raises:
        InputError: the first word after ``eval`` is neither a kind of model nor a path, or the
            options are those of another kind.
    """
    if arguments[:1] != ["eval"] or len(arguments) < 2:
        return arguments
    word = arguments[1]
    if word in KINDS or word == "--help":
        return arguments
    if "--classifier" in arguments:
        raise InputError(
            "to score a classifier: rtmpose eval classifier CLASS_FOLDERS --classifier NAME"
        )
    if word.startswith("-") or Path(word).exists():
        return ["eval", "pose", *arguments[1:]]
    raise InputError(
        f"`rtmpose eval` scores pose, detector or classifier: {word!r} is none of these, and there"
        f" is no file or folder of that name. For example: rtmpose eval pose coco/annotations.json"
    )


@app.command("pose")
def evaluate_pose(
    data: Annotations,
    pose: options.Pose = options.POSE,
    card: Card = None,
    limit: Limit = None,
    flip_test: Annotated[
        bool,
        typer.Option(
            "--flip-test", help="Average with the mirrored image: a little better, twice the time."
        ),
    ] = False,
    antialias: Annotated[
        bool,
        typer.Option(
            "--antialias",
            help="Crop large people without aliasing: a little better, a little slower.",
        ),
    ] = False,
    boxes: Annotated[
        str,
        typer.Option(
            help="gt (annotated boxes), detect, or a COCO detection results file.",
            rich_help_panel=BOXES_PANEL,
        ),
    ] = "gt",
    detector: Annotated[
        str | None,
        typer.Option(
            help="Detector for --boxes detect.",
            show_default=options.DETECTOR,
            rich_help_panel=BOXES_PANEL,
        ),
    ] = None,
    box_thr: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Lowest score of a detected box.", rich_help_panel=BOXES_PANEL
        ),
    ] = 0.05,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "coco-ap, wholebody-ap, crowdpose-ap, pck, pckh, tpck, auc, epe or nme; may be"
                " repeated."
            ),
            show_default="those the keypoint set is published with",
            rich_help_panel=METRICS_PANEL,
        ),
    ] = None,
    nme_points: Annotated[
        str | None,
        typer.Option(
            help="Two keypoints, such as left_eye,right_eye: NME in units of their distance.",
            show_default=False,
            rich_help_panel=METRICS_PANEL,
        ),
    ] = None,
    against: Against = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Fit the map from raw scores to probabilities, and test it.",
            rich_help_panel=CALIBRATION_PANEL,
        ),
    ] = False,
    per_keypoint: Annotated[
        bool,
        typer.Option(
            "--per-keypoint",
            help="One map for each keypoint.",
            rich_help_panel=CALIBRATION_PANEL,
        ),
    ] = False,
    write_card: Annotated[
        bool,
        typer.Option(
            "--write-card",
            help="Write the map into MODEL.card.json next to the model file.",
            rich_help_panel=CALIBRATION_PANEL,
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            "--out",
            help="Write a copy of the .onnx or .safetensors with the map in its card.",
            show_default=False,
            rich_help_panel=CALIBRATION_PANEL,
        ),
    ] = None,
    annotation_format: AnnotationFormat = "auto",
    images: Images = None,
    skeleton: SkeletonSet = None,
    split: Split = "",
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    threads: options.Threads = 0,
    precision: options.Precision = "fp32",
    json_file: JsonFile = None,
    results_file: ResultsFile = None,
) -> int:
    """Score a pose model by the metrics that the keypoint set is published with.

    The exit status is 1 when images had to be skipped.

    Examples:

      rtmpose eval pose coco/annotations/person_keypoints_val2017.json --json report.json

      rtmpose eval pose coco --boxes detect --detector rtmdet-nano --flip-test

      rtmpose eval pose my_data --pose new.onnx --against old_results.json

      rtmpose eval pose my_data --pose mine.onnx --calibrate -o mine-calibrated.onnx
    """
    from rtmpose.cli import eval_output
    from rtmpose.datasets import read
    from rtmpose.detector import Detector
    from rtmpose.evaluation import evaluate
    from rtmpose.evaluation.bootstrap import read_results
    from rtmpose.evaluation.calibration import calibrate_model
    from rtmpose.evaluation.scoring import difference
    from rtmpose.pose_estimator import PoseEstimator
    from rtmpose.zoo import find

    # What cannot work is refused before the work.
    _check_pose_options(boxes, detector, calibrate, per_keypoint, write_card, output)
    metrics = [name.strip() for text in metric or () for name in text.split(",")]
    eye_points = _two_points(nme_points)
    settings = _backend_options(backend, device, threads, precision)
    dataset = read(data, annotation_format, images, skeleton, split)
    estimator = PoseEstimator(
        _model(pose), options=settings, card=find(card) if card else None, antialias=antialias
    )
    eval_output.check_card_target(estimator, pose, write_card, output)
    other = read_results(against) if against else None
    finder = Detector(_model(detector or options.DETECTOR), options=settings) if boxes == "detect" else None

    # The evaluation.
    with eval_output.progress_bar(len(dataset.images)) as on_progress:
        result = evaluate(
            dataset,
            estimator,
            boxes=boxes,
            detector=finder,
            flip_test=flip_test,
            box_thr=box_thr,
            metrics=metrics or None,
            nme_points=eye_points,
            limit=limit,
            on_progress=on_progress,
        )
    variants = (", flip test" if flip_test else "") + (", antialiased" if antialias else "")
    title = f"{estimator.card.id} on {dataset.path.name}, boxes: {boxes}{variants}"
    eval_output.show_metrics(title, result)
    eval_output.show_speed(result, "people")

    # What else was asked for.
    report: dict[str, object] = {}
    if against and other is not None:
        gain = difference(dataset, result.results, other, result.image_ids, estimator.skeleton)
        report["against"] = eval_output.show_difference(against, gain)
    if calibrate:
        source = f"{dataset.path.parent.name}/{dataset.path.name}, {result.images} images"
        fitted = calibrate_model(
            dataset, estimator.skeleton, result, per_keypoint=per_keypoint, data=source
        )
        report["calibration"] = eval_output.show_calibration(fitted)
        eval_output.write_calibrated_card(estimator, pose, fitted, write_card, output)
    return eval_output.write_outputs(result, report, json_file, results_file)
