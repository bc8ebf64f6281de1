"""The open files of a job: those of each source, and those for all sources together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rtmpose.draw import Trails, draw_frame
from rtmpose.errors import InputError, OutputError
from rtmpose.sources import SourceItem, probe
from rtmpose.types import Frame, Poses
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.drawn import annotated_writer
from rtmpose.writers.group import WriterGroup
from rtmpose.writers.job_settings import networks_of
from rtmpose.writers.openpose_layouts import openpose_layout
from rtmpose.writers.outputs import OutputPlan

if TYPE_CHECKING:
    from rtmpose.families import PoseModel

FPS = 30.0
"""Of an annotated video whose source does not say its own."""


class OpenOutputs:
    """The writers that are open while a job runs. Used by one thread at a time.

    Args:
        plan: Where everything lies.
        model: What finds the poses.
        fps_limit: Frames per second taken at most.
        models: What each network is for to its id, for the files to name.

    Attributes:
        written: Files that are complete, in order.
    """

    def __init__(
        self,
        plan: OutputPlan,
        model: PoseModel,
        *,
        fps_limit: float | None = None,
        models: Mapping[str, str] | None = None,
    ) -> None:
        # A layout that the keypoint set does not have is refused before the work.
        if "openpose" in plan.outputs.formats:
            openpose_layout(plan.outputs.openpose_format, model.skeleton)
        self.plan = plan
        self.written: list[Path] = []
        self._skeleton = model.skeleton
        self._fps_limit = fps_limit
        self._models = dict(models or {})
        self._networks = networks_of(model)
        self._frame_rates: dict[str, float] | None = None
        self._groups: dict[str, WriterGroup] = {}
        self._streams = WriterGroup()
        self._trails: dict[str, Trails] = {}

    def drawn(self, item: SourceItem, frame: Frame, poses: Poses) -> FrameRecord:
        """The record of a frame, drawn where that is wanted."""
        outputs = self.plan.outputs
        image = None
        # Drawing costs time, and nothing asks for it unless an image is shown or kept.
        if outputs.draws:
            trails = self._trails.setdefault(item.name, {})
            image = draw_frame(frame.image, poses, outputs.style, trails)
        return FrameRecord(
            item.name,
            frame.index,
            frame.time_s,
            poses,
            still=item.still,
            drawn=image,
            size_wh=(frame.image.shape[1], frame.image.shape[0]),
        )

    def write(self, item: SourceItem, record: FrameRecord) -> None:
        """Add a frame to the files of its source.

        Raises:
            OutputError: one of them cannot be written; the others have the frame.
        """
        first_error: Exception | None = None
        if item.name not in self._groups:
            group = self._groups[item.name] = WriterGroup()
            first_error = self._open(item, group)
        for sinks in (self._groups[item.name], self._streams):
            try:
                sinks.write(record)
            except Exception as error:  # noqa: BLE001 (raised when the others are served)
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    def open_streams(self) -> None:
        """Open the devices and pipes; waits until a pipe has a reader."""
        if not self.plan.streams:
            return
        context = self._shared_context()
        for row, path in self.plan.streams:
            self._streams.open(path, partial(row.writer, path, context))

    def close_streams(self) -> None:
        """End what is written to devices and pipes.

        Raises:
            OutputError: the reader is gone.
        """
        self._streams.close([])

    def close_source(self, item: SourceItem) -> None:
        """Complete the files of one source; every one is closed, whatever happens to the others.

        Raises:
            OutputError: one of them could not be completed.
        """
        # Trails of a finished source are not needed any more.
        self._trails.pop(item.name, None)
        group = self._groups.pop(item.name, None)
        if group is not None:
            group.close(self.written, empty_too=False)

    def close_all(self) -> None:
        """Complete what is open after an error or interruption, as far as possible."""
        open_items = [item for item in self.plan.items if item.name in self._groups]
        for item in open_items:
            with suppress(OutputError):
                self.close_source(item)
        with suppress(OutputError):
            self.close_streams()

    def write_single_files(self, records: Iterable[FrameRecord], *, empty_too: bool = True) -> None:
        """Write the files for all sources together, in one pass over all frames.

        Args:
            records: All frames.
            empty_too: Whether files appear if there is no frame at all.

        Raises:
            OutputError: one of them cannot be written; it does not change, and the others are
                complete.
        """
        if not self.plan.single_files:
            return
        context = self._shared_context()
        group = WriterGroup()
        first_error: Exception | None = None
        try:
            for row, path in self.plan.single_files:
                try:
                    group.open(path, partial(row.writer, path, context))
                except OutputError as error:
                    first_error = first_error or error
            for record in records:
                try:
                    group.write(record)
                except OutputError as error:
                    first_error = first_error or error
            group.close(self.written, empty_too=empty_too)
        except BaseException:
            group.abandon()
            raise
        if first_error is not None:
            raise first_error

    def _open(self, item: SourceItem, group: WriterGroup) -> Exception | None:
        """Open the files of a source; gives the first error when all others are open."""
        context = self._context(item)
        first_error: Exception | None = None
        for row, path in self.plan.paths_of(item):
            make = annotated_writer if row is None else row.writer
            try:
                group.open(path, partial(make, path, context))
            except Exception as error:  # noqa: BLE001 (raised when the others are served)
                first_error = first_error or error
        return first_error

    def _context(self, item: SourceItem) -> WriterContext:
        # A camera tells no rate before its frames come.
        known = _frame_rate(item)
        fps = known or FPS
        # Sound of a mirrored video stays as it is, and starts where the frames start.
        return WriterContext(
            self._skeleton,
            fps=min(fps, self._fps_limit) if self._fps_limit else fps,
            still=item.still,
            sound_of=item.path if item.kind == "video" else None,
            sound_from_s=item.start_s,
            models=self._models,
            networks=self._networks,
            frame_rates={item.name: known} if known else {},
            openpose_format=self.plan.outputs.openpose_format,
        )

    def _shared_context(self) -> WriterContext:
        """For files that hold all sources."""
        if self._frame_rates is None:
            rates = {item.name: _frame_rate(item) for item in self.plan.items}
            self._frame_rates = {name: fps for name, fps in rates.items() if fps}
        return WriterContext(
            self._skeleton,
            models=self._models,
            networks=self._networks,
            frame_rates=self._frame_rates,
            openpose_format=self.plan.outputs.openpose_format,
        )


def _frame_rate(item: SourceItem) -> float | None:
    """Frames per second of a video or sequence; None where unknown."""
    # A damaged video has no rate, and is reported elsewhere.
    with suppress(InputError):
        return probe(item).fps if item.kind in ("video", "sequence") else None
    return None
