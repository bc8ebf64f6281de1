"""Parquet: the table of the CSV format with typed columns, written in groups of rows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from rtmpose.errors import MissingDependencyError
from rtmpose.files import AtomicFile, output_errors
from rtmpose.text_files import to_json
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.columns import DOUBLES, INTEGERS, TEXT, columns, row
from rtmpose.writers.run_info import RunInfo, header

GROUP_ROWS = 2000
"""Rows held in memory and written at once."""


class ParquetWriter:
    """The columns of :mod:`rtmpose.writers.columns`: text, int64, float32, and
    float64 for the time.

    The schema's metadata has ``rtmpose``: JSON with keypoints and models; the file's metadata
    (``pyarrow.parquet.read_metadata``) ``rtmpose_sources``: JSON with length, frame rate and
    size of each source.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """

    def __init__(self, path: Path, context: WriterContext) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise MissingDependencyError(
                "--parquet needs pyarrow: pip install 'rtmpose[parquet]'"
            ) from error
        self.path = path
        self._arrow: Any = pyarrow
        # Keypoints and scores are float32, as they are computed.
        types = dict.fromkeys(TEXT, pyarrow.string())
        types |= dict.fromkeys(INTEGERS, pyarrow.int64())
        types |= dict.fromkeys(DOUBLES, pyarrow.float64())
        self._schema: Any = pyarrow.schema(
            [(name, types.get(name, pyarrow.float32())) for name in columns(context.skeleton)],
            metadata={"rtmpose": to_json(header(context))},
        )
        self._info = RunInfo(context)
        self._rows: list[list[str | float]] = []
        self._file = AtomicFile(path)
        with output_errors(path):
            self._table: Any = pyarrow.parquet.ParquetWriter(self._file.open_binary(), self._schema)

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        self._info.add(record)
        self._rows += [row(record, i) for i in range(len(record.poses))]
        if len(self._rows) >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Complete the file."""
        self._flush()
        with output_errors(self.path):
            # Lengths are known only now.
            sources = to_json(self._info.sources())
            self._table.add_key_value_metadata({"rtmpose_sources": sources})
            self._table.close()
        self._file.commit()

    def abandon(self) -> None:
        """Forget the file."""
        self._rows = []
        # A table that is not complete may refuse to close.
        with suppress(OSError, ValueError):
            self._table.close()
        self._file.abandon()

    def _flush(self) -> None:
        if not self._rows:
            return
        # Rows become columns, each with its type.
        columns_of_values = [list(values) for values in zip(*self._rows, strict=True)]
        arrays = [
            self._arrow.array(values, field.type)
            for values, field in zip(columns_of_values, self._schema, strict=True)
        ]
        self._rows = []
        with output_errors(self.path):
            self._table.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
