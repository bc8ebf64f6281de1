"""What the ``rtmpose eval`` commands print and write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rtmpose.errors import InputError

if TYPE_CHECKING:
    from rtmpose.evaluation.bootstrap import Difference
    from rtmpose.evaluation.calibration import CalibrationReport
    from rtmpose.evaluation.pose import Evaluation
    from rtmpose.pose_estimator import PoseEstimator

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


def show_metrics(title: str, result: Evaluation) -> None:
    """Print the metrics as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("metric")
    table.add_column("%", justify="right")
    for name, value in result.metrics.items():
        table.add_row(name, _metric_text(name, value))
    console = Console()
    console.print(title, highlight=False)
    console.print(table)


def _metric_text(name: str, value: float) -> str:
    if name in METRICS_IN_PIXELS:
        return f"{value:.2f} px"
    return "-" if value == -1 else f"{100 * value:.2f}"


def show_speed(result: Evaluation, found: str) -> None:
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


def show_calibration(report: CalibrationReport) -> dict[str, object]:
    """Print a calibration and its test, and return them for the JSON report."""
    calibration = report.calibration
    typer.echo(
        f"calibration on {report.points} labeled keypoints of {report.images} images,"
        f" {100 * report.fraction_correct:.1f} % of them correct (OKS of the keypoint >="
        f" {calibration.oks}):"
    )
    if len(calibration.slope) == 1:
        slope = calibration.slope[0]
        offset = calibration.offset[0]
        typer.echo(f"  probability = 1 / (1 + exp(-({slope:.4f} * score {offset:+.4f})))")
    typer.echo(
        f"  expected calibration error {report.ece_raw:.4f} as raw scores, {report.ece_fitted:.4f}"
        f" fitted, {report.ece_cross_validated:.4f} in two-fold cross-validation over images,"
        f" {report.ece_per_keypoint:.4f} per keypoint"
    )
    return {**vars(calibration), **report.to_dict()}


def write_outputs(
    result: Evaluation,
    extra: Mapping[str, object],
    json_file: Path | None,
    results_file: Path | None,
) -> int:
    """Write the files that were asked for.

    Args:
        result: Of the evaluation.
        extra: Further entries of the JSON report.
        json_file: For metrics and settings.
        results_file: For the poses or boxes as COCO results.

    Returns:
        The exit status of the command.
    """
    from rtmpose.files import write_text

    if json_file:
        write_text(json_file, json.dumps({**result.to_dict(), **extra}, indent=2) + "\n")
        typer.echo(f"wrote {json_file}")
    if results_file:
        write_text(results_file, json.dumps(result.results) + "\n")
        typer.echo(f"wrote {results_file}")
    return IMAGES_SKIPPED if result.skipped else 0


# ---- cards


def check_card_target(
    estimator: PoseEstimator, pose: str, write_card: bool, output: Path | None
) -> None:
    """Refuse, before the evaluation, to write a calibration where it cannot be.

    Raises:
        InputError: a model of the zoo has no card to replace, or the copy would be another format.
    """
    if write_card and not Path(pose).exists():
        raise InputError(
            f"{estimator.card.id} is a model of the zoo: --output writes a copy of it with the card"
            " inside"
        )
    if output is not None and output.suffix != estimator.path.suffix:
        raise InputError(
            f"--output must end in {estimator.path.suffix}, like the model {estimator.path.name}"
        )


def write_calibrated_card(
    estimator: PoseEstimator,
    pose: str,
    report: CalibrationReport,
    write_card: bool,
    output: Path | None,
) -> None:
    """Put a calibration into a copy of the model, into a card next to it, or both."""
    from rtmpose.card_io import card_beside
    from rtmpose.card_io import write_card as write

    card = replace(estimator.card, calibration=report.calibration)
    if card.skeleton is None:
        card = replace(card, skeleton=estimator.skeleton.name)
    if output is not None:
        typer.echo(f"wrote {write(estimator.path, card, output)}")
    if write_card:
        path = write(estimator.path, card)
        typer.echo(f"wrote {path}, which goes before a card inside the model")
    elif output is None and Path(pose).exists() and card_beside(estimator.path).is_file():
        typer.echo(f"{card_beside(estimator.path)} was left as it is (--write-card replaces it)")
