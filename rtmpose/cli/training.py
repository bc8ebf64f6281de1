"""Trainings in a terminal: settings, progress, results."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import typer

from rtmpose.cli.tables import print_table
from rtmpose.cli.terminal import stderr_console
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.training.recipes import Recipe, all_recipes
from rtmpose.training.task import TrainResult, TrainStatus

LINE_EVERY_S = 30.0

WHOLE_IMAGE = 0.6
"""Share of an image's side from which the image stands for the box."""


def parse_settings(texts: Sequence[str]) -> dict[str, str]:
    """The values of ``--set NAME=VALUE`` by name.

    Raises:
        InputError: a text is something else.
    """
    settings: dict[str, str] = {}
    for text in texts:
        # Blanks around the parts do not count; a value may contain further equals signs.
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise InputError(f"--set takes FIELD=VALUE, such as --set lr=1e-4, not {text!r}")
        settings[name] = value
    return settings


class ProgressBar:
    """Progress with losses, speed and time left: a bar in a terminal, a line now and then in a log
    file.

    Args:
        recipe: Of the training.
    """

    def __init__(self, recipe: Recipe) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.recipe = recipe
        self.console = stderr_console()
        self.live = self.console.is_terminal
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self.progress = Progress(*columns, console=self.console, disable=not self.live)
        self.task = self.progress.add_task(recipe.name, total=None, left="")
        self.shown = 0.0
        self.metrics: dict[str, float] = {}

    def __enter__(self) -> ProgressBar:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def __call__(self, status: TrainStatus) -> None:
        """Show a status."""
        # The same text goes into the bar and into the lines of a log.
        text = line(status, self.recipe.schedule.epochs)
        self.progress.update(
            self.task,
            total=status.steps,
            completed=status.step,
            description=text,
            left=f"-{clock(status.eta_s)}",
        )

        # New metrics get a line that stays.
        if status.metrics and status.metrics != self.metrics:
            self.metrics = dict(status.metrics)
            found = ", ".join(f"{k} {percent(v)}" for k, v in status.metrics.items())
            self.console.print(
                f"validation, step {status.step}: {found} (best {100 * status.best:.2f})",
                soft_wrap=True,
                highlight=False,
            )

        # In a log file a line now and then is enough.
        if not self.live and time.monotonic() - self.shown > LINE_EVERY_S:
            self.shown = time.monotonic()
            self.console.print(
                f"{text}, {clock(status.eta_s)} left", soft_wrap=True, highlight=False
            )


def line(status: TrainStatus, epochs: int) -> str:
    """The status in one line."""
    losses = " ".join(f"{k} {v:.4g}" for k, v in status.losses.items())
    return (
        f"epoch {status.epoch + 1}/{epochs} step {status.step}/{status.steps} {losses} lr"
        f" {status.lr:.2g} {status.samples_per_s:.1f}/s waiting {100 * status.waiting:.0f} %"
    )


def percent(value: float) -> str:
    """A metric as text; ``-`` for -1, where the data has nothing of the kind."""
    return "-" if value == -1 else f"{100 * value:.2f}"


def clock(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    # The rate is unknown at the first step.
    if math.isnan(seconds):
        return "?"
    whole = int(seconds)
    return (
        f"{whole // 3600}h{whole % 3600 // 60:02d}"
        if whole >= 3600
        else f"{whole // 60}m{whole % 60:02d}"
    )


def show_recipes() -> None:
    """All recipes, one per line."""
    from rich.table import Table

    table = Table("recipe", "kind", "model", "epochs", "batch size", "lr")
    # Built one by one: a recipe is made by calling its entry.
    for name, make in all_recipes().items():
        recipe = make()
        schedule = recipe.schedule
        numbers = (str(schedule.epochs), str(schedule.batch_size), f"{recipe.optimizer.lr:g}")
        table.add_row(name, recipe.kind, recipe.model, *numbers)
    print_table(table)


def show_result(result: TrainResult, card: ModelCard, share_of_image: float = 1.0) -> None:
    """Where the files are, and how to go on.

    Args:
        result: Of the training.
        card: Of the model.
        share_of_image: How much of an image's side the annotated boxes take.
    """
    status = result.status
    # Metrics first, then the files.
    for key, value in status.metrics.items():
        typer.echo(f"{key} {percent(value)}")
    if not result.finished:
        typer.echo(
            f"stopped at step {status.step} of {status.steps}; go on with the same command and"
            " --resume"
        )
        return

    # Without validation there is no best; a resumed training may have none in this folder either.
    files = [result.folder / f"{name}.safetensors" for name in ("best", "last")]
    written = [file for file in files if file.is_file()]
    typer.echo(f"wrote {' and '.join(map(str, written))}")
    if not status.metrics:
        typer.echo("nothing was held out to evaluate on: there is no best.safetensors")
    for text in next_steps(written[0], card, share_of_image):
        typer.echo(text)


def next_steps(model: Path, card: ModelCard, share_of_image: float = 1.0) -> list[str]:
    """Commands that use a trained model, one per line.

    Args:
        model: Its file.
        card: Its card.
        share_of_image: How much of an image's side the boxes it was trained in take.
    """
    if card.is_detector:
        return [
            f"use it:     rtmpose predict photo.jpg --detector {model} -o out",
            f"export it:  rtmpose export {model} --to onnx -o exports",
        ]
    if not card.is_pose:
        return []

    # A detector of people finds no mice: such models get whole images, or boxes.
    person = card.task in ("body", "body-feet", "wholebody")
    where = "" if person and card.own_skeleton is None else " --detector none"
    if where and share_of_image < WHOLE_IMAGE:
        return [
            f"score it:   rtmpose eval pose test.json --pose {model}",
            f"use it:     rtmpose predict photo.jpg --pose {model} --detector FILE -o out",
            f"            its boxes take {100 * share_of_image:.0f} % of an image's side, so whole"
            " images will not do: it needs a detector (rtmpose train person-detector --init"
            " rtmdet-nano-finetuned --data ...), or photos cut to the boxes with --detector none",
            f"export it:  rtmpose export {model} --to onnx -o exports",
        ]
    return [
        f"use it:     rtmpose predict photo.jpg --pose {model}{where} -o out",
        f"export it:  rtmpose export {model} --to onnx -o exports",
    ]
