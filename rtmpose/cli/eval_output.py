"""What the ``rtmpose eval`` commands print and write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rtmpose.cli.tables import print_lines, print_table
from rtmpose.errors import InputError
from rtmpose.text_files import to_json

if TYPE_CHECKING:
    from rtmpose.cli.eval_options import CalibrationOptions, ReportOptions
    from rtmpose.datasets import KeypointDataset
    from rtmpose.evaluation.bootstrap import Difference
    from rtmpose.evaluation.calibration import CalibrationReport
    from rtmpose.evaluation.pose import Evaluation
    from rtmpose.families import PoseModel

METRICS_IN_PIXELS = ("EPE",)
IMAGES_SKIPPED = 1
"""Exit status when images could not be read."""


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error; yields a function to call with images done and in total."""
    from rich.progress import Progress

    from rtmpose.cli.terminal import stderr_console

    with Progress(console=stderr_console(), transient=True) as progress:
        task = progress.add_task("images", total=total)
        yield lambda done, total: progress.update(task, completed=done, total=total)


# ---- results


def show_metrics(title: str, result: Evaluation) -> None:
    """Print the metrics as a table."""
    from rich.table import Table

    table = Table()
    table.add_column("metric")
    table.add_column("%", justify="right", no_wrap=True)
    for name, value in result.metrics.items():
        table.add_row(name, _metric_text(name, value))
    print_lines(title)
    print_table(table)


def _metric_text(name: str, value: float) -> str:
    # Most metrics are shares; a few are lengths.
    if name in METRICS_IN_PIXELS:
        return f"{value:.2f} px"
    return "-" if value == -1 else f"{100 * value:.2f}"


def show_pose_result(result: Evaluation, dataset: KeypointDataset) -> None:
    """Print metrics and speed of a pose model."""
    # The settings that explain the numbers, in the title.
    settings = result.settings
    title = f"{settings['pose']} on {dataset.path.name}, boxes: {settings['boxes']}"
    if settings["flip_test"]:
        title += ", flip test"
    if settings.get("antialias"):
        title += ", antialiased"
    show_metrics(title, result)
    if settings.get("sigmas"):
        typer.echo(f"AP with the {settings['sigmas']}")
    show_speed(result, "people")


def show_speed(result: Evaluation, found: str = "") -> None:
    """Print the number of images and the time for each.

    Args:
        result: Of the evaluation.
        found: What is counted per image: people or boxes; empty for nothing.
    """
    counts = f", {result.people_per_image:.1f} {found} and" if found else ","
    engine = f"{result.settings['engine']} {result.settings['precision']}"
    typer.echo(
        f"{result.images} images ({result.skipped} skipped){counts}"
        f" {result.ms_per_image:.1f} ms per image; {engine}"
    )


def show_difference(against: Path, difference: Difference) -> dict[str, object]:
    """Print a difference in AP, and return it for the JSON report."""
    typer.echo(f"against {against}: {difference}")
    return {"results": str(against), **vars(difference)}


def write_outputs(result: Evaluation, extra: Mapping[str, object], report: ReportOptions) -> int:
    """Write the files that were asked for.

    Args:
        result: Of the evaluation.
        extra: Further entries of the JSON report.
        report: The files.

    Returns:
        The exit status of the command.
    """
    from rtmpose.files import write_text

    # Files are written after the terminal, so that a full disk loses nothing that was shown.
    if report.json_file:
        text = to_json({**result.to_dict(), **extra}, indent=2)
        write_text(report.json_file, text + "\n")
        typer.echo(f"wrote {report.json_file}")
    if report.results_file:
        write_text(report.results_file, to_json(result.results) + "\n")
        typer.echo(f"wrote {report.results_file}")
    return IMAGES_SKIPPED if result.skipped else 0


# ---- calibration


def check_calibration_target(model: PoseModel, name: str, calibration: CalibrationOptions) -> None:
    """Refuse, before the evaluation, to calibrate or write what cannot be.

    Args:
        model: The opened model.
        name: The model as it was named.
        calibration: What was asked for.

    Raises:
        InputError: a model has no given boxes, a model of the zoo has no card to replace, or the
            copy would be another format.
    """
    # Each of these would fail only after a long evaluation.
    if calibration.calibrate and not model.needs_boxes:
        raise InputError(
            f"{model.pose.card.id} is a one-stage model; --calibrate needs poses in annotated boxes"
        )
    if calibration.write_card and not Path(name).exists():
        raise InputError(
            f"{model.pose.card.id} is a model of the zoo: --output writes a copy of it with the"
            " card inside"
        )
    output = calibration.output
    path = model.pose.path
    if output is not None and output.suffix != path.suffix:
        raise InputError(f"--output must end in {path.suffix}, like the model {path.name}")


def calibrate(
    dataset: KeypointDataset,
    model: PoseModel,
    result: Evaluation,
    name: str,
    calibration: CalibrationOptions,
) -> dict[str, object]:
    """Fit, print and write a calibration.

    Args:
        dataset: The set that was evaluated.
        model: The opened model.
        result: Of the evaluation.
        name: The model as it was named.
        calibration: What was asked for.

    Returns:
        The calibration and its test, for the JSON report.
    """
    from rtmpose.evaluation.calibration import calibrate_model

    # The card keeps what the map was fitted on.
    data = f"{dataset.path.parent.name}/{dataset.path.name}, {result.images} images"
    report = calibrate_model(
        dataset, model.skeleton, result, per_keypoint=calibration.per_keypoint, data=data
    )
    _show_calibration(report)
    _write_card(model, name, report, calibration)
    return {**vars(report.calibration), **report.to_dict()}


def _show_calibration(report: CalibrationReport) -> None:
    calibration = report.calibration
    typer.echo(
        f"calibration on {report.points} labeled keypoints of {report.images} images,"
        f" {100 * report.fraction_correct:.1f} % of them correct (OKS of the keypoint >="
        f" {calibration.oks}):"
    )
    # One map fits on a line; one per keypoint is in the report.
    if len(calibration.slope) == 1:
        slope = calibration.slope[0]
        offset = calibration.offset[0]
        typer.echo(f"  probability = 1 / (1 + exp(-({slope:.4f} * score {offset:+.4f})))")
    typer.echo(
        f"  expected calibration error {report.ece_raw:.4f} as raw scores, {report.ece_fitted:.4f}"
        f" fitted, {report.ece_cross_validated:.4f} in two-fold cross-validation over images,"
        f" {report.ece_per_keypoint:.4f} per keypoint"
    )


def _write_card(
    model: PoseModel, name: str, report: CalibrationReport, calibration: CalibrationOptions
) -> None:
    """Put a calibration into a copy of the model, into a card next to it, or both."""
    from rtmpose.cards.io import sidecar_card_path, write_card

    path = model.pose.path
    # The card of the result is complete, whatever the file said before.
    card = replace(model.pose.card, calibration=report.calibration)
    if card.skeleton is None:
        card = replace(card, skeleton=model.skeleton.name)
    if calibration.output is not None:
        typer.echo(f"wrote {write_card(path, card, calibration.output)}")
    if calibration.write_card:
        typer.echo(f"wrote {write_card(path, card)}, which goes before a card inside the model")
        return

    # A card next to the file would be read instead of the one inside: say so.
    old_card = sidecar_card_path(path)
    if calibration.output is None and Path(name).exists() and old_card.is_file():
        typer.echo(f"{old_card} was left as it is (--write-card replaces it)")
