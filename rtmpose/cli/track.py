"""``rtmpose track``: people followed through videos, cameras and streams, with ids."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli import options
from rtmpose.cli.groups import FormatPaths, expand_groups
from rtmpose.cli.lab_formats import LabFormatOptions, lab_outputs
from rtmpose.errors import InputError
from rtmpose.ranges import (
    COUNT,
    FPS,
    FRACTION,
    SECONDS,
    TRACKER,
    TRAIL,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtmpose.cli.boxes_file import FileBoxes
    from rtmpose.detector import Detector
    from rtmpose.sources import SourceItem
    from rtmpose.tracking import TrackerParams
    from rtmpose.tracking.video import VideoTracker
    from rtmpose.writers.outputs import Outputs

log = logging.getLogger(__name__)

TRACKING = "Tracking"
PUBLISHED = "Published tracker parameters"
DEFAULT_FOLDER = Path("tracks")
MAX_DIGITS = 10


# ---- options


@dataclass(frozen=True)
class TrackOptions:
    """How people are followed: what the published parameters do not cover."""

    boxes: options.BoxesFile = None
    smooth: Annotated[
        str,
        typer.Option(
            help="off, live (one-euro filter), or offline: no lag, gaps filled, files only.",
            rich_help_panel=TRACKING,
        ),
    ] = "live"
    det_interval: Annotated[
        str,
        typer.Option(
            help=(
                "Frames between detections, or auto: when a track is uncertain or the scene"
                " changes."
            ),
            rich_help_panel=TRACKING,
        ),
    ] = "1"
    box_thr: Annotated[
        float | None,
        FRACTION,
        typer.Option(
            help="Lowest score of a detected box; the same as --det-thr.",
            rich_help_panel=TRACKING,
        ),
    ] = None
    max_people: Annotated[
        int | None,
        COUNT,
        typer.Option(
            help="At most this number of people per frame; the same as --pose-max-num-bboxes.",
            rich_help_panel=TRACKING,
        ),
    ] = None
    person_thr: options.PersonThr = None
    remember_s: Annotated[
        float,
        SECONDS,
        typer.Option(
            help="Seconds for which a lost person is remembered at least, if seen for long.",
            rich_help_panel=TRACKING,
        ),
    ] = 1.0
    repair_swaps: Annotated[
        bool,
        typer.Option(
            help="Repair left and right limbs that are swapped for a moment.",
            rich_help_panel=TRACKING,
        ),
    ] = True
    fps_limit: Annotated[
        float | None,
        FPS,
        typer.Option(help="Maximum number of frames per second.", rich_help_panel=TRACKING),
    ] = None
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help="All sources at the same time, sharing the networks' calls.",
            rich_help_panel=TRACKING,
        ),
    ] = False
    ids: Annotated[bool, typer.Option(help="Draw the ids.", rich_help_panel=options.DRAWING)] = True
    trail: Annotated[
        int,
        TRAIL,
        typer.Option(
            help="Draw the path of each person over this number of frames.",
            rich_help_panel=options.DRAWING,
        ),
    ] = 0


@dataclass(frozen=True)
class PublishedOptions:
    """The parameters of the published tracker, under their published names."""

    det_thr: Annotated[
        float,
        TRACKER["det_thr"],
        typer.Option(help="Lowest score of a detected box.", rich_help_panel=PUBLISHED),
    ] = 0.3
    det_min_bbox_size: Annotated[
        float,
        TRACKER["det_min_bbox_size"],
        typer.Option(
            help="Smallest detected box, as the square root of its area; -1 any.",
            rich_help_panel=PUBLISHED,
        ),
    ] = -1
    det_nms_thr: Annotated[
        float,
        TRACKER["det_nms_thr"],
        typer.Option(
            help="IoU above which a detected and a tracked box are one.", rich_help_panel=PUBLISHED
        ),
    ] = 0.7
    pose_max_num_bboxes: Annotated[
        int,
        TRACKER["pose_max_num_bboxes"],
        typer.Option(help="Maximum number of people per frame; -1 any.", rich_help_panel=PUBLISHED),
    ] = -1
    pose_kpt_thr: Annotated[
        float,
        TRACKER["pose_kpt_thr"],
        typer.Option(help="Lowest score of a visible keypoint.", rich_help_panel=PUBLISHED),
    ] = 0.5
    pose_min_keypoints: Annotated[
        int,
        TRACKER["pose_min_keypoints"],
        typer.Option(
            help="Minimum number of visible keypoints; -1 half.", rich_help_panel=PUBLISHED
        ),
    ] = -1
    pose_bbox_scale: Annotated[
        float,
        TRACKER["pose_bbox_scale"],
        typer.Option(help="Padding of the box around the keypoints.", rich_help_panel=PUBLISHED),
    ] = 1.25
    pose_min_bbox_size: Annotated[
        float,
        TRACKER["pose_min_bbox_size"],
        typer.Option(help="Smallest tracked box; -1 any.", rich_help_panel=PUBLISHED),
    ] = -1
    pose_nms_thr: Annotated[
        float,
        TRACKER["pose_nms_thr"],
        typer.Option(help="OKS above which two poses are duplicates.", rich_help_panel=PUBLISHED),
    ] = 0.5
    track_iou_thr: Annotated[
        float,
        TRACKER["track_iou_thr"],
        typer.Option(help="Lowest IoU with the predicted box.", rich_help_panel=PUBLISHED),
    ] = 0.4
    track_max_missing: Annotated[
        int,
        TRACKER["track_max_missing"],
        typer.Option(
            help="Frames for which a lost person is remembered.", rich_help_panel=PUBLISHED
        ),
    ] = 10
    std_weight_position: Annotated[
        float,
        TRACKER["std_weight_position"],
        typer.Option(help="Kalman filter, position.", rich_help_panel=PUBLISHED),
    ] = 0.05
    std_weight_velocity: Annotated[
        float,
        TRACKER["std_weight_velocity"],
        typer.Option(help="Kalman filter, velocity.", rich_help_panel=PUBLISHED),
    ] = 0.00625
    smooth_params: Annotated[
        str,
        typer.Option(help="One-euro filter: beta,fc_min,fc_derivative.", rich_help_panel=PUBLISHED),
    ] = "0.007,1,1"


# ---- the command


@expand_groups
def track(
    sources: options.Sources,
    models: options.ModelOptions,
    written: options.OutputOptions,
    formats: FormatPaths,
    labs: LabFormatOptions,
    frames: options.InputOptions,
    tracking: TrackOptions,
    drawing: options.DrawOptions,
    published: PublishedOptions,
    speed: options.SpeedOptions,
) -> int:
    """Follow people through videos and streams; every person keeps one id.

    Without any output option an annotated video is written to the folder tracks.

    A PATH that ends in the format's suffix (tracks.csv) is one file for all sources; anything else
    is a folder that gets one file per source. The path - is standard output.

    Examples:
      rtmpose track clip.mp4 -o out --jsonl out --trail 30

      rtmpose track clips/ --det-interval 5 --csv tables/ --resume

      rtmpose track clips/ --csv all.csv --start 10 --end 20

      rtmpose track rtsp://camera-1/live rtsp://camera-2/live --together --jsonl -

      rtmpose track jump.mp4 --smooth offline --npz out

      rtmpose track walk.mp4 --to trc --meters-per-pixel 0.0042
    """
    from rtmpose.backends.heap import keep_few_heaps
    from rtmpose.cli.boxes_file import read_boxes
    from rtmpose.cli.named_models import settings_of_models
    from rtmpose.cli.named_sources import read_sources
    from rtmpose.cli.terminal import job_progress, print_report
    from rtmpose.media_threads import opencv_in_one_thread
    from rtmpose.writers.job import track_to_files

    keep_few_heaps()
    # Sources and settings first: a mistake should not cost the loading of models.
    named = read_sources(sources, frames)
    _tell_of_single_images(named.items)
    params = tracker_params(tracking, published)
    made = lab_outputs(labs, formats.paths, written.output, named.items, DEFAULT_FOLDER)
    outputs = _outputs(written, made.formats, drawing, tracking)

    # The models, then the job.
    boxes = read_boxes(tracking.boxes) if tracking.boxes else None
    tracker = _open_tracker(models, params, tracking, speed, boxes)
    with job_progress() as on_progress, opencv_in_one_thread():
        report = track_to_files(
            tracker,
            named.items,
            outputs,
            together=tracking.together,
            smooth_offline=tracking.smooth == "offline",
            settings=settings_of_models(models, tracking.boxes),
            resume=written.resume,
            on_progress=on_progress,
        )
    if boxes is not None:
        boxes.warn_if_unmatched()
    made.write(report)
    named.add_to(report)
    return print_report(report, results_on_stdout=outputs.uses_stdout, shown=written.show)


def _tell_of_single_images(items: Sequence[SourceItem]) -> None:
    """Say that images which are not taken as a sequence are clips of one frame."""
    images = sum(item.kind == "image" for item in items)
    if images > 1:
        log.warning(
            "%d images are %d clips of one frame each, whose ids have nothing in common;"
            " --sequence takes the images of a folder as one clip",
            images,
            images,
        )


def _open_tracker(
    models: options.ModelOptions,
    params: TrackerParams,
    tracking: TrackOptions,
    speed: options.SpeedOptions,
    boxes: FileBoxes | None,
) -> VideoTracker:
    from rtmpose.tracking import PoseTracker
    from rtmpose.tracking.video import VideoTracker

    whole_image = models.detector.lower() == "none" and not tracking.boxes
    detector = None if whole_image or tracking.boxes else models.opened_detector(speed)
    tracker = PoseTracker(
        detector,
        models.pose,
        replace(params, det_label=_label_of(detector)),
        backend=speed.backend,
        device=speed.device,
        threads=speed.threads,
        precision=speed.precision,
        allow_spinning=speed.allow_spinning,
        whole_image=whole_image,
        skeleton=models.keypoint_set(),
        card=models.pose_card(),
    )
    return VideoTracker(
        tracker,
        interval=checked_interval(tracking.det_interval),
        fps_limit=tracking.fps_limit,
        boxes=boxes,
    )


def _label_of(detector: str | Detector | None) -> int:
    """The class that is followed: of an opened detector the one it gives, -1 for any."""
    if detector is None or isinstance(detector, str):
        return 0
    return -1 if detector.label is None else detector.label


def _outputs(
    written: options.OutputOptions,
    formats: Mapping[str, Path],
    drawing: options.DrawOptions,
    tracking: TrackOptions,
) -> Outputs:
    """What to write; an annotated video where nothing was asked for."""
    from rtmpose.writers.outputs import Outputs

    # Somebody who only names a video wants to see something.
    folder = written.output
    if folder is None and not formats and not written.show:
        folder = DEFAULT_FOLDER
    style = drawing.style(draw_ids=tracking.ids, trail=tracking.trail)
    return Outputs(
        formats, folder, written.show, style, openpose_format=written.openpose_format.value
    )


def tracker_params(tracking: TrackOptions, published: PublishedOptions) -> TrackerParams:
    """The settings of the tracker from both groups of options."""
    from rtmpose.tracking import TrackerParams

    # Checked here, because the tracker itself knows no "offline" and no "auto".
    if tracking.smooth not in ("off", "live", "offline"):
        raise InputError(f"--smooth takes off, live or offline, not {tracking.smooth!r}")
    interval = checked_interval(tracking.det_interval)
    values = asdict(published)
    values["smooth_params"] = _three_numbers(published.smooth_params)

    # The words that `predict` has too stand for two of the published ones.
    if tracking.box_thr is not None:
        values["det_thr"] = tracking.box_thr
    if tracking.max_people is not None:
        values["pose_max_num_bboxes"] = tracking.max_people
    return TrackerParams(
        **values,
        # "auto" is decided by the video loop; the tracker's own interval is not used then.
        det_interval=interval if isinstance(interval, int) else 1,
        remember_s=tracking.remember_s,
        person_thr=tracking.person_thr,
        smooth="live" if tracking.smooth == "live" else "off",
        repair_swaps=tracking.repair_swaps,
    )


# ---- reading options


def checked_interval(text: str) -> int | str:
    """The frames between detections as a number, or ``auto``.

    Raises:
        InputError: it is neither.
    """
    if text == "auto":
        return "auto"
    # Python does not read numbers of thousands of digits.
    allowed = TRACKER["det_interval"]
    if not text.isdecimal() or len(text) > MAX_DIGITS or not allowed.holds(int(text)):
        raise InputError(
            f"--det-interval takes a number from 1 to {allowed.high:,}, or auto, not {shown(text)}"
        )
    return int(text)


def _three_numbers(text: str) -> tuple[float, float, float]:
    try:
        a, b, c = (float(v) for v in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--smooth-params takes beta,fc_min,fc_derivative, not {shown(text)}"
        ) from error
    return a, b, c
