"""``rtmpose predict``: keypoints of images, videos, cameras and streams."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtmpose.cli import options
from rtmpose.errors import InputError

if TYPE_CHECKING:
    from rtmpose.pipeline import Pipeline, Result
    from rtmpose.sources import SourceItem
    from rtmpose.types import Poses
    from rtmpose.writers import PictureSink, ResultWriter, Window


class Background(str, Enum):
    """What poses are drawn on."""

    image = "image"
    black = "black"


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Images, videos, folders, glob patterns, camera indices (0), RTSP or HTTP URLs."
        ),
    ],
    pose: options.Pose = options.POSE,
    detector: options.DetectorName = options.DETECTOR,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    threads: options.Threads = 0,
    precision: options.Precision = "auto",
    allow_spinning: options.Spinning = False,
    boxes: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Boxes to use instead of a detector: COCO results JSON with image (or image_id) and"
                " bbox (x, y, w, h)."
            )
        ),
    ] = None,
    antialias: Annotated[
        bool,
        typer.Option(
            "--antialias",
            help="Cut large people without aliasing: a little better, a little slower.",
        ),
    ] = False,
    score_thr: Annotated[float, typer.Option(min=0, max=1, help="Lowest box score taken.")] = 0.3,
    kpt_thr: Annotated[float, typer.Option(min=0, help="Lowest keypoint score drawn.")] = 0.3,
    save: Annotated[
        Path | None, typer.Option(help="Folder for annotated pictures and videos.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="COCO results: image, bbox, score, keypoints.")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Table, one row per person.")
    ] = None,
    show: Annotated[bool, typer.Option(help="Show a window; q or Escape stops.")] = False,
    background: Annotated[
        Background, typer.Option(help="Draw on the image or on black.")
    ] = Background.image,
    draw_scores: Annotated[bool, typer.Option(help="Write the scores beside the people.")] = False,
    max_people: Annotated[
        int | None, typer.Option(min=1, help="Take only the surest boxes of a frame.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Frames taken of each source.")] = None,
    resume: Annotated[
        bool, typer.Option(help="Skip the sources an interrupted run has finished.")
    ] = False,
) -> int:
    """Find people and their keypoints.

    Examples:
      rtmpose predict photo.jpg --save out

      rtmpose predict videos/ --json poses.json --csv poses.csv --resume

      rtmpose predict 0 --show          (camera)
    """
    from rtmpose.pipeline import Pipeline
    from rtmpose.sources import expand_sources
    from rtmpose.writers import PictureSink, ResultWriter, Window

    items = expand_sources(sources)
    given = _read_boxes(boxes) if boxes else None
    whole = detector.lower() == "none"
    pipeline = Pipeline(
        None if whole or given else detector,
        pose,
        backend=backend,
        device=device,
        threads=threads,
        precision=precision,
        allow_spinning=allow_spinning,
        box_thr=score_thr,
        max_people=max_people,
        whole_image=whole,
        antialias=antialias,
    )
    settings = {
        "pose": pipeline.pose.card.id,
        "detector": pipeline.detector.card.id if pipeline.detector else str(boxes or "none"),
        "score_thr": score_thr,
        "max_people": max_people,
        "antialias": antialias,
        "limit": limit,
    }
    with ExitStack() as stack:
        window = Window() if show else None
        if window:
            stack.callback(window.close)
        pictures = PictureSink(save) if save else None
        writer = stack.enter_context(
            ResultWriter(json_file, csv_file, settings, pipeline.skeleton, resume=resume)
        )
        job = _Job(pipeline, writer, pictures, window, given, limit)
        job.style = {"kpt_thr": kpt_thr, "scores": draw_scores, "background": background.value}
        job.run(items)
    return job.report([p for p in (json_file, csv_file) if p])


class _Job:
    """The loop of the command with its progress bar and its account of what went well and what did
    not.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        writer: ResultWriter,
        pictures: PictureSink | None,
        window: Window | None,
        given: Callable[[SourceItem, int], Any] | None,
        limit: int | None,
    ) -> None:
        self.pipeline, self.writer, self.pictures, self.window = pipeline, writer, pictures, window
        self.given, self.limit = given, limit
        self.style: dict[str, Any] = {}
        self.failures: list[str] = []
        self.frames = self.skipped = 0
        self.started = time.perf_counter()
        self.last: Poses | None = None

    def run(self, items: list[SourceItem]) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        from rtmpose.cli.terminal import stderr_console

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[fps]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=stderr_console(), transient=True) as progress:
            for item in items:
                if self.writer.is_done(item.name):
                    self.skipped += 1
                    continue
                if not self._source(item, progress):
                    break

    def report(self, outputs: list[Path]) -> int:
        seconds = time.perf_counter() - self.started
        saved = self.pictures.saved if self.pictures else []
        frames = f"{self.frames} frame{'s' * (self.frames != 1)}"
        typer.echo(
            f"{frames}, {self.writer.people} people in {seconds:.2f} s ({self.frames / seconds:.1f}"
            " fps)"
        )
        if self.skipped:
            typer.echo(f"{self.skipped} sources were finished by an earlier run")
        if self.frames == 1 and self.last is not None:
            typer.echo(repr(self.last))
        for path in [*saved[:10], *outputs]:
            typer.echo(f"wrote {path}")
        if len(saved) > 10:
            typer.echo(f"... and {len(saved) - 10} more in {saved[0].parent}")
        for failure in self.failures:
            typer.echo(f"rtmpose: {failure}", err=True)
        return 1 if self.failures else 0

    def _source(self, item: SourceItem, progress: Any) -> bool:
        """Work through one source; False when the user closed the window."""
        from rtmpose.sources import probe

        task = None
        try:
            info = probe(item)
            total = min(info.frames, self.limit) if info.frames and self.limit else info.frames
            task = progress.add_task(
                Path(item.name).name or item.name, total=self.limit if item.live else total, fps=""
            )
            start = time.perf_counter()
            results = self.pipeline.run([item], boxes=self.given, limit=self.limit)
            for count, result in enumerate(results, 1):
                going_on = self._frame(item, info, result)
                progress.update(
                    task, completed=count, fps=f"{count / (time.perf_counter() - start):.1f} fps"
                )
                if not going_on:
                    return False
        except InputError as error:
            self.failures.append(str(error))
            self.writer.failed = True
            return True
        finally:
            if self.pictures:
                self.pictures.finish()
            if task is not None:
                progress.remove_task(task)
        self.writer.finish(item.name)
        return True

    def _frame(self, item: SourceItem, info: Any, result: Result) -> bool:
        self.frames += 1
        self.last = result.poses
        self.writer.write(
            item.name, result.frame, result.poses, video=item.kind not in ("image", "array")
        )
        if not (self.pictures or self.window):
            return True
        drawn = result.draw(**self.style)
        if self.pictures:
            self.pictures.write(item, info, drawn)
        return self.window.show(drawn) if self.window else True


