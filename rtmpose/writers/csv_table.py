"""CSV: one row per person and frame."""

from __future__ import annotations

import csv
from pathlib import Path

from rtmpose.files import AtomicFile
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.columns import columns, row


class CsvWriter:
    """A table with a head; the columns are those of :mod:`rtmpose.writers.columns`."""

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._file = AtomicFile(path)
        # The csv module ends lines with CR LF, as RFC 4180 has it.
        self._table = csv.writer(self._file)
        self._table.writerow(columns(context.skeleton))

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        self._table.writerows(row(record, i) for i in range(len(record.poses)))

    def close(self) -> None:
        """Complete the file."""
        self._file.commit()

    def abandon(self) -> None:
        """Forget the file."""
        self._file.abandon()
