"""``rtmpose eval``: accuracy of pose models, detectors and classifiers on annotated sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli import options
from rtmpose.cli.data_options import AnnotationsPath, DataOptions
from rtmpose.cli.eval_options import (
    Against,
    BoxOptions,
    CalibrationOptions,
    Card,
    EngineOptions,
    Limit,
    MetricOptions,
    PoseModelOptions,
    ReportOptions,
)
from rtmpose.cli.groups import expand_groups
from rtmpose.cli.named_models import named_card, named_skeleton
from rtmpose.errors import InputError
from rtmpose.ranges import FRACTION

if TYPE_CHECKING:
    from rtmpose.detector import Detector
    from rtmpose.families import PoseModel
    from rtmpose.types import Skeleton

app = typer.Typer(
    no_args_is_help=True,
    help="""Measure the accuracy of a model on annotated images.

rtmpose eval pose coco/val2017.json --pose rtmpose-s

rtmpose eval detector coco/val2017.json --detector rtmdet-nano

rtmpose eval classifier imagenet/val --classifier cspnext-s.onnx

A model is a name from `rtmpose models list`, or a file of any engine.

`rtmpose eval DATA` is short for `rtmpose eval pose DATA`.""",
)

# ---- the short form


KINDS = ("pose", "detector", "classifier")
RESULT_SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")


def with_kind(arguments: list[str]) -> list[str]:
    """Command-line arguments in which ``eval DATA`` became ``eval pose DATA``.

    Raises:
        InputError: the first word after ``eval`` is neither a kind of model nor a path, or the
            options are those of another kind.
    """
    # Only `eval` with a word after it can be short for `eval pose`.
    if arguments[:1] != ["eval"] or len(arguments) < 2:
        return arguments
    word = arguments[1]
    if word in KINDS or word == "--help":
        return arguments

    # Options tell the kind too: --classifier belongs to one kind only.
    if any(argument.split("=")[0] == "--classifier" for argument in arguments):
        raise InputError(
            "to score a classifier: rtmpose eval classifier CLASS_FOLDERS --classifier NAME"
        )

    # Paths and options are the short form; a lone word is a misspelled kind.
    looks_like_path = Path(word).exists() or "/" in word or Path(word).suffix
    if word.startswith("-") or looks_like_path:
        return ["eval", "pose", *arguments[1:]]
    raise InputError(
        f"`rtmpose eval` scores pose, detector or classifier: {word!r} is none of these, and there"
        " is no file or folder of that name. For example: rtmpose eval pose coco/annotations.json"
    )


# ---- pose models


@app.command("pose")
@expand_groups
def evaluate_pose(
    data: AnnotationsPath,
    model: PoseModelOptions,
    boxes: BoxOptions,
    metrics: MetricOptions,
    calibration: CalibrationOptions,
    reading: DataOptions,
    engine: EngineOptions,
    report: ReportOptions,
    limit: Limit = None,
) -> int:
    """Score a pose model, by the metrics that the keypoint set is published with.

    The exit status is 1 when images had to be skipped.

    Examples:
      rtmpose eval pose coco/val2017.json --json report.json

      rtmpose eval pose coco --boxes detect --detector rtmdet-nano --flip-test

      rtmpose eval pose my_data --pose new.onnx --against old_results.json

      rtmpose eval pose my_data --pose mine.onnx --calibrate -o mine-calibrated.onnx
    """
    from rtmpose.cli import eval_output
    from rtmpose.evaluation import evaluate
    from rtmpose.evaluation.bootstrap import read_results
    from rtmpose.evaluation.scoring import difference
    from rtmpose.families import open_model

    # What cannot work is refused before the work.
    boxes.check(model.pose)
    calibration.check(boxes.boxes)
    nme_points = metrics.two_points()
    dataset = reading.read_to_score(data)
    opened = open_model(
        _box_model(boxes, engine) if boxes.boxes == "detect" else None,
        _model(model.pose),
        options=engine.backend_options(),
        card=named_card(model.card),
        antialias=model.antialias,
    )
    _name_points(opened, named_skeleton(reading.skeleton))
    eval_output.check_calibration_target(opened, model.pose, calibration)
    other = read_results(metrics.against) if metrics.against else None  # before the work, too

    # Run the model over the set.
    with eval_output.progress_bar(len(dataset.images)) as on_progress:
        result = evaluate(
            dataset,
            opened,
            boxes=boxes.boxes,
            flip_test=model.flip_test,
            box_thr=boxes.box_thr,
            metrics=metrics.names(),
            nme_points=nme_points,
            limit=limit,
            on_progress=on_progress,
        )
    eval_output.show_pose_result(result, dataset)

    # What goes beyond the metrics: a comparison, a calibration.
    extra: dict[str, object] = {}
    if metrics.against and other is not None:
        gain = difference(dataset, result.results, other, result.image_ids, opened.skeleton)
        extra["against"] = eval_output.show_difference(metrics.against, gain)
    if calibration.calibrate:
        extra["calibration"] = eval_output.calibrate(
            dataset, opened, result, model.pose, calibration
        )
    return eval_output.write_outputs(result, extra, report)


# ---- detectors


@app.command("detector")
@expand_groups
def evaluate_detector(
    data: AnnotationsPath,
    reading: DataOptions,
    engine: EngineOptions,
    report: ReportOptions,
    detector: Annotated[
        str,
        typer.Option(
            help="Detector: a name from `rtmpose models list`, a model file or a URL.",
            rich_help_panel=options.MODELS,
        ),
    ] = options.DETECTOR,
    card: Card = None,
    box_thr: Annotated[
        float,
        FRACTION,
        typer.Option(help="Lowest score of a box; AP needs boxes of low scores too."),
    ] = 0.001,
    limit: Limit = None,
    against: Against = None,
) -> int:
    """Score a detector by COCO box AP and AR, on the first category of the set.

    The exit status is 1 when images had to be skipped.

    Examples:
      rtmpose eval detector coco/val2017.json

      rtmpose eval detector my_data --detector mine.onnx --results mine.json

      rtmpose eval detector my_data --detector new.onnx --against mine.json --json report.json
    """
    from rtmpose.cli import eval_output
    from rtmpose.detector import Detector
    from rtmpose.evaluation.bootstrap import paired_bootstrap, read_results
    from rtmpose.evaluation.detection import evaluate_detector as evaluate

    # Everything is opened before the first image is read.
    dataset = reading.read_to_score(data)
    model = Detector(_model(detector), options=engine.backend_options(), card=named_card(card))
    other = read_results(against) if against else None

    with eval_output.progress_bar(len(dataset.images)) as on_progress:
        result = evaluate(dataset, model, box_thr=box_thr, limit=limit, on_progress=on_progress)
    eval_output.show_metrics(f"{model.card.id} on {dataset.path.name}: boxes", result)
    eval_output.show_speed(result, "boxes")

    # The comparison is paired: both models on the same images.
    extra: dict[str, object] = {}
    if against and other is not None:
        gain = paired_bootstrap(
            dataset.content, result.results, other, kind="bbox", image_ids=result.image_ids
        )
        extra["against"] = eval_output.show_difference(against, gain)
    return eval_output.write_outputs(result, extra, report)


# ---- classifiers


@app.command("classifier")
@expand_groups
def evaluate_classifier(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="CLASS_FOLDERS",
            help="Folder with one folder of images per class.",
            show_default=False,
        ),
    ],
    engine: EngineOptions,
    classifier: Annotated[
        str,
        typer.Option(
            help="Classifier: a name from `rtmpose models list`, a model file or a URL.",
            show_default=False,
            rich_help_panel=options.MODELS,
        ),
    ],
    card: Card = None,
    limit: Limit = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="PATH",
            help="Write metrics and settings.",
            show_default=False,
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
) -> int:
    """Score a classifier by top-1 and top-5 accuracy.

    Class folders, sorted by name, are the classes of the model. With --limit the images are taken
    evenly from the set. The exit status is 1 when images had to be skipped.

    Examples:
      rtmpose eval classifier imagenet/val --classifier cspnext-s.onnx

      rtmpose eval classifier imagenet/val --classifier my_classifier.safetensors --limit 1000
    """
    from rtmpose.cli import eval_output
    from rtmpose.datasets import read_image_folder
    from rtmpose.evaluation.classification import Classifier
    from rtmpose.evaluation.classification import evaluate_classifier as evaluate

    # Folder names are the classes.
    dataset = read_image_folder(data)
    model = Classifier(_model(classifier), options=engine.backend_options(), card=named_card(card))
    with eval_output.progress_bar(len(dataset)) as on_progress:
        result = evaluate(dataset, model, limit=limit, on_progress=on_progress)
    eval_output.show_metrics(f"{model.card.id} on {dataset.path.name}", result)
    eval_output.show_speed(result)
    return eval_output.write_outputs(result, {}, ReportOptions(json_file))


# ---- naming models


def _name_points(opened: PoseModel, skeleton: Skeleton | None) -> None:
    """Give the keypoints of a file that does not name them the names of the data's set."""
    from rtmpose.skeletons import skeleton_of

    if skeleton is None or len(skeleton) != len(opened.skeleton):
        return
    if skeleton_of(opened.pose.card) is None:
        opened.pose.skeleton = skeleton


def _box_model(boxes: BoxOptions, engine: EngineOptions) -> str | Path | Detector:
    """The detector of ``--boxes detect``: its name, or opened where its card was given."""
    from rtmpose.detector import Detector

    name = _model(boxes.detector or options.DETECTOR)
    if boxes.detector_card is None:
        return name
    return Detector(name, options=engine.backend_options(), card=named_card(boxes.detector_card))


def _model(name: str) -> str | Path:
    """A path where there is such a file or folder, so that ``exports/mine`` is not taken for a
    name.

    Raises:
        InputError: it is a file of results.
    """
    if Path(name).suffix.lower() in RESULT_SUFFIXES:
        raise InputError(
            f"{name} is no model: name the one that made these results; --against FILE compares a"
            " model with the COCO results of another"
        )
    return Path(name) if Path(name).exists() else name
