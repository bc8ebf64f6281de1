"""``rtmpose eval``: accuracy of pose models, detectors and classifiers on annotated sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtmpose.cli import options
from rtmpose.errors import InputError

if TYPE_CHECKING:
    from rtmpose.backends import BackendOptions
    from rtmpose.datasets import KeypointDataset
    from rtmpose.evaluation.calibration import CalibrationReport
    from rtmpose.evaluation.pose import Evaluation
    from rtmpose.model_card import ModelCard
    from rtmpose.one_stage import OneStage
    from rtmpose.pose_estimator import PoseEstimator

IN_PIXELS = ("EPE",)


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            help=(
                "Annotations in any format `rtmpose data` knows, or their folder; class folders of"
                " pictures."
            )
        ),
    ],
    pose: Annotated[
        str | None,
        typer.Option(
            help="Pose model: a name, a model file or an SDK folder.", show_default=options.POSE
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            help=(
                "Detector for --boxes detect; with neither that nor --pose, it is itself scored by"
                " box AP."
            )
        ),
    ] = None,
    classifier: Annotated[
        str | None, typer.Option(help="Classifier to score by top-1 and top-5.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "coco-ap, wholebody-ap, crowdpose-ap, pck, pckh, tpck, auc, epe, nme, box-ap or"
                " top-k; may be "
                "repeated."
            ),
            show_default="those the keypoint set is published with",
        ),
    ] = None,
    boxes: Annotated[
        str,
        typer.Option(help="Whose boxes: gt (annotated), detect, or a COCO detection results file."),
    ] = "gt",
    flip_test: Annotated[
        bool, typer.Option(help="Average with the mirrored image: a little better, twice the time.")
    ] = False,
    antialias: Annotated[
        bool,
        typer.Option(
            "--antialias",
            help="Cut large people without aliasing: a little better, a little slower.",
        ),
    ] = False,
    box_thr: Annotated[
        float, typer.Option(min=0, max=1, help="Lowest score of a detected box.")
    ] = 0.05,
    nme_points: Annotated[
        str | None,
        typer.Option(
            help="Two keypoints, such as left_eye,right_eye: NME in units of their distance."
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Fit the map from raw scores to probabilities, and test it."
        ),
    ] = False,
    per_keypoint: Annotated[
        bool,
        typer.Option("--per-keypoint", help="calibrate: numbers of its own for each keypoint."),
    ] = False,
    write_card: Annotated[
        bool,
        typer.Option(
            "--write-card", help="calibrate: write MODEL.card.json beside the model file."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="calibrate: write a copy of the .onnx or .safetensors with the card inside."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Results file of another model: difference in AP, with its error over photos."
        ),
    ] = None,
    card: Annotated[
        str | None,
        typer.Option(help="Which model of the zoo a file is, where the file does not say."),
    ] = None,
    format: Annotated[
        str, typer.Option(help="Annotation format; see `rtmpose data convert --help`.")
    ] = "auto",
    images: Annotated[
        Path | None, typer.Option(help="Folder that the images' names start from.")
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="What the keypoints are, where the set does not say: a name or a TOML file."
        ),
    ] = None,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    threads: options.Threads = 0,
    precision: options.Precision = "fp32",
    limit: Annotated[int | None, typer.Option(min=1, help="First so many images.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write metrics and settings.")
    ] = None,
    results_file: Annotated[
        Path | None, typer.Option("--results", help="Write the poses or boxes as COCO results.")
    ] = None,
) -> int:
    """Score a model: a checkpoint, an ONNX, OpenVINO or ncnn file, an SDK folder, or one of the
    zoo.

    For example:

      rtmpose eval coco/annotations/person_keypoints_val2017.json --boxes detect --json out.json

      rtmpose eval coco/annotations/person_keypoints_val2017.json --detector rtmdet-nano

      rtmpose eval imagenet/val --classifier cspnext-s.onnx

      rtmpose eval my_data --pose mine.onnx --calibrate --out mine-calibrated.onnx
    """
    from rtmpose.backends import BackendOptions
    from rtmpose.datasets import read, read_image_folder
    from rtmpose.zoo import find

    settings = BackendOptions(backend, device, threads, precision=precision)  # type: ignore[arg-type]
    known = find(card) if card else None
    metrics = [name.strip() for text in metric or () for name in text.split(",")]
    kind = _kind(metrics, pose, detector, classifier, boxes)
    if calibrate and (kind != "pose" or boxes != "gt"):
        raise InputError("--calibrate is for pose models with annotated boxes (--boxes gt)")
    if (write_card or out or per_keypoint) and not calibrate:
        raise InputError("--write-card, --out and --per-keypoint go with --calibrate")
    report: dict[str, Any] = {}
    if kind == "classifier":
        result = _classifier(
            read_image_folder(data), classifier or pose or "", settings, known, limit
        )
    else:
        dataset = read(data, format, images, skeleton)
        if kind == "detector":
            result, other = _detector(dataset, detector or "", settings, known, limit, against)
        else:
            points = _two(nme_points)
            request = _PoseRequest(
                pose, detector, boxes, flip_test, box_thr, metrics, points, limit, against
            )
            estimator = _estimator(request, settings, known, antialias)
            target = _card_target(estimator, pose, write_card, out)
            result, other = _pose(dataset, estimator, request, settings)
            if calibrate:
                fitted = _calibrate(dataset, estimator, result, per_keypoint)
                report["calibration"] = {**vars(fitted.calibration), **fitted.to_dict()}
                target(fitted)
        if other is not None:
            typer.echo(f"against {against}: {other}")
            report["against"] = {"results": str(against), **vars(other)}
    for path, content in (
        (json_file, {**result.to_dict(), **report}),
        (results_file, result.results),
    ):
        if path:
            _write(path, json.dumps(content, indent=2 if path == json_file else None) + "\n")
    return 1 if result.skipped else 0


class _PoseRequest:
    """What was asked for of a pose model."""

    def __init__(
        self,
        pose: str | None,
        detector: str | None,
        boxes: str,
        flip_test: bool,
        box_thr: float,
        metrics: list[str],
        nme_points: tuple[str, str] | None,
        limit: int | None,
        against: Path | None,
    ) -> None:
        self.pose, self.detector, self.boxes, self.against = pose, detector, boxes, against
        self.arguments: dict[str, Any] = {
            "boxes": boxes,
            "flip_test": flip_test,
            "box_thr": box_thr,
            "metrics": metrics or None,
            "nme_points": nme_points,
            "limit": limit,
        }


def _kind(
    metrics: list[str], pose: str | None, detector: str | None, classifier: str | None, boxes: str
) -> str:
    """``pose``, ``detector`` or ``classifier``."""
    alone = {"box-ap": "detector", "top-k": "classifier"}
    kinds = {alone.get(m, "pose") for m in metrics}
    if len(kinds) > 1:
        raise InputError(
            f"{', '.join(metrics)} are not metrics of one kind of model; run the command twice"
        )
    if classifier and kinds - {"classifier"}:
        raise InputError(f"{', '.join(metrics)} is no metric of a classifier; use --metric top-k")
    if kinds:
        kind = kinds.pop()
    elif classifier:
        kind = "classifier"
    else:
        kind = "detector" if detector and not pose and boxes == "gt" else "pose"
    if kind == "classifier" and not (classifier or pose):
        raise InputError("top-k scores a classifier: name it with --classifier")
    return kind


def _pose(
    dataset: KeypointDataset,
    estimator: PoseEstimator | OneStage,
    request: _PoseRequest,
    settings: BackendOptions,
) -> tuple[Evaluation, Any]:
    from rtmpose.detector import DEFAULT_DETECTOR
    from rtmpose.evaluation import evaluate as run
    from rtmpose.evaluation.bootstrap import read_results
    from rtmpose.evaluation.scoring import difference

    boxes = request.boxes
    finder = _model(request.detector or DEFAULT_DETECTOR) if boxes == "detect" else None
    theirs = read_results(request.against) if request.against else None
    with _progress(len(dataset.images)) as tell:
        result = run(
            dataset,
            estimator,
            detector=finder,
            options=settings,
            on_progress=tell,
            **request.arguments,
        )
    flipped = ", flip test" if request.arguments["flip_test"] else ""
    flipped += ", antialiased" if getattr(estimator, "antialias", False) else ""
    _show(f"{estimator.card.id} on {dataset.path.name}, boxes: {boxes}{flipped}", result)
    typer.echo(
        f"{result.images} images ({result.skipped} skipped), {result.people_per_image:.1f} people"
        f" and {result.ms_per_image:.1f} ms per image; {estimator.backend.engine}"
        f" {estimator.backend.precision}"
    )
    if theirs is None:
        return result, None
    return result, difference(dataset, result.results, theirs, result.image_ids, estimator.skeleton)


def _estimator(
    request: _PoseRequest, settings: BackendOptions, card: ModelCard | None, antialias: bool
) -> PoseEstimator | OneStage:
    from rtmpose.families import open_model
    from rtmpose.pose_estimator import DEFAULT_POSE_MODEL

    name = _model(request.pose or DEFAULT_POSE_MODEL)
    return open_model(None, name, options=settings, card=card, antialias=antialias).pose


def _detector(
    dataset: KeypointDataset,
    detector: str,
    settings: BackendOptions,
    card: ModelCard | None,
    limit: int | None,
    against: Path | None,
) -> tuple[Evaluation, Any]:
    from rtmpose.detector import DEFAULT_DETECTOR, Detector
    from rtmpose.evaluation.bootstrap import paired_bootstrap, read_results
    from rtmpose.evaluation.detection import evaluate_boxes

    model = Detector(_model(detector or DEFAULT_DETECTOR), options=settings, card=card)
    theirs = read_results(against) if against else None
    with _progress(len(dataset.images)) as tell:
        result = evaluate_boxes(dataset, model, limit=limit, on_progress=tell)
    _show(f"{model.card.id} on {dataset.path.name}: boxes", result)
    typer.echo(
        f"{result.images} images ({result.skipped} skipped), {result.people_per_image:.1f} boxes"
        f" and {result.ms_per_image:.1f} ms per image; {model.backend.engine}"
        f" {model.backend.precision}"
    )
    if theirs is None:
        return result, None
    ids = result.image_ids
    return result, paired_bootstrap(
        dataset.content, result.results, theirs, kind="bbox", image_ids=ids
    )


def _classifier(
    dataset: Any, name: str, settings: BackendOptions, card: ModelCard | None, limit: int | None
) -> Evaluation:
    from rtmpose.evaluation.classification import Classifier, evaluate_classifier

    model = Classifier(_model(name), options=settings, card=card)
    with _progress(len(dataset)) as tell:
        result = evaluate_classifier(dataset, model, limit=limit, on_progress=tell)
    _show(f"{model.card.id} on {dataset.path.name}", result)
    typer.echo(
        f"{result.images} pictures ({result.skipped} skipped), {result.ms_per_image:.1f} ms each; "
        f"{model.backend.engine} {model.backend.precision}"
    )
    return result


def _calibrate(
    dataset: KeypointDataset,
    estimator: PoseEstimator | OneStage,
    result: Evaluation,
    per_keypoint: bool,
) -> CalibrationReport:
    from rtmpose.evaluation.calibration import calibrate_model

    name = f"{dataset.path.parent.name}/{dataset.path.name}, {result.images} images"
    report = calibrate_model(
        dataset, estimator.skeleton, result, per_keypoint=per_keypoint, data=name
    )
    slope, offset = report.calibration.slope, report.calibration.offset
    typer.echo(
        f"calibration on {report.points} labeled keypoints of {report.photos} photos, "
        f"{100 * report.share_right:.1f} % of them right (joint OKS >= {report.calibration.oks}):"
    )
    if len(slope) == 1:
        typer.echo(f"  probability = 1 / (1 + exp(-({slope[0]:.4f} * score {offset[0]:+.4f})))")
    typer.echo(
        f"  expected calibration error {report.ece_raw:.4f} as raw scores, {report.ece_fitted:.4f}"
        f" fitted, {report.ece_crossed:.4f} in two-fold cross-validation over photos,"
        f" {report.ece_keypoints:.4f} per keypoint"
    )
    return report


def _card_target(
    estimator: PoseEstimator | OneStage, pose: str | None, write_card: bool, out: Path | None
) -> Callable[[CalibrationReport], None]:
    """A function that puts a calibration where it was asked for; what cannot work is refused before
    the work.
    """
    from rtmpose.card_io import card_beside
    from rtmpose.card_io import write_card as write

    own = pose is not None and Path(pose).exists()
    if write_card and not own:
        raise InputError(
            f"{estimator.card.id} is a model of the zoo: --out writes a copy of it with the card"
            " inside"
        )
    if out is not None and out.suffix != estimator.path.suffix:
        raise InputError(
            f"--out must end in {estimator.path.suffix}, like the model {estimator.path.name}"
        )

    def put(report: CalibrationReport) -> None:
        card = replace(estimator.card, calibration=report.calibration)
        if card.skeleton is None:
            card = replace(card, skeleton=estimator.skeleton.name)
        if out is not None:
            typer.echo(f"wrote {write(estimator.path, card, out)}")
        if write_card:
            typer.echo(
                f"wrote {write(estimator.path, card)}, which goes before a card inside the model"
            )
        if own and not (write_card or out) and card_beside(estimator.path).is_file():
            typer.echo(
                f"{card_beside(estimator.path)} was left as it is (--write-card replaces it)"
            )

    return put


def _model(name: str) -> str | Path:
    """A path where there is such a file or folder, so that ``exports/mine`` is not taken for a
    name.
    """
    return Path(name) if Path(name).exists() else name


def _two(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(parts):
        raise InputError(f"--nme-points must be two keypoints with a comma between, not {text!r}")
    return parts[0], parts[1]


def _show(title: str, result: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    console, table = Console(), Table()
    table.add_column("metric")
    table.add_column("%", justify="right")
    for name, value in result.metrics.items():
        text = (
            f"{value:.2f} px" if name in IN_PIXELS else "-" if value == -1 else f"{100 * value:.2f}"
        )
        table.add_row(name, text)
    console.print(title, highlight=False)
    console.print(table)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import Progress

    from rtmpose.cli.terminal import stderr_console

    with Progress(console=stderr_console(), transient=True) as progress:
        task = progress.add_task("images", total=total)
        yield lambda done, all_of_them: progress.update(task, completed=done, total=all_of_them)


def _write(path: Path, text: str) -> None:
    from rtmpose.files import write_text

    write_text(path, text)
    typer.echo(f"wrote {path}")
