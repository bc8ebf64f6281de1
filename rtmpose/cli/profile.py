"""``rtmpose profile``: networks, and whole pipelines, in every engine installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from rtmpose.cli import options


def profile(
    models: Annotated[
        list[str] | None, typer.Argument(help="Names or files; the default pair without.")
    ] = None,
    backend: Annotated[
        str, typer.Option(help="onnxruntime, openvino, or all that are installed.")
    ] = "all",
    batch: Annotated[str, typer.Option(help="Images per call, such as 1,4.")] = "1",
    warmup: Annotated[int, typer.Option(min=0, help="Rounds before the measurement.")] = 50,
    iterations: Annotated[
        int, typer.Option(min=1, help="Rounds measured; all networks take turns in each.")
    ] = 200,
    images: Annotated[
        Path | None, typer.Option(help="--pipeline: folder of photographs; a bundled one without.")
    ] = None,
    pipeline: Annotated[
        bool, typer.Option("--pipeline", help="Time whole pipelines at 1, 5 and 20 people.")
    ] = False,
    detector: options.DetectorName = options.DETECTOR,
    pose: options.Pose = options.POSE,
    threads: options.Threads = 0,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the table as JSON.")
    ] = None,
) -> int:
    """Time networks alone, on ready tensors, or with --pipeline all that happens to a frame.

    Examples:
      rtmpose profile rtmpose-s rtmdet-nano --batch 1,4

      rtmpose profile --pipeline --markdown
    """
    from rtmpose.benchmark.networks import profile_networks
    from rtmpose.benchmark.stages import machine
    from rtmpose.cli.terminal import stderr_console
    from rtmpose.errors import InputError

    sizes = [int(b) for b in batch.split(",") if b.isdigit() and int(b) > 0]
    if not sizes or len(sizes) != len(batch.split(",")):
        raise InputError(f"--batch takes numbers from 1 such as 1,4, not {batch!r}")
    rows: list[dict[str, Any]]
    with stderr_console().status("opening ...") as status:
        if pipeline:
            rows = _pipelines(detector, pose, backend, threads, images, iterations, status.update)
        else:
            found = profile_networks(
                models or [detector, pose],
                backend=backend,
                batches=sizes,
                warm_up=warmup,
                iterations=iterations,
                threads=threads,
                on_progress=status.update,
            )
            rows = [row.to_dict() for row in found]
    head = list(rows[0])
    texts = [[f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    if markdown:
        for line in (head, ["---"] * len(head), *texts):
            typer.echo("| " + " | ".join(line) + " |")
        typer.echo()  # what follows is no row
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(*head)
        for line in texts:
            table.add_row(*line)
        Console().print(table)
    typer.echo(machine())
    if json_file:
        from rtmpose.files import write_text

        write_text(json_file, json.dumps(rows, indent=2) + "\n")
        typer.echo(f"wrote {json_file}")
    return 0


def _pipelines(
    detector: str,
    pose: str,
    backend: str,
    threads: int,
    folder: Path | None,
    frames: int,
    tell: Any,
) -> list[dict[str, Any]]:
    from rtmpose.benchmark.networks import engines
    from rtmpose.benchmark.stages import demo_photo, measure
    from rtmpose.pipeline import Pipeline
    from rtmpose.sources import expand_sources, iterate

    items = expand_sources([str(folder or demo_photo())])
    pictures = [frame.image for _, frame in iterate(items, limit=64)][:64]
    rows = []
    for engine, precision in engines(backend):
        opened = Pipeline(
            detector, pose, backend=engine, device="cpu", threads=threads, precision=precision
        )
        for people in (1, 5, 20):
            tell(f"{engine} {precision}, {people} people ...")
            result = measure(opened, pictures, min(frames, 100), people=people)
            total = next(s for s in result.stages if s.name == "total")
            stages = {
                f"{s.name}_ms": round(s.median_ms, 2)
                for s in result.stages
                if s.name in ("detect", "network")
            }
            rows.append(
                {
                    "engine": engine,
                    "precision": precision,
                    "people": people,
                    **stages,
                    "total_median_ms": total.median_ms,
                    "fps": 1000 / total.median_ms,
                }
            )
    return rows