def _read_boxes(path: Path) -> Callable[[SourceItem, int], Any]:
    """A function that finds the boxes of a source and frame in a COCO results file; an image
    without any has none.
    """
    from rtmpose.types import Detections, check_boxes

    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        rows: dict[tuple[str, int], list[tuple[list[float], float]]] = {}
        for entry in entries:
            x, y, w, h = entry["bbox"]
            name = str(entry.get("image", entry.get("image_id")))
            place = (Path(name).name, int(entry.get("frame", 0)))
            rows.setdefault(place, []).append(
                ([x, y, x + w, y + h], float(entry.get("score", 1.0)))
            )
    except OSError as error:
        raise InputError(f"the boxes file {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"the boxes file {path} is not a JSON list of objects with image (or image_id) and bbox"
            f" [x, y, w, h]: {error!r}"
        ) from error
    for found in rows.values():
        check_boxes([box for box, _ in found])

    def boxes_of(item: SourceItem, frame: int) -> Detections:
        name = Path(item.name)
        keys = [name.name, name.stem] + ([str(int(name.stem))] if name.stem.isdecimal() else [])
        found = next((rows[k, frame] for k in keys if (k, frame) in rows), [])
        return Detections.from_boxes([box for box, _ in found], [score for _, score in found])

    return boxes_of
