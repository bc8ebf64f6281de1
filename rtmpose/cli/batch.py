"""``rtmpose batch``: thousands of sources on many machines, each exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli import options
from rtmpose.cli.groups import expand_groups
from rtmpose.cli.track import TRACKING, PublishedOptions, TrackOptions, tracker_params
from rtmpose.errors import InputError
from rtmpose.ranges import COUNT, FPS, FRACTION, FRAMES, SECONDS, THREADS
from rtmpose.signals import JobInterrupted
from rtmpose.writers.table import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtmpose.batch.report import BatchReport
    from rtmpose.batch.run import BatchOptions, BatchProgress
    from rtmpose.batch.settings import BatchSettings

WORK = "Work"
TELL_S = 30.0
"""Seconds between two lines on the progress in a log file."""


@dataclass(frozen=True)
class WorkOptions:
    """What is done, by whom."""

    out: Annotated[
        str,
        typer.Option(
            "--out",
            "--output",
            "-o",
            metavar="FOLDER",
            help="Results, ledger and report; on a disk that all workers share, or in a store such"
            " as s3://.",
            rich_help_panel=WORK,
        ),
    ]
    task: Annotated[
        str, typer.Option(help="predict, or track (people keep an id).", rich_help_panel=WORK)
    ] = "predict"
    format: Annotated[
        str,
        typer.Option(
            help=(
                "parquet, a data set for all sources; or one file per source: "
                + ", ".join(row.name for row in FORMATS if row.name != "parquet")
                + "."
            ),
            rich_help_panel=WORK,
        ),
    ] = "parquet"
    status: Annotated[
        bool,
        typer.Option(
            "--status", help="Say what is done so far, and do nothing.", rich_help_panel=WORK
        ),
    ] = False
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Try sources again that failed.", rich_help_panel=WORK),
    ] = False
    redo_changed: Annotated[
        bool,
        typer.Option(
            "--redo-changed",
            help="Do sources again that have changed since they were done.",
            rich_help_panel=WORK,
        ),
    ] = False
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Do the part I (from 0) of N, such as in a SLURM array; needs no Ray.",
            rich_help_panel=WORK,
        ),
    ] = None
    workers: Annotated[
        int,
        THREADS,
        typer.Option(
            help="Workers; more than one needs Ray. 0: one, or with --address all there is room"
            " for.",
            rich_help_panel=WORK,
        ),
    ] = 0
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Ray: auto (a cluster that is up), local (this machine) or HOST:PORT.",
            rich_help_panel=WORK,
        ),
    ] = None
    cpus_per_worker: Annotated[
        int,
        THREADS,
        typer.Option(help="Cores of each worker of Ray; 0 chooses.", rich_help_panel=WORK),
    ] = 0
    gpus_per_worker: Annotated[
        float | None,
        FRACTION,
        typer.Option(
            help="GPUs of each worker of Ray, such as 0.5; by default one where there are any.",
            rich_help_panel=WORK,
        ),
    ] = None
    segment_s: Annotated[
        float,
        SECONDS,
        typer.Option(
            help="predict cuts longer videos into parts of about this length; 0 never does.",
            rich_help_panel=WORK,
        ),
    ] = 600.0
    photos_per_file: Annotated[
        int,
        COUNT,
        typer.Option(help="Photos in one file of the data set.", rich_help_panel=WORK),
    ] = 100
    column: Annotated[
        str | None,
        typer.Option(
            help="Column of manifests that holds the sources; else source, path, file, ...",
            rich_help_panel=options.INPUT,
        ),
    ] = None


@dataclass(frozen=True)
class FrameOptions:
    """Which frames are read."""

    start: Annotated[
        float,
        SECONDS,
        typer.Option(
            help="Seconds skipped at the start of a video.", rich_help_panel=options.INPUT
        ),
    ] = 0.0
    end: Annotated[
        float | None,
        SECONDS,
        typer.Option(help="Second at which a video stops.", rich_help_panel=options.INPUT),
    ] = None
    limit: Annotated[
        int | None,
        FRAMES,
        typer.Option(
            help="Maximum number of frames of each source.", rich_help_panel=options.INPUT
        ),
    ] = None
    flip: Annotated[
        bool,
        typer.Option(
            "--flip", help="Mirror the frames left to right.", rich_help_panel=options.INPUT
        ),
    ] = False
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive", help="Take folders in folders too.", rich_help_panel=options.INPUT
        ),
    ] = False
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse images with damaged pixels; else they are used, with a warning.",
            rich_help_panel=options.INPUT,
        ),
    ] = False


@dataclass(frozen=True)
class PeopleOptions:
    """Which people are taken, and how they are followed."""

    box_thr: Annotated[
        float | None,
        FRACTION,
        typer.Option(
            help="Lowest score of a detected box; 0.3 by default.",
            rich_help_panel=options.MODELS,
        ),
    ] = None
    max_people: Annotated[
        int | None,
        COUNT,
        typer.Option(
            help="At most this number of people per frame.", rich_help_panel=options.MODELS
        ),
    ] = None
    person_thr: options.PersonThr = None
    antialias: Annotated[
        bool,
        typer.Option(
            "--antialias",
            help="predict: crop large people without aliasing.",
            rich_help_panel=options.MODELS,
        ),
    ] = False
    smooth: Annotated[
        str,
        typer.Option(help="track: off, live, or offline (no lag).", rich_help_panel=TRACKING),
    ] = "live"
    det_interval: Annotated[
        str,
        typer.Option(help="track: frames between detections, or auto.", rich_help_panel=TRACKING),
    ] = "1"
    remember_s: Annotated[
        float,
        SECONDS,
        typer.Option(
            help="track: seconds for which a lost person is remembered at least.",
            rich_help_panel=TRACKING,
        ),
    ] = 1.0
    repair_swaps: Annotated[
        bool,
        typer.Option(
            help="track: repair left and right limbs that are swapped for a moment.",
            rich_help_panel=TRACKING,
        ),
    ] = True
    fps_limit: Annotated[
        float | None,
        FPS,
        typer.Option(help="track: maximum number of frames per second.", rich_help_panel=TRACKING),
    ] = None


@expand_groups
def batch(
    work: WorkOptions,
    models: options.ModelOptions,
    people: PeopleOptions,
    frames: FrameOptions,
    published: PublishedOptions,
    speed: options.SpeedOptions,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help=(
                "Images, videos, folders, glob patterns, lists (.txt, - for standard input),"
                " manifests (.csv, .parquet), URLs, s3://, gs:// and other stores of fsspec."
            )
        ),
    ] = None,
) -> int:
    """Work through thousands of sources, on one machine, a SLURM array or a Ray cluster.

    Every source is done exactly once: the same command goes on where an earlier one ended, and does
    what is missing. A source that fails costs only itself.

    Examples:
      rtmpose batch videos/ --out results

      rtmpose batch list.txt --out results --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT

      rtmpose batch manifest.parquet --column path --out /shared/results --address auto

      rtmpose batch --status --out results
    """
    from rtmpose.batch.remote_out import output_folder
    from rtmpose.batch.run import run_batch, status

    if work.status:
        with output_folder(work.out) as (out, _):
            return _print(status(out))
    if not sources:
        raise InputError("no source was given: name files, folders, patterns, lists or addresses")

    # Settings first: a mistake should not cost looking through a million names.
    settings = _settings(work, models, people, frames, published)
    asked = _options(work)
    from rtmpose.batch.listing import list_sources
    from rtmpose.batch.settings import EngineOptions

    listing = list_sources(sources, recursive=frames.recursive, column=work.column)
    engine = EngineOptions(
        speed.backend, speed.device, speed.threads, speed.precision, speed.allow_spinning
    )
    with output_folder(work.out) as (out, remote), _progress() as tell:
        report = run_batch(listing, out, settings, engine, asked, tell, remote)
    return _print(report)


def _settings(
    work: WorkOptions,
    models: options.ModelOptions,
    people: PeopleOptions,
    frames: FrameOptions,
    published: PublishedOptions,
) -> BatchSettings:
    from rtmpose.batch.settings import BatchSettings
    from rtmpose.cli.track import checked_interval

    # What track has too is read as track reads it.
    shared = {field.name for field in fields(TrackOptions)}
    tracking = TrackOptions(**{k: v for k, v in asdict(people).items() if k in shared})
    params = tracker_params(tracking, published)
    if frames.end is not None and frames.end <= frames.start:
        raise InputError(f"--end {frames.end:g} must be later than --start {frames.start:g}")
    return BatchSettings(
        task=work.task,
        format=work.format,
        pose=models.pose,
        detector=models.detector,
        skeleton=models.skeleton,
        det_label=models.det_label,
        card=models.card,
        box_thr=0.3 if people.box_thr is None else people.box_thr,
        max_people=people.max_people,
        person_thr=people.person_thr,
        antialias=people.antialias,
        tracker=asdict(params),
        det_interval=checked_interval(people.det_interval),
        smooth_offline=people.smooth == "offline",
        fps_limit=people.fps_limit,
        start_s=frames.start,
        end_s=frames.end,
        limit=frames.limit,
        flip=frames.flip,
        strict=frames.strict,
        segment_s=work.segment_s,
    )


def _options(work: WorkOptions) -> BatchOptions:
    from rtmpose.batch.cluster import ClusterOptions
    from rtmpose.batch.run import BatchOptions
    from rtmpose.batch.units import parse_shard

    cluster = ClusterOptions(work.address, work.workers, work.cpus_per_worker, work.gpus_per_worker)
    return BatchOptions(
        None if work.shard is None else parse_shard(work.shard),
        work.retry_failed,
        work.redo_changed,
        work.photos_per_file,
        cluster,
    )


@contextmanager
def _progress() -> Iterator[Callable[[BatchProgress], None]]:
    """A bar on a terminal, a line now and then in a log file."""
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from rtmpose.cli.standard_streams import tell
    from rtmpose.cli.terminal import stderr_console

    console = stderr_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}"),
    )
    told_s = time.monotonic()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("sources", total=None, words="", visible=False)

        def show(state: BatchProgress) -> None:
            nonlocal told_s
            failed = f", {state.failed} failed" if state.failed else ""
            words = f"{state.fps:.1f} frames/s{failed}"
            finished = int(state.done) + state.failed
            bar.update(task, completed=finished, total=state.total, words=words, visible=True)
            if not console.is_terminal and time.monotonic() - told_s >= TELL_S:
                told_s = time.monotonic()
                tell(f"{finished} of {state.total} sources, {state.frames} frames, {words}")

        try:
            yield show
        except JobInterrupted as interruption:
            bar.stop()
            tell(f"rtmpose: {interruption}")
            raise


def _print(report: BatchReport) -> int:
    for line in report.lines():
        typer.echo(line)
    for line in report.failure_lines():
        typer.echo(f"rtmpose: {line}", err=True)
    return 0 if report.is_good else 1
