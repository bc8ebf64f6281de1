"""The file of a unit: rows in the data set, or one file or folder of another format."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from rtmpose.batch.ledger import FOOTER, Entry
from rtmpose.batch.models import Models
from rtmpose.batch.settings import BatchSettings
from rtmpose.batch.units import Unit
from rtmpose.files import move_file, output_errors
from rtmpose.worker_threads import BackgroundWriter
from rtmpose.writers.base import FrameRecord, Writer, WriterContext
from rtmpose.writers.job_settings import networks_of
from rtmpose.writers.parquet import ParquetTable
from rtmpose.writers.run_info import info_path
from rtmpose.writers.table import format_named

WAITING = 16
"""Frames that wait to be written."""
GROUP_ROWS = 5000
"""Rows of the data set held in memory and written at once."""


class UnitFiles:
    """What is written for a unit: in a folder of the worker first, then moved to its place.

    The frames of a single source are written as they come, in a thread. Those of several sources
    are kept until their source is whole, as a source that fails leaves no rows.

    Args:
        unit: The unit.
        settings: What the results depend on.
        models: Opened models, for the heads of files.
        frame_rates: Source to its frames per second, filled before its first frame comes.
        folder: Of the worker.
        data: Where finished files lie.
    """

    def __init__(
        self,
        unit: Unit,
        settings: BatchSettings,
        models: Models,
        frame_rates: dict[str, float],
        folder: Path,
        data: Path,
    ) -> None:
        self._unit = unit
        self._dataset = settings.makes_dataset
        self._row = format_named(settings.format)
        self._models = models
        self._frame_rates = frame_rates
        self._folder = folder
        self._data = data
        self._path: Path | None = None
        self._writer: ParquetTable | Writer | None = None
        self._kept: list[FrameRecord] = []
        self._keeps = len(unit.sources) > 1
        self._background = BackgroundWriter(self._write, WAITING)
        self._frames = 0
        self._people = 0
        self._ids: set[int] = set()

    def add(self, record: FrameRecord) -> None:
        """Take a frame of the current source.

        Raises:
            OutputError: the disk is full or gone.
        """
        self._frames += 1
        if record.poses.ids is None:
            self._people += len(record.poses)
        else:
            self._ids |= set(record.poses.ids.tolist())
        if self._keeps:
            self._kept.append(record)
        else:
            self._background.put(record)

    def finish(self) -> tuple[int, int]:
        """The current source is whole: the number of its frames and people."""
        for record in self._kept:
            self._background.put(record)
        counts = (self._frames, self._people + len(self._ids))
        self._reset()
        return counts

    def discard(self) -> None:
        """The current source failed: none of its frames is written."""
        self._reset()
        # Its rows are in the file already.
        if not self._keeps:
            self.abandon()

    def commit(self, make_entry: Callable[[tuple[str, ...]], Entry]) -> Entry:
        """Give the file its name.

        Args:
            make_entry: From the names of the files to the unit's entry in the ledger.

        Raises:
            OutputError: it cannot be completed; nothing of it stays.
        """
        self._background.close()
        if self._writer is None or self._path is None:
            return make_entry(())
        if isinstance(self._writer, ParquetTable):
            entry = make_entry((self._path.name,))
            self._writer.close({FOOTER: entry.to_text()})
            move_file(self._path, self._data / self._path.name)
            return entry

        self._writer.close()
        made = [path for path in (self._path, info_path(self._path)) if path.exists()]
        for path in made:
            target = self._data / path.name
            with output_errors(target):
                if target.is_dir():
                    shutil.rmtree(target)
            move_file(path, target)
        return make_entry(tuple(path.name for path in made))

    def abandon(self) -> None:
        """Forget the file."""
        # What waits is written first, in the other thread, which may open the file only then.
        try:
            self._background.close()
        finally:
            writer = self._writer
            self._writer = None
            if writer is not None:
                writer.abandon()

    def _reset(self) -> None:
        self._kept = []
        self._frames = 0
        self._people = 0
        self._ids = set()

    def _write(self, record: FrameRecord) -> None:
        """Write one frame; runs in the background thread."""
        if self._writer is None:
            self._writer = self._open(record.still)
        self._writer.write(record)

    def _open(self, still: bool) -> ParquetTable | Writer:
        context = WriterContext(
            self._models.skeleton,
            still=still,
            models=self._models.names,
            networks=networks_of(self._models.model),
            frame_rates=self._frame_rates,
        )
        if self._dataset:
            self._path = self._folder / f"{self._unit.name}.parquet"
            return ParquetTable(
                self._path,
                context,
                with_probabilities=self._models.calibrated,
                group_rows=GROUP_ROWS,
                compression="zstd",
                asked_by="the data set",
                extra="scale",
            )
        self._path = self._row.path_for(self._folder, self._unit.name, still=still)
        return self._row.writer(self._path, context)
