"""What a training looks like in a terminal."""

from __future__ import annotations

import time
from types import TracebackType

import typer

from rtmpose.cli.terminal import stderr_console
from rtmpose.training.recipes import Recipe, all_recipes
from rtmpose.training.task import TrainResult, TrainStatus

LINE_EVERY_S = 30.0


class Bar:
    """Progress with losses, speed and time left: a bar in a terminal, a line now and then in a log
    file.
    """

    def __init__(self, recipe: Recipe) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.recipe, self.console = recipe, stderr_console()
        self.live = self.console.is_terminal
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self.progress = Progress(*columns, console=self.console, disable=not self.live)
        self.task = self.progress.add_task(recipe.name, total=None, left="")
        self.shown, self.metrics = 0.0, {}  # type: tuple[float, dict[str, float]]

    def __enter__(self) -> Bar:
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
        """Show it."""
        text = line(status, self.recipe.epochs)
        self.progress.update(
            self.task,
            total=status.steps,
            completed=status.step,
            description=text,
            left=f"-{clock(status.eta_s)}",
        )
        if status.metrics and status.metrics != self.metrics:
            self.metrics = dict(status.metrics)
            found = ", ".join(f"{k} {100 * v:.2f}" for k, v in status.metrics.items())
            self.console.print(
                f"held out, step {status.step}: {found} (best {100 * status.best:.2f})",
                soft_wrap=True,
                highlight=False,
            )
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


def clock(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    if seconds != seconds:
        return "?"
    whole = int(seconds)
    return (
        f"{whole // 3600}h{whole % 3600 // 60:02d}"
        if whole >= 3600
        else f"{whole // 60}m{whole % 60:02d}"
    )


def show_recipes() -> None:
    """All recipes, one a line."""
    from rich.console import Console
    from rich.table import Table

    table = Table("recipe", "kind", "model", "epochs", "batch", "lr")
    for name, make in all_recipes().items():
        r = make()
        table.add_row(name, r.kind, r.model, str(r.epochs), str(r.batch), f"{r.lr:g}")
    Console().print(table)


def show_result(result: TrainResult) -> None:
    """Where the files are, and how to go on."""
    status = result.status
    for key, value in status.metrics.items():
        typer.echo(f"{key} {100 * value:.2f}")
    if result.finished:
        typer.echo(f"wrote {result.folder / 'best.safetensors'} and last.safetensors")
    else:
        typer.echo(
            f"stopped at step {status.step} of {status.steps}; go on with the same command and"
            " --resume"
        )
