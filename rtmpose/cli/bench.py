"""``rtmpose bench``: where the time of a frame goes, on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rtmpose.cli import options


def bench(
    source: Annotated[str, typer.Argument(help="Image or video; a bundled photo by default.")] = "",
    pose: options.Pose = options.POSE,
    detector: options.DetectorName = options.DETECTOR,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    threads: options.Threads = 0,
    precision: options.Precision = "auto",
    allow_spinning: options.Spinning = False,
    frames: Annotated[
        int, typer.Option(min=1, help="Frames measured (an image or short video is repeated).")
    ] = 100,
    people: Annotated[
        int | None, typer.Option(min=1, help="Pretend to find exactly so many people.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the table as JSON.")
    ] = None,
) -> int:
    """Measure detect, crop, network, decode and draw: mean, median, 95th percentile, and frames per
    second.
    """
    from rich.table import Table

    from rtmpose.benchmark.stages import demo_photo, machine, measure
    from rtmpose.cli.terminal import stderr_console
    from rtmpose.pipeline import Pipeline
    from rtmpose.sources import expand_sources, iterate

    items = expand_sources([source or str(demo_photo())])
    images = [frame.image for _, frame in iterate(items, limit=min(frames, 64))]
    whole = detector.lower() == "none"
    pipeline = Pipeline(
        None if whole else detector,
        pose,
        backend=backend,
        device=device,
        threads=threads,
        precision=precision,
        allow_spinning=allow_spinning,
        whole_image=whole,
    )
    with stderr_console().status("measuring ..."):
        result = measure(pipeline, images, frames, people=people)
    table = Table(
        title=f"{items[0].name}: {result.people_per_frame:.1f} people per frame, {frames} frames"
    )
    for name in ("stage", "mean ms", "median ms", "p95 ms", "fps"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage in result.stages:
        row = (stage.mean_ms, stage.median_ms, stage.p95_ms)
        table.add_row(
            stage.name,
            *(f"{v:.2f}" for v in row),
            f"{1000 / stage.mean_ms:.0f}" if stage.mean_ms else "",
        )
    from rich.console import Console

    Console().print(table)
    made_by = pipeline.pose.backend
    typer.echo(f"{made_by.engine} on {made_by.device}, {made_by.precision}; {machine()}")
    if json_file:
        from rtmpose.files import write_text

        write_text(json_file, json.dumps(result.to_dict(), indent=2) + "\n")
        typer.echo(f"wrote {json_file}")
    return 0
