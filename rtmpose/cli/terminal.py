"""What commands show: progress on stderr, and the account of a job at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rtmpose.cli.standard_streams import tell
from rtmpose.shown_names import shown_name, utf8_name
from rtmpose.signals import JobInterrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from rtmpose.writers.report import JobProgress, JobReport

SHOWN_PATHS = 10
MANY_FRAMES = 100
"""From here on it is said that there is a faster engine."""


def stderr_console() -> Console:
    """A rich console on stderr, so that stdout stays clean for results."""
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def job_progress() -> Iterator[Callable[[JobProgress], None]]:
    """A progress bar; gives the function that a job calls after every frame."""
    console = stderr_console()
    # In a log file a bar is only noise.
    bar = _progress_bar(console) if console.is_terminal else nullcontext(_show_nothing)
    try:
        with bar as show:
            yield show
    # Told below the bar, which is gone by now.
    except JobInterrupted as interruption:
        tell(f"rtmpose: {interruption}")
        raise


def _show_nothing(state: JobProgress) -> None:
    pass


@contextmanager
def _progress_bar(console: Console) -> Iterator[Callable[[JobProgress], None]]:
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None, fps="", visible=False)

        # A file's name is enough; URLs without one are shown whole. Brackets are no markup.
        def show(state: JobProgress) -> None:
            name = escape(shown_name(Path(state.source).name or state.source))
            progress.update(
                task,
                description=name if state.stage == "estimate" else f"{name}: writing",
                completed=state.frames,
                total=state.total,
                fps=f"{state.fps:.1f} fps",
                visible=True,
            )

        yield show


def print_report(report: JobReport, *, results_on_stdout: bool = False, shown: bool = False) -> int:
    """Print what a job did; the exit status, 1 if a source failed.

    Args:
        report: From the job.
        results_on_stdout: Print to stderr, as stdout holds results.
        shown: The frames were shown in a window.
    """
    # The sum, then what was unusual, then the files.
    frames = f"{report.frames} frame{'s' * (report.frames != 1)}"
    fps = report.frames / max(report.seconds, 1e-9)
    people = f"{report.people} {'person' if report.people == 1 else 'people'}"
    lines = [f"{frames}, {people} in {report.seconds:.2f} s ({fps:.1f} fps)"]
    # Where the only source failed, the error says everything.
    if report.failures and not report.frames:
        lines = []
    if report.dropped:
        lines.append(f"{report.dropped} frames of live sources were dropped to stay up to date")
    if report.skipped:
        sources = "source was" if report.skipped == 1 else "sources were"
        lines.append(f"{report.skipped} {sources} finished by an earlier run")
    if report.frames == 1 and report.last is not None:
        lines.append(str(report.last))

    # A long list of files helps nobody.
    paths = report.written
    lines += [f"wrote {path}" for path in paths[:SHOWN_PATHS]]
    if len(paths) > SHOWN_PATHS:
        folders = {str(path.parent) for path in paths[SHOWN_PATHS:]}
        place = f" in {folders.pop()}" if len(folders) == 1 else ""
        lines.append(f"... and {len(paths) - SHOWN_PATHS} more{place}")
    if report.frames > 1 and not paths and not results_on_stdout and not shown:
        lines.append("nothing was written: -o FOLDER draws, --json, --jsonl or --csv PATH writes")
    for line in lines:
        typer.echo(utf8_name(line), err=results_on_stdout)

    # Only after a long run is it worth a line.
    if report.frames >= MANY_FRAMES:
        from rtmpose.backends.selection import faster_install

        command = faster_install()
        if command is not None:
            typer.echo(f"a faster engine for CPUs: {command}", err=True)

    # What is missing goes to standard error, whatever else stands on standard output.
    for line in report.left_out:
        typer.echo(line, err=True)
    for failure in report.failures:
        typer.echo(f"rtmpose: {failure}", err=True)
    return 1 if report.failures else 0
