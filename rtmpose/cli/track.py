"""``rtmpose track``: people followed through videos, cameras and streams, with ids."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from rtmpose.cli import options
from rtmpose.cli.predict import Background
from rtmpose.errors import InputError

if TYPE_CHECKING:
    from rtmpose.tracking.video import TrackedFrame, VideoTracker
    from rtmpose.types import Image, Poses

P = "Published tracker setting."


def track(
    sources: Annotated[
        list[str], typer.Argument(help="Videos, folders, cameras (0), RTSP or HTTP URLs.")
    ],
    pose: options.Pose = options.POSE,
    detector: options.DetectorName = options.DETECTOR,
    output: Annotated[Path, typer.Option(help="Folder; files are named after the sources.")] = Path(
        "tracks"
    ),
    video: Annotated[bool, typer.Option(help="Write an annotated video.")] = True,
    json: Annotated[
        bool, typer.Option("--json", help="NAME.jsonl: one line per frame, COCO people.")
    ] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="NAME.csv: one row per person and frame.")
    ] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="NAME.parquet (rtmpose[parquet]).")
    ] = False,
    mot: Annotated[
        bool, typer.Option("--mot", help="NAME.mot.txt: boxes and ids, MOT Challenge.")
    ] = False,
    openpose: Annotated[
        bool, typer.Option("--openpose", help="NAME_openpose/: one JSON file per frame.")
    ] = False,
    npz: Annotated[bool, typer.Option("--npz", help="NAME_people/: arrays per person.")] = False,
    show: Annotated[bool, typer.Option(help="Show a window; q or Escape stops.")] = False,
    together: Annotated[
        bool, typer.Option(help="All sources at the same time, sharing the networks' calls.")
    ] = False,
    smooth: Annotated[
        str,
        typer.Option(
            help="off, live (one-euro filter), or offline: no lag, gaps filled, files only."
        ),
    ] = "live",
    det_interval: Annotated[
        str,
        typer.Option(
            help="Frames between detections, or auto: when somebody is unsure or the scene changes."
        ),
    ] = "1",
    det_label: Annotated[int, typer.Option(help=f"{P} Class of a person.")] = 0,
    det_thr: Annotated[float, typer.Option(help=f"{P} Lowest score of a detected box.")] = 0.5,
    det_min_bbox_size: Annotated[
        float, typer.Option(help=f"{P} Square root of the area; -1 any.")
    ] = -1,
    det_nms_thr: Annotated[
        float, typer.Option(help=f"{P} Overlap of detected and followed box.")
    ] = 0.7,
    pose_max_num_bboxes: Annotated[
        int, typer.Option(help=f"{P} Most people of a frame; -1 any.")
    ] = -1,
    pose_kpt_thr: Annotated[
        float, typer.Option(help=f"{P} Lowest score of a seen keypoint.")
    ] = 0.5,
    pose_min_keypoints: Annotated[
        int, typer.Option(help=f"{P} Fewest seen keypoints; -1 half.")
    ] = -1,
    pose_bbox_scale: Annotated[float, typer.Option(help=f"{P} Box around the keypoints.")] = 1.25,
    pose_min_bbox_size: Annotated[
        float, typer.Option(help=f"{P} Smallest followed box; -1 any.")
    ] = -1,
    pose_nms_thr: Annotated[
        float, typer.Option(help=f"{P} Similarity of two poses that are one.")
    ] = 0.5,
    track_iou_thr: Annotated[
        float, typer.Option(help=f"{P} Lowest overlap with the prediction.")
    ] = 0.4,
    track_max_missing: Annotated[
        int, typer.Option(help=f"{P} Frames a lost person is remembered.")
    ] = 10,
    remember_s: Annotated[
        float, typer.Option(help="Seconds somebody seen for long is remembered at least.")
    ] = 1.0,
    std_weight_position: Annotated[float, typer.Option(help=f"{P} Kalman filter.")] = 0.05,
    std_weight_velocity: Annotated[float, typer.Option(help=f"{P} Kalman filter.")] = 0.00625,
    smooth_params: Annotated[
        str, typer.Option(help=f"{P} beta,fc_min,fc_derivative.")
    ] = "0.007,1,1",
    repair_swaps: Annotated[
        bool, typer.Option(help="Undo left and right limbs exchanged for a moment.")
    ] = True,
    output_size: Annotated[
        int | None, typer.Option(min=16, help="Long edge of the video in pixels.")
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror the frames first.")] = False,
    skeleton: Annotated[bool, typer.Option(help="Draw skeletons.")] = True,
    ids: Annotated[bool, typer.Option(help="Draw ids.")] = True,
    trail: Annotated[
        int, typer.Option(min=0, help="Draw where people came from, so many frames back.")
    ] = 0,
    background: Annotated[
        Background, typer.Option(help="Draw on the image or on black.")
    ] = Background.image,
    kpt_thr: Annotated[float, typer.Option(min=0, help="Lowest keypoint score drawn.")] = 0.3,
    start: Annotated[float, typer.Option(min=0, help="Seconds to skip.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="Second to stop at.")] = None,
    fps_limit: Annotated[
        float | None, typer.Option(min=0.1, help="Frames per second taken at most.")
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Skip sources that an earlier run finished.")
    ] = False,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    threads: options.Threads = 0,
    precision: options.Precision = "auto",
) -> int:
    """Follow people through videos and streams; every person keeps one id.

    Examples:
      rtmpose track clip.mp4 --output out --json --trail 30

      rtmpose track clips/ --det-interval 5 --csv --resume

      rtmpose track rtsp://camera-1/live rtsp://camera-2/live --together --no-video --json

      rtmpose track jump.mp4 --smooth offline --npz
    """
    from rtmpose.sources import expand_sources
    from rtmpose.tracking import PoseTracker, TrackerParams
    from rtmpose.tracking.video import VideoTracker

    items = expand_sources(sources)
    if smooth not in ("off", "live", "offline"):
        raise InputError(f"--smooth takes off, live or offline, not {smooth!r}")
    if smooth == "offline" and (together or any(i.live for i in items)):
        raise InputError(
            "--smooth offline needs files, one after the other: it looks at the whole clip"
        )
    interval: int | str = _interval(det_interval)
    params = TrackerParams(
        det_interval=interval if isinstance(interval, int) else 1,
        det_label=det_label,
        det_thr=det_thr,
        det_min_bbox_size=det_min_bbox_size,
        det_nms_thr=det_nms_thr,
        pose_max_num_bboxes=pose_max_num_bboxes,
        pose_kpt_thr=pose_kpt_thr,
        pose_min_keypoints=pose_min_keypoints,
        pose_bbox_scale=pose_bbox_scale,
        pose_min_bbox_size=pose_min_bbox_size,
        pose_nms_thr=pose_nms_thr,
        track_iou_thr=track_iou_thr,
        track_max_missing=track_max_missing,
        remember_s=remember_s,
        std_weight_position=std_weight_position,
        std_weight_velocity=std_weight_velocity,
        smooth_params=_three(smooth_params),
        smooth="live" if smooth == "live" else "off",
        repair_swaps=repair_swaps,
    )
    tracker = PoseTracker(
        None if detector.lower() == "none" else detector,
        pose,
        params,
        backend=backend,
        device=device,
        threads=threads,
        precision=precision,
    )
    wanted = [
        n for n, on in zip(TABLES, (json, csv, parquet, mot, openpose, npz), strict=True) if on
    ]
    job = _Job(output, wanted, video, show, resume, smooth == "offline")
    job.style = {
        "kpt_thr": kpt_thr,
        "background": background.value,
        "skeleton": skeleton,
        "ids": ids,
        "trail": trail,
        "size": output_size,
    }
    groups = [items] if together else [[item] for item in items]
    follower = VideoTracker(
        tracker, interval=interval, start_s=start, end_s=end, fps_limit=fps_limit
    )
    return job.run(groups, follower, flip)


TABLES = ("json", "csv", "parquet", "mot", "openpose", "npz")


class _Outputs:
    """Everything that is written of one source."""

    def __init__(self, job: _Job, item: Any, skeleton: Any, fps: float, start_s: float) -> None:
        from rtmpose.writers.tracks import SINKS
        from rtmpose.writers.video import VideoSink

        self.job = job
        self.tables: list[Any] = []
        self.video: Any = None
        stem = job.stem(item)
        self.trails: dict[int, deque[Any]] = {}
        for name in job.wanted:
            make: Any = SINKS[name]
            self.tables.append(make(job.folder / f"{stem}{make.ending}", skeleton))
        if job.video:
            sound = Path(item.name) if item.kind == "video" else None
            self.video = VideoSink(
                job.folder / f"{stem}.mp4", fps, sound_of=sound, sound_from_s=start_s
            )
        self.first: float | None = None

    def write(self, tracked: TrackedFrame, filled: Any = None) -> None:
        for table in self.tables:
            table.write(tracked.frame, tracked.poses, filled)
        if self.video is None and self.job.window is None:
            return
        picture = draw_tracked(tracked.frame.image, tracked.poses, self.trails, **self.job.style)
        if self.video is not None:
            self.first = tracked.frame.time_s if self.first is None else self.first
            self.video.write(picture, tracked.frame.time_s - self.first)
        if self.job.window is not None and not self.job.window.show(picture):
            self.job.stopped = True

    def close(self) -> list[Path]:
        done = []
        sinks: list[Any] = [*self.tables, *([self.video] if self.video else [])]
        for sink in sinks:
            sink.close()
            if sink.path.exists():
                done.append(sink.path)
        return done


class _Job:
    """The loop of the command with its progress bar, outputs and account."""

    def __init__(
        self, folder: Path, wanted: list[str], video: bool, show: bool, resume: bool, offline: bool
    ) -> None:
        self.folder, self.wanted, self.video = folder, wanted, video
        self.show, self.resume, self.offline = show, resume, offline
        self.style: dict[str, Any] = {}
        self.window: Any = None
        self.stopped = False
        self.people: set[tuple[str, int]] = set()
        self.saved: list[Path] = []
        self.failures: list[str] = []
        self.skipped = 0
        self._stems: dict[str, str] = {}

    def stem(self, item: Any) -> str:
        """A file name for a source; two of the same name get a number."""
        stem = Path(item.name.split("://")[-1].split("?")[0]).stem or "camera"
        if item.kind == "camera":
            stem = f"camera_{item.name}"
        count, name = 2, stem
        while self._stems.setdefault(name, item.name) != item.name:
            name, count = f"{stem}_{count}", count + 1
        return name

    def run(self, groups: list[list[Any]], follower: VideoTracker, flip: bool) -> int:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        from rtmpose.cli.terminal import stderr_console
        from rtmpose.writers import Window

        started = time.perf_counter()
        with ExitStack() as stack:
            if self.show:
                self.window = Window()
                stack.callback(self.window.close)
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            progress = stack.enter_context(
                Progress(*columns, console=stderr_console(), transient=True)
            )
            for group in groups:
                if self.stopped:
                    break
                if self.resume and all(self._is_done(item) for item in group):
                    self.skipped += len(group)
                    continue
                task = progress.add_task(", ".join(Path(i.name).name for i in group), total=None)
                try:
                    self._group(
                        group,
                        follower,
                        flip,
                        lambda text, t=task: progress.update(t, description=text),
                    )
                except InputError as error:
                    self.failures.append(str(error))
                finally:
                    progress.remove_task(task)
        seconds = time.perf_counter() - started
        n = follower.statistics.frames
        typer.echo(
            f"{n} frames, {len(self.people)} people in {seconds:.2f} s"
            f" ({n / max(seconds, 1e-9):.1f} fps)"
        )
        if follower.statistics.dropped:
            typer.echo(
                f"{follower.statistics.dropped} frames of live sources were dropped to stay up to"
                " date"
            )
        if self.skipped:
            typer.echo(f"{self.skipped} sources were finished by an earlier run")
        for path in self.saved:
            typer.echo(f"wrote {path}")
        for failure in self.failures:
            typer.echo(f"rtmpose: {failure}", err=True)
        return 1 if self.failures else 0

    def _group(self, group: list[Any], follower: VideoTracker, flip: bool, tell: Any) -> None:
        from rtmpose.sources import open_frames, probe
        from rtmpose.tracking.video import TrackedFrame, smooth_clip
        from rtmpose.worker_threads import BackgroundWriter

        skeleton = follower.tracker.skeleton
        infos = {item.name: probe(item) for item in group}
        sinks: dict[str, _Outputs] = {}

        def sink_of(item: Any) -> _Outputs:
            if item.name not in sinks:
                fps = infos[item.name].fps or 30.0
                fps = min(fps, follower.fps_limit) if follower.fps_limit else fps
                sinks[item.name] = _Outputs(self, item, skeleton, fps, follower.start_s)
            return sinks[item.name]

        def write(entry: tuple[TrackedFrame, Any]) -> None:
            sink_of(entry[0].item).write(*entry)

        kept: list[tuple[Any, Poses]] = []
        begin = time.perf_counter()
        finished = False
        for item in group:
            self._mark(item).unlink(missing_ok=True)
        try:
            with BackgroundWriter(write) as behind:
                for count, tracked in enumerate(follower.run(group, flip=flip), 1):
                    assert tracked.poses.ids is not None
                    self.people |= {(tracked.item.name, int(i)) for i in tracked.poses.ids}
                    total = infos[tracked.item.name].frames
                    rate = count / (time.perf_counter() - begin)
                    of = f" of {total}" if total else ""
                    tell(f"{Path(tracked.item.name).name}: frame {count}{of}, {rate:.1f} fps")
                    if self.offline:
                        place = (tracked.frame.index, tracked.frame.time_s)
                        kept.append((place, tracked.poses))
                    else:
                        behind.put((tracked, None))
                    if self.stopped:
                        break
                if self.offline and kept:
                    tell("smoothing and writing ...")
                    smoothed = smooth_clip([(place[1], poses) for place, poses in kept], skeleton)
                    by_index = {
                        place[0]: entry for (place, _), entry in zip(kept, smoothed, strict=True)
                    }
                    for frame in open_frames(group[0]):
                        if frame.index not in by_index:
                            continue
                        if flip:
                            image = np.ascontiguousarray(frame.image[:, ::-1])
                            frame = type(frame)(image, frame.index, frame.time_s, frame.source)
                        poses, filled = by_index[frame.index]
                        behind.put((TrackedFrame(group[0], frame, poses), filled))
            finished = not self.stopped
        finally:
            # Whatever happened, what was written so far is completed; but --resume must not take it
            # for all.
            for item in group if not finished else ():
                with suppress(OSError):
                    self._mark(item).touch()
            for sink in sinks.values():
                self.saved += sink.close()

    def _mark(self, item: Any) -> Path:
        """Lies beside the files of a source that was not followed to its end."""
        return self.folder / f".{self.stem(item)}.unfinished"

    def _is_done(self, item: Any) -> bool:
        from rtmpose.writers.tracks import SINKS

        stem = self.stem(item)
        sinks: dict[str, Any] = dict(SINKS)
        names = [f"{stem}{sinks[n].ending}" for n in self.wanted] + (
            [f"{stem}.mp4"] if self.video else []
        )
        whole = not self._mark(item).exists()
        return whole and bool(names) and all((self.folder / n).exists() for n in names)


def draw_tracked(
    image: Image,
    poses: Poses,
    trails: dict[int, deque[Any]],
    *,
    kpt_thr: float,
    background: str,
    skeleton: bool,
    ids: bool,
    trail: int,
    size: int | None,
) -> Image:
    """A frame with skeletons, ids and trails."""
    import cv2

    from rtmpose.draw import draw_ids, draw_poses, draw_trails

    if skeleton:
        picture = draw_poses(image, poses, kpt_thr=kpt_thr, background=background)
    else:
        picture = np.zeros_like(image) if background == "black" else image.copy()
    if trail and poses.ids is not None:
        for number, box in zip(poses.ids.tolist(), poses.boxes, strict=True):
            points = trails.setdefault(number, deque(maxlen=trail))
            points.append(((box[0] + box[2]) / 2, box[3]))
        for number in set(trails) - set(poses.ids.tolist()):
            trails[number].popleft()
            if not trails[number]:
                del trails[number]
        draw_trails(picture, trails)
    if ids:
        draw_ids(picture, poses)
    longest = max(picture.shape[:2])
    if size and longest != size:
        factor = size / longest
        wh = (max(2, round(picture.shape[1] * factor)), max(2, round(picture.shape[0] * factor)))
        picture = cv2.resize(
            picture, wh, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        )
    return picture


def _interval(text: str) -> int | str:
    if text == "auto":
        return "auto"
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"--det-interval takes a number from 1, or auto, not {text!r}")
    return int(text)


def _three(text: str) -> tuple[float, float, float]:
    try:
        a, b, c = (float(v) for v in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--smooth-params takes beta,fc_min,fc_derivative, not {text!r}"
        ) from error
    return a, b, c
