"""CSV: one row per person and frame."""

from __future__ import annotations

import csv
from pathlib import Path

from rtmpose.files import AtomicFile
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.columns import columns, row
from rtmpose.writers.run_info import RunInfo


class CsvWriter:
    """A table with a head; the columns are those of :mod:`rtmpose.writers.columns`.

    Lengths, frame rates and models lie next to it in ``NAME.info.json``.
    """

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._file = AtomicFile(path)
        self._info = RunInfo(context)
        # The csv module ends lines with CR LF, as RFC 4180 has it.
        self._table = csv.writer(self._file)
        self._table.writerow(columns(context.skeleton))

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        self._info.add(record)
        self._table.writerows(row(record, i) for i in range(len(record.poses)))

    def close(self) -> None:
        """Complete the file."""
        self._file.commit()
        self._info.write_next_to(self.path)

    def abandon(self) -> None:
        """Forget the file."""
        self._file.abandon()
