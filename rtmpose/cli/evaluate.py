"""``rtmpose eval``: accuracy on a COCO-format keypoint set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rtmpose.cli import options


def evaluate(
    data: Annotated[Path, typer.Argument(help="COCO keypoint annotations, or the folder that holds them and images/.")],
    pose: options.Pose = "rtmpose-s",
    detector: options.DetectorName = "yolox-tiny",
    boxes: Annotated[
        str, typer.Option(help="Whose boxes: gt (annotated), detect, or a COCO detection results file.")
    ] = "gt",
    flip_test: Annotated[
        bool, typer.Option(help="Average with the mirrored image: a little better, twice the time.")
    ] = False,
    box_thr: Annotated[float, typer.Option(min=0, max=1, help="Lowest score of a detected box.")] = 0.05,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    threads: options.Threads = 0,
    precision: options.Precision = "fp32",
    limit: Annotated[int | None, typer.Option(min=1, help="First so many images.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write metrics and settings.")] = None,
    results_file: Annotated[Path | None, typer.Option("--results", help="Write the poses as COCO results.")] = None,
) -> int:
    """Score a pose model: COCO AP and AR, PCK@0.2 with annotated boxes, people and milliseconds per image.

    Example: rtmpose eval coco/annotations/person_keypoints_val2017.json --boxes detect --json out.json
    """
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from rtmpose.backends import BackendOptions
    from rtmpose.cli.terminal import stderr_console
    from rtmpose.detect.detector import Detector
    from rtmpose.evaluate import KeypointDataset
    from rtmpose.evaluate import evaluate as run
    from rtmpose.pose.rtmpose import PoseEstimator
    from rtmpose.sinks.journal import write_text

    dataset = KeypointDataset.load(data)
    settings = BackendOptions(backend, device, threads, precision=precision)  # type: ignore[arg-type]
    estimator = PoseEstimator(pose, options=settings)
    finder = Detector(detector, options=settings) if boxes == "detect" else None
    with Progress(console=stderr_console(), transient=True) as progress:
        task = progress.add_task("images", total=len(dataset.images))
        result = run(
            dataset,
            estimator,
            boxes=boxes,
            detector=finder,
            flip_test=flip_test,
            box_thr=box_thr,
            limit=limit,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    table = Table(
        title=f"{estimator.card.id} on {dataset.path.name}, boxes: {boxes}{', flip test' if flip_test else ''}"
    )
    table.add_column("metric")
    table.add_column("%", justify="right")
    for name, value in result.metrics.items():
        table.add_row(name, f"{100 * value:.2f}")
    Console().print(table)
    typer.echo(
        f"{result.images} images ({result.skipped} skipped), {result.people_per_image:.1f} people and "
        f"{result.ms_per_image:.1f} ms per image; {estimator.backend.engine} {estimator.backend.precision}"
    )
    for path, content in ((json_file, result.to_dict()), (results_file, result.results)):
        if path:
            write_text(path, json.dumps(content, indent=2 if path == json_file else None) + "\n")
            typer.echo(f"wrote {path}")
    return 1 if result.skipped else 0
