"""One job: frames from sources, poses from a pipeline or tracker, results to files.

    estimate (caller's thread) -> journal, draw, encode, write (a background thread)

The commands ``predict`` and ``track`` are this job with a progress bar; programs call
:func:`predict_to_files` and :func:`track_to_files`.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError, OutputError
from rtmpose.files.locks import OutputLock
from rtmpose.signals import JobInterrupted, signals_deferred
from rtmpose.sources import SourceItem, open_frames, probe
from rtmpose.types import Detections, Frame, Poses
from rtmpose.worker_threads import BackgroundWriter
from rtmpose.writers.job_settings import range_of_sources, settings_of_pipeline, settings_of_tracker
from rtmpose.writers.journal import Journal
from rtmpose.writers.open_outputs import OpenOutputs
from rtmpose.writers.output_checks import refuse_non_numbers
from rtmpose.writers.outputs import OutputPlan, Outputs
from rtmpose.writers.report import JobProgress, JobReport

if TYPE_CHECKING:
    from rtmpose.families import PoseModel
    from rtmpose.pipeline import Pipeline
    from rtmpose.tracking.video import VideoTracker
    from rtmpose.writers.window import Window

log = logging.getLogger(__name__)

WAITING_FRAMES = 2
"""Frames that wait to be written; each holds its image."""
SHOWN_KEPT = 5
"""Files that are named after an interruption."""

Estimate = Callable[[Sequence[SourceItem]], Iterator[tuple[SourceItem, Frame, Poses]]]
"""From a group of sources to their frames and poses, in any order between the sources."""

BoxesOf = Callable[[SourceItem, int], Detections]
"""From a source and the index of a frame to the boxes to use there."""


def predict_to_files(
    pipeline: Pipeline,
    items: Sequence[SourceItem],
    outputs: Outputs,
    *,
    boxes: BoxesOf | None = None,
    settings: Mapping[str, object] | None = None,
    resume: bool = False,
    on_progress: Callable[[JobProgress], None] | None = None,
) -> JobReport:
    """Find the people in every frame of the sources and write the results.

    Args:
        pipeline: Detector and pose network.
        items: From :func:`rtmpose.sources.expand_sources`.
        outputs: What is written.
        boxes: Gives the boxes of a frame; None runs the detector.
        settings: What the results depend on besides the pipeline, for ``resume`` to compare.
        resume: Skip the sources that an earlier, interrupted run has finished.
        on_progress: Called after every frame.

    Returns:
        What was done. A source that cannot be read is among its ``failures``; the others are done.

    Raises:
        InputError: an output would overwrite a source, or the earlier run had other settings.
        OutputError: something cannot be written; the journal of the run stays for ``resume``.
    """

    def estimate(group: Sequence[SourceItem]) -> Iterator[tuple[SourceItem, Frame, Poses]]:
        for item in group:
            for result in pipeline.run([item], boxes=boxes):
                yield item, result.frame, result.poses

    depends_on = {**settings_of_pipeline(pipeline), **(settings or {})}
    job = Job(items, estimate, pipeline.model, outputs, depends_on, on_progress=on_progress)
    return job.run([[item] for item in job.items], resume=resume)


def track_to_files(
    tracker: VideoTracker,
    items: Sequence[SourceItem],
    outputs: Outputs,
    *,
    together: bool = False,
    smooth_offline: bool = False,
    settings: Mapping[str, object] | None = None,
    resume: bool = False,
    on_progress: Callable[[JobProgress], None] | None = None,
) -> JobReport:
    """Track the people through every source and write the results.

    Args:
        tracker: Detector, pose network and settings.
        items: From :func:`rtmpose.sources.expand_sources`.
        outputs: What is written.
        together: All sources at the same time, sharing the networks' calls.
        smooth_offline: Look at each clip as a whole: no lag, short gaps filled in. Files only, and
            not ``together``.
        settings: As in :func:`predict_to_files`.
        resume: As in :func:`predict_to_files`.
        on_progress: Called after every frame.

    Returns:
        What was done.

    Raises:
        InputError: an output would overwrite a source, the earlier run had other settings, or
            offline smoothing was asked for live sources.
        OutputError: something cannot be written; the journal of the run stays for ``resume``.
    """
    if smooth_offline and (together or any(item.live for item in items)):
        raise InputError(
            "--smooth offline needs files, one after the other: it looks at the whole clip"
        )

    def estimate(group: Sequence[SourceItem]) -> Iterator[tuple[SourceItem, Frame, Poses]]:
        for tracked in tracker.run(group):
            yield tracked.item, tracked.frame, tracked.poses

    depends_on = {
        **settings_of_tracker(tracker),
        "together": together,
        "smooth offline": smooth_offline,
        **(settings or {}),
    }
    job = Job(
        items,
        estimate,
        tracker.tracker.model,
        outputs,
        depends_on,
        smooth_offline=smooth_offline,
        fps_limit=tracker.fps_limit,
        on_progress=on_progress,
    )
    groups = [job.items] if together else [[item] for item in job.items]
    report = job.run(groups, resume=resume)
    report.dropped = tracker.statistics.dropped
    return report


@dataclass(frozen=True, eq=False)
class _FrameDone:
    """A frame on its way to the background thread."""

    item: SourceItem
    frame: Frame
    poses: Poses
    filled: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class _GroupDone:
    """The end of a group of sources; ``complete`` if all their frames were taken."""

    items: Sequence[SourceItem]
    complete: bool


class Job:
    """The loop of both commands. Made once and run once.

    Args:
        items: All sources.
        estimate: Gives frames and poses of a group of sources.
        model: What finds the poses.
        outputs: What is written.
        settings: What the results depend on, for ``resume`` to compare.
        smooth_offline: Smooth the poses of each group, a single file, before they are written.
        fps_limit: Frames per second taken at most.
        on_progress: Called after every frame.

    Raises:
        InputError: the outputs contradict each other.
        OutputError: a folder cannot be made.
        MissingDependencyError: a format or the window needs a package that is not installed.
    """

    def __init__(
        self,
        items: Sequence[SourceItem],
        estimate: Estimate,
        model: PoseModel,
        outputs: Outputs,
        settings: Mapping[str, object],
        *,
        smooth_offline: bool = False,
        fps_limit: float | None = None,
        on_progress: Callable[[JobProgress], None] | None = None,
    ) -> None:
        # A source that is named twice is read once.
        self.items = list({item.name: item for item in items}.values())
        self.report = JobReport()
        self._estimate = estimate
        self._skeleton = model.skeleton
        self._smooth_offline = smooth_offline
        self._on_progress = on_progress
        self._plan = OutputPlan(outputs, self.items)
        models = {key: str(settings[key]) for key in ("pose", "detector") if key in settings}
        self._outputs = OpenOutputs(self._plan, model, fps_limit=fps_limit, models=models)
        self._settings = {**settings, **range_of_sources(self.items), **self._plan.settings()}
        self._window: Window | None = None
        self._background: BackgroundWriter[_FrameDone | _GroupDone] | None = None
        self._closed = False
        self._tracks: set[tuple[str, int]] = set()

    def run(self, groups: Sequence[Sequence[SourceItem]], *, resume: bool) -> JobReport:
        """Work through the groups of sources, write everything, and say what was done."""
        started = time.perf_counter()
        # Nothing is touched on disk before it is clear that no output is a source.
        self._plan.name_sources({})
        locks: list[OutputLock] = []
        journal: Journal | None = None
        try:
            # A signal in between would leave locks that nobody knows of.
            with signals_deferred():
                locks += self._plan.lock()
                journal = self._open_journal(groups, resume=resume)
            self._run_with(journal, groups)
        finally:
            if journal is not None:
                journal.discard()  # closed before, but for a signal in between
            for lock in locks:
                lock.release()
        self.report.written = self._outputs.written
        self.report.seconds = time.perf_counter() - started
        return self.report

    def _run_with(self, journal: Journal, groups: Sequence[Sequence[SourceItem]]) -> None:
        """The work between opening and closing the journal."""
        try:
            self._open_window()
            self._outputs.open_streams()
            self._write_behind(journal, groups)
            if self._window is not None:
                self._window.refresh()  # the last frame, which was drawn meanwhile
            # The files for all sources are made from the journal.
            self._outputs.close_streams()
            with signals_deferred():
                # Where no source could be read, no empty file is to look like a result.
                read = self.report.frames > 0 or not self.report.failures
                self._outputs.write_single_files(journal.records(), empty_too=read)
                journal.close(complete=self._is_complete())
                self._closed = True
        except OutputError as error:
            # The disk is full or gone: writing the rest would fail again.
            self._outputs.close_all()
            journal.discard()
            if journal.path is not None and not isinstance(error.__cause__, BrokenPipeError):
                log.warning("%s", self._kept(journal))
            raise
        except BaseException as error:
            self._keep_what_there_is(journal)
            if isinstance(error, KeyboardInterrupt):
                raise JobInterrupted(self._kept(journal)) from error
            raise
        finally:
            if self._window is not None:
                self._window.close()

    def _write_behind(self, journal: Journal, groups: Sequence[Sequence[SourceItem]]) -> None:
        """Take all frames; drawing and writing overlap with the networks, in the frames' order."""

        def handle(event: _FrameDone | _GroupDone) -> None:
            self._handle(event, journal)

        self._background = BackgroundWriter(handle, WAITING_FRAMES, in_gaps=True)
        with self._background as background:
            for group in groups:
                if self.report.stopped:
                    break
                if all(item.name in journal.done for item in group):
                    self.report.skipped += len(group)
                    continue
                complete = self._run_group(group, background)
                background.put(_GroupDone(group, complete))

    def _open_journal(self, groups: Sequence[Sequence[SourceItem]], *, resume: bool) -> Journal:
        def still_done(done: Mapping[str, str]) -> dict[str, str]:
            """Without those whose files are gone; a group is done as a whole or not at all."""
            again: set[str] = set()
            for group in groups:
                if not all(self._files_exist(item, done.get(item.name)) for item in group):
                    again |= {item.name for item in group}
            return {source: name for source, name in done.items() if source not in again}

        path, done_path = self._plan.journal_paths()
        journal = Journal(
            path,
            self._settings,
            self._skeleton,
            done_path=done_path,
            keep_frames=bool(self._plan.single_files),
            resume=resume,
            still_done=still_done,
        )
        if journal.done:
            self._plan.name_sources(journal.done)
        return journal

    def _open_window(self) -> None:
        if self._plan.outputs.show:
            from rtmpose.writers.window import Window

            self._window = Window()

    def _files_exist(self, item: SourceItem, name: str | None) -> bool:
        """Whether the files of a source that an earlier run finished, under a name, are there."""
        # Another thing may come through a pipe the next time.
        if name is None or item.content is not None:
            return False
        paths = self._plan.paths_named(item, name)
        return all(os.path.exists(path) for _, path in paths)  # noqa: PTH110 (says no of lost shares)

    def _is_complete(self) -> bool:
        """Whether nothing is left for ``resume`` to do."""
        cut_short = self.report.stopped and not all(item.live for item in self.items)
        return not self.report.failures and not cut_short

    def _run_group(
        self,
        group: Sequence[SourceItem],
        background: BackgroundWriter[_FrameDone | _GroupDone],
    ) -> bool:
        """Send the frames of a group to the background thread; False if they are not all."""
        try:
            frames = self._counted(group)
            if self._smooth_offline:
                frames = self._smoothed(group[0], frames)
            for done in frames:
                background.put(done)
                if self._window is not None and not self._window.refresh():
                    self.report.stopped = True
                    return False
        except InputError as error:
            self.report.failures.append(str(error))
            return False
        return True

    def _counted(self, group: Sequence[SourceItem]) -> Iterator[_FrameDone]:
        """Frames and poses of a group, counted and reported as they come."""
        # The total is known only if that of every source is.
        totals = [probe(item).frames for item in group]
        known = [total for total in totals if total is not None]
        total = sum(known) if len(known) == len(totals) else None
        begin = time.perf_counter()
        for count, (item, frame, poses) in enumerate(self._estimate(group), 1):
            refuse_non_numbers(frame, poses)
            self._count(item, poses)
            if self._on_progress is not None:
                fps = count / (time.perf_counter() - begin)
                self._on_progress(JobProgress(item.name, count, total, fps))
            yield _FrameDone(item, frame, poses)

    def _count(self, item: SourceItem, poses: Poses) -> None:
        self.report.frames += 1
        self.report.last = poses
        # Tracked people are counted once, others per frame.
        if poses.ids is None:
            self.report.people += len(poses)
        else:
            self._tracks |= {(item.name, number) for number in poses.ids.tolist()}
            self.report.people = len(self._tracks)

    def _smoothed(self, item: SourceItem, frames: Iterator[_FrameDone]) -> Iterator[_FrameDone]:
        """The frames of one file with smoothed poses, in a second pass over it."""
        from rtmpose.tracking.video import smooth_clip

        # First pass: all poses; images would not fit into memory.
        seen: list[tuple[int, float, Poses]] = []
        for done in frames:
            seen.append((done.frame.index, done.frame.time_s, done.poses))
        smoothed = smooth_clip([(time_s, poses) for _, time_s, poses in seen], self._skeleton)
        by_index = {index: result for (index, _, _), result in zip(seen, smoothed, strict=True)}

        # Second pass: the same frames again, to draw and write them.
        count, begin = 0, time.perf_counter()
        for frame in open_frames(item):
            if frame.index not in by_index:
                continue
            poses, filled = by_index[frame.index]
            count += 1
            if self._on_progress is not None:
                fps = count / (time.perf_counter() - begin)
                self._on_progress(JobProgress(item.name, count, len(seen), fps, "write"))
            yield _FrameDone(item, frame, poses, filled)

    def _handle(self, event: _FrameDone | _GroupDone, journal: Journal) -> None:
        """Write one event; runs in the background thread."""
        if isinstance(event, _FrameDone):
            record = self._outputs.drawn(event.item, event.frame, event.poses)
            record = replace(record, filled=event.filled)
            # The journal first: what it holds is safe, whatever happens to the files.
            journal.write(record)
            self._outputs.write(event.item, record)
            if self._window is not None:
                self._window.write(record)
            return
        for item in event.items:
            self._outputs.close_source(item)
        # Only when all files of the group are whole, as a group is resumed as a whole.
        for item in event.items if event.complete else ():
            journal.finish(item.name, self._plan.name_of(item))

    def _keep_what_there_is(self, journal: Journal) -> None:
        """After an interruption: complete all files with what they have, keep the journal."""
        # After a second Ctrl-C the files belong to the thread that still writes them; what it
        # leaves is removed by the next run.
        at_work = self._background is not None and self._background.is_alive
        if self._closed or at_work:
            return
        with signals_deferred():
            self._outputs.close_all()
            try:
                self._outputs.write_single_files(journal.records(), empty_too=False)
                journal.close(complete=False)
            except OutputError as error:
                log.warning("%s", error)
                journal.discard()

    def _kept(self, journal: Journal) -> str:
        """What is on disk after an interruption, and how to go on."""
        paths = self._outputs.written
        parts = [", ".join(map(str, paths[:SHOWN_KEPT]))]
        if len(paths) > SHOWN_KEPT:
            parts.append(f"and {len(paths) - SHOWN_KEPT} more files")
        kept = f"kept {' '.join(parts)}" if paths else "no file was completed"
        if self._closed and self._is_complete():
            return f"{kept}; everything was finished"
        if journal.path is None or not os.path.exists(journal.path):  # noqa: PTH110
            return kept
        return (
            f"{kept}; {len(journal.done)} of {len(self.items)} sources are finished; go on with the"
            " same command and --resume"
        )
