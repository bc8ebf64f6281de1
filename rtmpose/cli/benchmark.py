"""``rtmpose bench``: where the time of a frame goes, and how fast networks are, on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose import backend_table as table
from rtmpose.cli import options
from rtmpose.cli.named_models import named_card
from rtmpose.cli.tables import print_table
from rtmpose.errors import InputError, ModelError
from rtmpose.ranges import BATCH, COUNT, COUNT_OR_ZERO, PEOPLE, Range, shown
from rtmpose.text_files import to_json

if TYPE_CHECKING:
    from rtmpose.benchmark.pipelines import PipelineTiming
    from rtmpose.benchmark.stages import Measurement
    from rtmpose.model_card import ModelCard

MAX_IMAGES = 64
"""Frames kept in memory; longer sources are repeated after them."""
MAX_DIGITS = 10

Row = Mapping[str, str | float]

# ---- options


Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        help="Images, videos or folders; a bundled image by default. With --networks: names or"
        " files of models; detector and pose model by default."
    ),
]
Networks = Annotated[
    bool, typer.Option("--networks", help="Time networks alone, on ready tensors.")
]
Backends = Annotated[
    str | None,
    typer.Option(
        help=f"As in predict, or several such as {','.join(table.names()[:2])}, or all that are"
        " installed. Default: auto; with --networks all."
    ),
]
Precisions = Annotated[
    str | None,
    typer.Option(
        help="As in predict, or several such as fp32,bf16, or all. Default: auto for one backend,"
        " else all."
    ),
]
People = Annotated[
    str, typer.Option(help="People in every frame, such as 1,5,20, instead of those detected.")
]
Batch = Annotated[str, typer.Option(help="--networks: images per call, such as 1,4.")]
Limit = Annotated[
    int | None,
    COUNT,
    typer.Option(
        help="Frames measured, 100 by default; short sources are repeated. With --networks: calls"
        " of each network, 200 by default.",
    ),
]
Warmup = Annotated[
    int | None,
    COUNT_OR_ZERO,
    typer.Option(help="Frames or calls before them; 5 and 50 by default."),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the figures as JSON.")]


# ---- the command


@dataclass(frozen=True)
class _Settings:
    """What both kinds of measurement share."""

    backends: list[str]
    device: str
    precisions: list[str]
    threads: int
    allow_spinning: bool
    limit: int
    warmup: int


@dataclass(frozen=True)
class _Models:
    """The networks of a pipeline, and what their files are where they do not say."""

    detector: str | None
    pose: str
    card: ModelCard | None
    detector_card: ModelCard | None


def bench(
    inputs: Inputs = None,
    networks: Networks = False,
    pose: options.Pose = options.POSE,
    detector: options.DetectorName = options.DETECTOR,
    card: options.CardName = None,
    detector_card: options.DetectorCardName = None,
    backend: Backends = None,
    device: options.Device = "auto",
    precision: Precisions = None,
    people: People = "",
    batch: Batch = "1",
    threads: options.Threads = 0,
    allow_spinning: options.AllowSpinning = False,
    limit: Limit = None,
    warmup: Warmup = None,
    markdown: Markdown = False,
    json_file: JsonFile = None,
) -> int:
    """Measure detection, cropping, network, decoding and drawing: mean, median, 95th percentile
    and frames per second.

    Several backends, precisions or numbers of people give a table with a row for each. Networks
    alone are timed with --networks.

    Examples:
      rtmpose bench clip.mp4

      rtmpose bench --backend all --people 1,5,20 --markdown

      rtmpose bench --networks rtmpose-s rtmdet-nano --batch 1,4
    """
    # "all" means several rows, so that a single row gets the stages in detail.
    whole_image = detector.lower() == "none"
    backends = _names(backend or ("all" if networks else "auto"))
    several = len(backends) > 1 or backends == ["all"]
    settings = _Settings(
        backends,
        device,
        _names(precision or ("all" if several or networks else "auto")),
        threads,
        allow_spinning,
        limit or (200 if networks else 100),
        warmup if warmup is not None else (50 if networks else 5),
    )

    # Networks alone, on random images.
    if networks:
        alone = inputs or ([pose] if whole_image else [detector, pose])
        rows = _measure_networks(alone, _numbers("--batch", batch, BATCH), settings)
        _print_table(rows, markdown)
        _finish(rows, json_file)
        return 0

    # Whole pipelines: the stages of one, or a row for each of several.
    sources = inputs or [str(_demo_photo())]
    _refuse_model_names(sources)
    counts = [*_numbers("--people", people, PEOPLE)] if people else [None]
    models = _Models(
        None if whole_image else detector, pose, named_card(card), named_card(detector_card)
    )
    timings = _measure_pipelines(sources, models, counts, settings)
    if len(timings) == 1:
        _print_stages(timings[0], Path(sources[0]).name, markdown)
        _finish(timings[0].measurement.to_dict(), json_file)
    else:
        rows = [timing.to_dict() for timing in timings]
        _print_table(rows, markdown)
        _finish(rows, json_file)
    return 0


# ---- measuring


def _measure_networks(
    models: Sequence[str], batches: Sequence[int], settings: _Settings
) -> list[dict[str, str | float]]:
    from rtmpose.benchmark.networks import measure_networks
    from rtmpose.cli.terminal import stderr_console

    with stderr_console().status("opening ...") as status:
        timings = measure_networks(
            models,
            backends=settings.backends,
            device=settings.device,
            precisions=settings.precisions,
            batches=batches,
            warm_up=settings.warmup,
            iterations=settings.limit,
            threads=settings.threads,
            allow_spinning=settings.allow_spinning,
            on_progress=status.update,
        )
    return [timing.to_dict() for timing in timings]


def _measure_pipelines(
    sources: Sequence[str],
    models: _Models,
    people: Sequence[int | None],
    settings: _Settings,
) -> list[PipelineTiming]:
    from rtmpose.benchmark.networks import run_configs
    from rtmpose.benchmark.pipelines import measure_pipelines
    from rtmpose.cli.terminal import stderr_console
    from rtmpose.sources import expand_sources, iterate
    from rtmpose.zoo import resolve

    # Frames are read before the measurement, which must not wait for a disk.
    items = expand_sources(list(sources), limit=min(settings.limit, MAX_IMAGES))
    images = [frame.image for _, frame in iterate(items)][:MAX_IMAGES]
    path, _ = resolve(models.pose)
    with stderr_console().status("measuring ...") as status:
        return measure_pipelines(
            models.detector,
            models.pose,
            images,
            run_configs(path, settings.backends, settings.device, settings.precisions),
            people=people,
            frames=settings.limit,
            warm_up=settings.warmup,
            threads=settings.threads,
            allow_spinning=settings.allow_spinning,
            card=models.card,
            detector_card=models.detector_card,
            on_progress=status.update,
        )


def _demo_photo() -> Path:
    from rtmpose.benchmark.stages import demo_photo

    return demo_photo()


# ---- printing


def _print_stages(timing: PipelineTiming, source: str, markdown: bool) -> None:
    """One row per stage."""
    result: Measurement = timing.measurement
    # The mean decides the frames per second: slow frames count.
    rows: list[Row] = [
        {
            "stage": stage.name,
            "mean ms": stage.mean_ms,
            "median ms": stage.median_ms,
            "p95 ms": stage.p95_ms,
            "fps": round(1000 / stage.mean_ms) if stage.mean_ms else 0,
        }
        for stage in result.stages
    ]
    _print_table(rows, markdown)
    boxes = f"{result.people_per_frame:.1f} boxes per frame"
    typer.echo(f"{source}: {boxes}, {result.frames} frames")
    typer.echo(f"{timing.backend} on {timing.device}, {timing.precision}")


def _print_table(rows: Sequence[Row], markdown: bool) -> None:
    header = list(rows[0])
    # Figures have two decimals; names stay as they are.
    lines = [[f"{v:.2f}" if isinstance(v, float) else str(v) for v in r.values()] for r in rows]
    if markdown:
        for line in (header, ["---"] * len(header), *lines):
            typer.echo("| " + " | ".join(line) + " |")
        typer.echo()  # what follows is not part of the table
        return

    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    grid = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in header:
        text = all(isinstance(row[name], str) for row in rows)
        grid.add_column(name.replace("_", " "), justify="left" if text else "right")
    for line in lines:
        grid.add_row(*map(escape, line))
    print_table(grid)


def _finish(result: object, json_file: Path | None) -> None:
    """The machine, and the file where one was asked for."""
    from rtmpose.benchmark.stages import machine

    typer.echo(machine())
    if json_file:
        from rtmpose.files import write_text

        write_text(json_file, to_json(result, indent=2) + "\n")
        typer.echo(f"wrote {json_file}")


# ---- reading options


def _names(text: str) -> list[str]:
    """A list of names separated by commas, in lower case."""
    return [name.strip().lower() for name in text.split(",") if name.strip()]


def _refuse_model_names(sources: list[str]) -> None:
    """Say what to do with the name of a model where frames are expected."""
    from rtmpose.zoo import find

    for source in sources:
        if Path(source).exists() or source.isdecimal():
            continue
        try:
            find(source)
        except ModelError:
            continue
        raise InputError(
            f"{source} is a model, not an image or a video: give it as --pose or --detector, or"
            f" time it alone with --networks {source}"
        )


def _numbers(option: str, text: str, allowed: Range) -> list[int]:
    """A list of numbers separated by commas, each in its range."""
    parts = [part.strip() for part in text.split(",")]
    # Longer numbers are out of any range, and Python does not read the longest.
    numbers = [int(part) for part in parts if part.isdecimal() and len(part) < MAX_DIGITS]
    if len(numbers) < len(parts) or not all(map(allowed.holds, numbers)):
        span = f"from {allowed.low} to {allowed.high:,}"
        raise InputError(f"{option} takes numbers {span} such as 1,4, not {shown(text)}")
    return numbers
