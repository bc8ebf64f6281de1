"""CSV, read back; and what the columns of tables are."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError
from rtmpose.results.deeplabcut_table import is_deeplabcut, read_deeplabcut
from rtmpose.results.description import description_next_to
from rtmpose.results.rows import SourceRows, make_clips
from rtmpose.text_files import MAX_DATA_BYTES, read_text
from rtmpose.writers.clip import Clip
from rtmpose.writers.columns import HEAD

REQUIRED = ("source", "frame", "time_s", "id", "box_x1", "box_y1", "box_x2", "box_y2", "box_score")
PARTS = ("_x", "_y", "_score")
PROBABILITY = "_probability"
REMEDY = "write the table anew, or save it with commas between columns and points in numbers"


def read_csv(path: Path) -> list[Clip]:
    """The clips of a table.

    Raises:
        InputError: it is another table (DeepLabCut's is read), or damaged; one that a spreadsheet
            program wrote with semicolons or decimal commas is refused.
    """
    text = read_text(path, limit=MAX_DATA_BYTES)
    first = text.partition("\n")[0].rstrip("\r")
    if not first.strip():
        raise InputError(f"{path} is empty")
    if is_deeplabcut(first):
        return read_deeplabcut(text, path)
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if first.count(mark) > first.count(","):
            raise InputError(
                f"{path} has {name} between its columns, as spreadsheet programs write them in"
                f" some languages; {REMEDY}"
            )
    try:
        lines = csv.reader(io.StringIO(text, newline=""))
        names = next(lines)
        # Spreadsheet programs leave empty columns and lines behind.
        while names and not names[-1].strip():
            names.pop()
        table = _Table(names, path)
        for values in lines:
            rest = values[len(names) :]
            if any(value.strip() for value in values):
                whole = values if any(value.strip() for value in rest) else values[: len(names)]
                table.add(whole, f"line {lines.line_num}")
    except csv.Error as error:
        raise InputError(f"{path} is damaged: {error}; {REMEDY}") from error
    description = description_next_to(path)
    if not description.keypoints:
        description.keypoints = table.columns.keypoints
    return make_clips(table.sources, description, len(table.columns.keypoints), path)


class TableColumns:
    """Which column of a table is what.

    Args:
        names: Names of the columns.
        path: The table, for errors.

    Attributes:
        place: Name to its number.
        keypoints: Their names.
        points: Numbers of the columns of x, y and score of each keypoint in turn.
        probabilities: Those of the probabilities; empty where the model is not calibrated.

    Raises:
        InputError: it is another table.
    """

    def __init__(self, names: Sequence[str], path: Path) -> None:
        self.place = {name.strip(): i for i, name in enumerate(names)}
        missing = [name for name in REQUIRED if name not in self.place]
        # Tables of a batch have a probability behind each score of a calibrated model.
        rest = [name for name in self.place if name not in HEAD]
        probabilities = [name for name in rest if name.endswith(PROBABILITY)]
        points = [name for name in rest if not name.endswith(PROBABILITY)]
        firsts = [name.removesuffix("_x") for name in points[::3]]
        complete = points == [f"{name}{part}" for name in firsts for part in PARTS]
        if probabilities and probabilities != [f"{name}{PROBABILITY}" for name in firsts]:
            complete = False
        if missing or not points or not complete:
            what = f"it has no column {missing[0]!r}" if missing else "its columns are others"
            raise InputError(f"{path} is no table that --csv or --parquet writes: {what}")
        self.keypoints = tuple(firsts)
        self.points = [self.place[name] for name in points]
        self.probabilities = [self.place[name] for name in probabilities]


class _Table:
    """Rows of one table, sorted into sources.

    Attributes:
        columns: What is where.
        sources: What was read of each source.
    """

    def __init__(self, names: Sequence[str], path: Path) -> None:
        self.columns = TableColumns(names, path)
        self.sources: dict[str, SourceRows] = {}
        self._path = path
        self._column = self.columns.place

    def add(self, values: Sequence[Any], place: str) -> None:
        """Add a row."""
        if len(values) != len(self._column):
            raise InputError(
                f"{place} of {self._path} has {len(values)} values for {len(self._column)} columns;"
                f" {REMEDY}"
            )
        try:
            self._add(values)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{place} of {self._path}: {error}; {REMEDY}") from error

    def _add(self, values: Sequence[Any]) -> None:
        def at(name: str, default: float = 0) -> float:
            column = self._column.get(name)
            return default if column is None else float(values[column])

        source = str(values[self._column["source"]])
        rows = self.sources.setdefault(source, SourceRows())
        frame = int(at("frame"))
        rows.seen[frame] = at("time_s")
        width, height = int(at("image_width")), int(at("image_height"))
        if rows.size_wh is None and width and height:
            rows.size_wh = (width, height)
        points = np.fromiter(_numbers(values[i] for i in self.columns.points), np.float32)
        rows.add(
            frame,
            points.reshape(-1, 3),
            [at(f"box_{part}") for part in ("x1", "y1", "x2", "y2")],
            number=int(at("id")),
            box_score=at("box_score"),
            filled=bool(at("filled")),
        )
        if self.columns.probabilities:
            numbers = _numbers(values[i] for i in self.columns.probabilities)
            rows.probabilities.append(np.fromiter(numbers, np.float32))


def _numbers(values: Iterable[Any]) -> Iterable[float]:
    """Numbers; NaN for what is empty."""
    for value in values:
        yield float("nan") if value is None or value == "" else float(value)
