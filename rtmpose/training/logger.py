"""The metrics of a training: two CSV files, and TensorBoard where it is installed."""

from __future__ import annotations

import csv
import importlib.util
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from rtmpose.files import write_bytes

log = logging.getLogger(__name__)

STEPS = "steps.csv"
EVALUATIONS = "evaluations.csv"

BOARD_GROUPS = {STEPS: "train", EVALUATIONS: "val"}
"""What TensorBoard's tags begin with: ``train/loss``, ``val/AP``."""


class ScalarWriter(Protocol):
    """What is used of TensorBoard's writer."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Append a point to a curve."""
        ...

    def close(self) -> None:
        """Write what is waiting."""
        ...


class MetricLogger:
    """Writes ``steps.csv``, ``evaluations.csv`` and ``tensorboard/`` in a folder.

    Args:
        folder: Of the training.
        step: Where the training goes on: rows of later steps are from an attempt that was cut off,
            and are removed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        # Rows of steps that will be done again are cut from the files.
        self.folder = folder
        self._columns: dict[str, list[str]] = {}
        for name in (STEPS, EVALUATIONS):
            self._columns[name] = _truncate(folder / name, step)

        # TensorBoard is optional: the same numbers stand in the files.
        self._board: ScalarWriter | None = None
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)  # type: ignore[no-untyped-call,unused-ignore]
        else:
            log.info("TensorBoard is not installed: metrics go to CSV only")

    def add(self, name: str, step: int, values: Mapping[str, float]) -> None:
        """Append a row.

        Args:
            name: ``steps.csv`` or ``evaluations.csv``.
            step: Of the optimizer.
            values: By column.
        """
        # A full disk does not end a training: its state is what counts.
        try:
            self._append(self.folder / name, {"step": step, **values})
        except OSError as error:
            log.warning("step %d is missing in %s: %s", step, self.folder / name, error)
        if self._board is not None:
            tags = {f"{BOARD_GROUPS[name]}/{key}": value for key, value in values.items()}
            self._to_board(tags, step)

    def _append(self, path: Path, row: Mapping[str, float]) -> None:
        """Append a row to a file."""
        columns = self._columns[path.name]

        # Columns that turn up later (another loss) are added at the end.
        new = [c for c in row if c not in columns]
        if new:
            columns += new
            write_bytes(path, _text(columns, _rows(path)).encode())

        # One row, written at once: a training that is cut off loses none.
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, columns, lineterminator="\n").writerow(
                {k: _short(v) for k, v in row.items()}
            )

    def close(self) -> None:
        """Write what is waiting."""
        if self._board is not None:
            try:
                self._board.close()
            except OSError as error:
                self._give_up_board(error)

    def _to_board(self, values: Mapping[str, float], step: int) -> None:
        """Append points to TensorBoard's curves; a full disk does not end a training."""
        assert self._board is not None
        try:
            for tag, value in values.items():
                self._board.add_scalar(tag, value, step)
        except OSError as error:
            self._give_up_board(error)

    def _give_up_board(self, error: OSError) -> None:
        # Its writer does not recover from an error.
        log.warning("TensorBoard's curves end here: %s", error)
        self._board = None


def _short(value: float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _text(columns: list[str], rows: list[dict[str, str]]) -> str:
    # The header from the first line; all values as text.
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: v for k, v in r.items() if k in columns} for r in rows)
    return buffer.getvalue()


def _truncate(path: Path, step: int) -> list[str]:
    """Keep the rows up to a step; returns the file's columns."""
    # Only rows that this training may keep.
    rows = [r for r in _rows(path) if (r.get("step") or "").isdigit() and int(r["step"]) <= step]
    if not rows or step == 0:  # a new training starts with new files
        path.unlink(missing_ok=True)
        return []
    columns = list(rows[0])

    # The header and the remaining rows, in one atomic write.
    write_bytes(path, _text(columns, rows).encode())
    return columns
