"""The Parquet data set: one schema for all files of a batch.

The columns are those of ``rtmpose predict --parquet`` (:mod:`rtmpose.writers.columns`), with the
probability of each keypoint behind its score where the model is calibrated. Values are not rounded.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.batch.ledger import FOOTER
from rtmpose.errors import MissingDependencyError
from rtmpose.files import AtomicFile, output_errors
from rtmpose.shown_names import utf8_name
from rtmpose.text_files import to_json
from rtmpose.types import Skeleton
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.columns import DOUBLES, HEAD, INTEGERS, TEXT
from rtmpose.writers.run_info import RunInfo, header

GROUP_ROWS = 5000
"""Rows held in memory and written at once."""


def column_names(skeleton: Skeleton, *, calibrated: bool) -> list[str]:
    """Names of the columns."""
    parts = ("x", "y", "score", "probability") if calibrated else ("x", "y", "score")
    return [*HEAD, *(f"{name}_{part}" for name in skeleton.keypoints for part in parts)]


class DatasetWriter:
    """One file of the data set, under a temporary name until :meth:`close`.

    Args:
        path: Its name.
        context: Keypoint set, models and frame rates.
        calibrated: Whether the poses have probabilities.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        OutputError: the folder cannot be written.
    """

    def __init__(self, path: Path, context: WriterContext, *, calibrated: bool) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise MissingDependencyError(
                "the data set needs pyarrow: pip install 'rtmpose[scale]'"
            ) from error
        self.path = path
        self._arrow: Any = pyarrow
        types = dict.fromkeys(TEXT, pyarrow.string())
        types |= dict.fromkeys(INTEGERS, pyarrow.int64())
        types |= dict.fromkeys(DOUBLES, pyarrow.float64())
        self._schema: Any = pyarrow.schema(
            [
                (name, types.get(name, pyarrow.float32()))
                for name in column_names(context.skeleton, calibrated=calibrated)
            ],
            metadata={"rtmpose": to_json(header(context))},
        )
        self._calibrated = calibrated
        self._info = RunInfo(context)
        self._records: list[FrameRecord] = []
        self._rows = 0
        self._file = AtomicFile(path)
        with output_errors(path):
            self._table: Any = pyarrow.parquet.ParquetWriter(
                self._file.open_binary(), self._schema, compression="zstd"
            )

    def write(self, record: FrameRecord) -> None:
        """Add a frame.

        Raises:
            OutputError: the disk is full or gone.
        """
        self._info.add(record)
        if len(record.poses):
            self._records.append(record)
            self._rows += len(record.poses)
        if self._rows >= GROUP_ROWS:
            self._flush()

    def close(self, entry_text: str) -> None:
        """Complete the file.

        Args:
            entry_text: The unit's entry in the ledger, which the file holds as well.

        Raises:
            OutputError: it cannot be completed; nothing of it stays.
        """
        self._flush()
        with output_errors(self.path):
            self._table.add_key_value_metadata(
                {"rtmpose_sources": to_json(self._info.sources()), FOOTER: entry_text}
            )
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
        columns = self._head(records) + self._points(records)
        arrays = [
            self._arrow.array(values, field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        with output_errors(self.path):
            self._table.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def _head(self, records: list[FrameRecord]) -> list[Any]:
        """The columns of :data:`HEAD`, in its order."""
        counts = [len(record.poses) for record in records]

        def of_frames(values: list[Any]) -> Any:
            return np.repeat(np.array(values), counts)

        sizes = [record.size_wh or (0, 0) for record in records]
        names = [utf8_name(record.source) for record in records for _ in range(len(record.poses))]
        boxes = np.concatenate([record.poses.boxes for record in records])
        return [
            names,
            of_frames([record.index for record in records]),
            of_frames([record.time_s for record in records]),
            np.concatenate([np.arange(count) for count in counts]),
            np.concatenate([_ids(record) for record in records]),
            np.concatenate([_filled(record) for record in records]),
            *(boxes[:, corner] for corner in range(4)),
            np.concatenate([record.poses.box_scores for record in records]),
            np.concatenate([record.poses.instance_scores for record in records]),
            of_frames([width for width, _ in sizes]),
            of_frames([height for _, height in sizes]),
        ]

    def _points(self, records: list[FrameRecord]) -> list[Any]:
        """x, y, score and, where calibrated, probability of each keypoint in turn."""
        keypoints = np.concatenate([record.poses.keypoints for record in records])
        parts = [keypoints[:, :, 0], keypoints[:, :, 1]]
        parts.append(np.concatenate([record.poses.scores for record in records]))
        if self._calibrated:
            parts.append(np.concatenate([record.poses.probabilities for record in records]))
        count = keypoints.shape[1]
        return [np.ascontiguousarray(part[:, k]) for k in range(count) for part in parts]


def _ids(record: FrameRecord) -> Any:
    count = len(record.poses)
    return np.full(count, -1, np.int64) if record.poses.ids is None else record.poses.ids


def _filled(record: FrameRecord) -> Any:
    if record.filled is None:
        return np.zeros(len(record.poses), np.int64)
    return record.filled.astype(np.int64)
