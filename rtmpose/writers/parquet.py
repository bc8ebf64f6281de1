"""Parquet: the table of the CSV format with typed columns, written in groups of rows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import MissingDependencyError
from rtmpose.files import AtomicFile, output_errors
from rtmpose.shown_names import utf8_name
from rtmpose.text_files import to_json
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.columns import (
    BOX_DIGITS,
    DOUBLES,
    INTEGERS,
    POINT_DIGITS,
    SCORE_DIGITS,
    TEXT,
    columns,
)
from rtmpose.writers.run_info import RunInfo, header

GROUP_ROWS = 2000
"""Rows held in memory and written at once."""


class ParquetTable:
    """The columns of :mod:`rtmpose.writers.columns`: text, int64, float32, and float64 for the
    time; for calibrated models with a probability behind each score.

    The schema's metadata has ``rtmpose``: JSON with keypoints and models; the file's metadata
    (``pyarrow.parquet.read_metadata``) ``rtmpose_sources``: JSON with length, frame rate and
    size of each source.

    Args:
        path: Its name, which it gets in :meth:`close`.
        context: Keypoint set, models and frame rates.
        with_probabilities: Whether the poses have probabilities that are written.
        rounded: Round numbers as in CSV.
        group_rows: Rows held in memory and written at once.
        compression: As pyarrow names it.
        asked_by: What asks for it, for the error without pyarrow.
        extra: Extra of rtmpose that installs pyarrow.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        OutputError: the folder cannot be written.
    """

    def __init__(
        self,
        path: Path,
        context: WriterContext,
        *,
        with_probabilities: bool = False,
        rounded: bool = False,
        group_rows: int = GROUP_ROWS,
        compression: str = "snappy",
        asked_by: str = "--parquet",
        extra: str = "parquet",
    ) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise MissingDependencyError(
                f"{asked_by} needs pyarrow: pip install 'rtmpose[{extra}]'"
            ) from error
        self.path = path
        self._arrow: Any = pyarrow
        # Keypoints and scores are float32, as they are computed.
        types = dict.fromkeys(TEXT, pyarrow.string())
        types |= dict.fromkeys(INTEGERS, pyarrow.int64())
        types |= dict.fromkeys(DOUBLES, pyarrow.float64())
        names = columns(context.skeleton, with_probabilities=with_probabilities)
        self._schema: Any = pyarrow.schema(
            [(name, types.get(name, pyarrow.float32())) for name in names],
            metadata={"rtmpose": to_json(header(context))},
        )
        self._with_probabilities = with_probabilities
        self._rounded = rounded
        self._group_rows = group_rows
        self._info = RunInfo(context)
        self._records: list[FrameRecord] = []
        self._rows = 0
        self._file = AtomicFile(path)
        with output_errors(path):
            self._table: Any = pyarrow.parquet.ParquetWriter(
                self._file.open_binary(), self._schema, compression=compression
            )

    def write(self, record: FrameRecord) -> None:
        """Add a frame.

        Raises:
            OutputError: the disk is full or gone.
        """
        self._info.add(record)
        if len(record.poses):
            # Pixels are not needed any more.
            self._records.append(replace(record, drawn=None))
            self._rows += len(record.poses)
        if self._rows >= self._group_rows:
            self._flush()

    def close(self, metadata: Mapping[str, str] | None = None) -> None:
        """Complete the file.

        Args:
            metadata: More of the file's metadata.

        Raises:
            OutputError: it cannot be completed; nothing of it stays.
        """
        self._flush()
        with output_errors(self.path):
            # Lengths are known only now.
            sources = to_json(self._info.sources())
            self._table.add_key_value_metadata({"rtmpose_sources": sources, **(metadata or {})})
            self._table.close()
        self._file.commit()

    def abandon(self) -> None:
        """Forget the file."""
        self._records = []
        # A table that is not complete may refuse to close.
        with suppress(OSError, ValueError):
            self._table.close()
        self._file.abandon()

    def _flush(self) -> None:
        if not self._records:
            return
        records = self._records
        self._records = []
        self._rows = 0
        values = self._head(records) + self._points(records)
        arrays = [
            self._arrow.array(column, field.type)
            for column, field in zip(values, self._schema, strict=True)
        ]
        with output_errors(self.path):
            self._table.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def _head(self, records: list[FrameRecord]) -> list[Any]:
        """The columns of :data:`rtmpose.writers.columns.HEAD`, in its order."""
        counts = [len(record.poses) for record in records]

        def of_frames(values: list[Any]) -> Any:
            return np.repeat(np.array(values), counts)

        sizes = [record.size_wh or (0, 0) for record in records]
        names = [utf8_name(record.source) for record in records for _ in range(len(record.poses))]
        boxes = np.concatenate([record.poses.boxes for record in records])
        box_scores = np.concatenate([record.poses.box_scores for record in records])
        scores = np.concatenate([record.poses.instance_scores for record in records])
        return [
            names,
            of_frames([record.index for record in records]),
            of_frames([record.time_s for record in records]),
            np.concatenate([np.arange(count) for count in counts]),
            np.concatenate([_ids(record) for record in records]),
            np.concatenate([_filled(record) for record in records]),
            *(self._number(boxes[:, corner], BOX_DIGITS) for corner in range(4)),
            self._number(box_scores, SCORE_DIGITS),
            self._number(scores, SCORE_DIGITS),
            of_frames([width for width, _ in sizes]),
            of_frames([height for _, height in sizes]),
        ]

    def _points(self, records: list[FrameRecord]) -> list[Any]:
        """x, y, score and, where they are written, probability of each keypoint in turn."""
        keypoints = np.concatenate([record.poses.keypoints for record in records])
        parts = [keypoints[:, :, 0], keypoints[:, :, 1]]
        parts.append(np.concatenate([record.poses.scores for record in records]))
        if self._with_probabilities:
            parts.append(np.concatenate([record.poses.probabilities for record in records]))
        count = keypoints.shape[1]
        return [self._number(part[:, k], POINT_DIGITS) for k in range(count) for part in parts]

    def _number(self, values: NDArray[Any], digits: int) -> Any:
        """A column of numbers, rounded where that is wanted."""
        if self._rounded:
            return [round(value, digits) for value in values.tolist()]
        return np.ascontiguousarray(values)


def parquet_writer(path: Path, context: WriterContext) -> ParquetTable:
    """The table of ``--parquet``: the numbers of ``--csv``.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        OutputError: the folder cannot be written.
    """
    return ParquetTable(path, context, rounded=True)


def _ids(record: FrameRecord) -> Any:
    count = len(record.poses)
    return np.full(count, -1, np.int64) if record.poses.ids is None else record.poses.ids


def _filled(record: FrameRecord) -> Any:
    if record.filled is None:
        return np.zeros(len(record.poses), np.int64)
    return record.filled.astype(np.int64)
