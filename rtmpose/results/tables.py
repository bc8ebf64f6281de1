"""CSV and Parquet, read back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.results.description import (
    Description,
    description_from,
    description_next_to,
    source_info,
)
from rtmpose.results.rows import SourceRows, make_clips
from rtmpose.text_files import MAX_DATA_BYTES, parse_json, read_text
from rtmpose.writers.clip import Clip
from rtmpose.writers.columns import HEAD

REQUIRED = ("source", "frame", "time_s", "id", "box_x1", "box_y1", "box_x2", "box_y2", "box_score")
PARTS = ("_x", "_y", "_score")
PROBABILITY = "_probability"
REMEDY = "write the table anew, or save it with commas between columns and points in numbers"


def read_csv(path: Path) -> list[Clip]:
    """The clips of a table.

    Raises:
        InputError: it is another table, or damaged; one that a spreadsheet program wrote with
            semicolons or decimal commas is refused.
    """
    text = read_text(path, limit=MAX_DATA_BYTES)
    first = text.partition("\n")[0].rstrip("\r")
    if not first.strip():
        raise InputError(f"{path} is empty")
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
        description.keypoints = table.keypoints
    return make_clips(table.sources, description, len(table.keypoints), path)


def read_parquet(path: Path) -> list[Clip]:
    """The clips of a table in Parquet.

    Raises:
        InputError: it is another table, or damaged.
        MissingDependencyError: pyarrow is not installed.
    """
    return read_parquet_files([path], path)


def read_parquet_files(paths: Sequence[Path], whole: Path) -> list[Clip]:
    """The clips of a data set: tables of the same columns. A long video may lie in several.

    Args:
        paths: The tables.
        whole: Their folder, for errors.

    Raises:
        InputError: one is another table, or damaged, or a part of a video is missing.
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingDependencyError(
            f"reading {whole} needs pyarrow: pip install 'rtmpose[parquet]'"
        ) from error
    rows: dict[str, SourceRows] = {}
    parts = _Parts()
    description: Description | None = None
    for path in paths:
        try:
            with parquet.ParquetFile(path) as file:
                metadata = {**(file.metadata.metadata or {}), **(file.schema_arrow.metadata or {})}
                table = _Table(file.schema_arrow.names, path, rows)
                for batch in file.iter_batches():
                    columns = [column.to_pylist() for column in batch.columns]
                    for number, values in enumerate(zip(*columns, strict=True)):
                        table.add(values, f"row {number} of a group")
        except (OSError, pyarrow.ArrowException) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from error
        found = _parquet_description(metadata, path)
        if not found.keypoints:
            found.keypoints = table.keypoints
        parts.add(metadata, path)
        description = found if description is None else description.joined(found, path)
    if description is None:
        return []
    if len(paths) > 1:
        parts.check(whole)
    return make_clips(rows, description, len(description.keypoints), whole)


class _Parts:
    """Parts of long videos that `rtmpose batch` wrote, a file each."""

    def __init__(self) -> None:
        self._found: dict[str, set[int]] = {}
        self._wanted: dict[str, int] = {}

    def add(self, metadata: Mapping[bytes, bytes], path: Path) -> None:
        """Take down which part of which source a file is."""
        text = metadata.get(b"rtmpose_batch")
        if text is None:
            return
        entry = parse_json(text, f"the metadata of {path}")
        for source in entry["sources"]:
            name = str(source["source"])
            self._found.setdefault(name, set()).add(int(entry["part"]))
            self._wanted[name] = int(entry["parts"])

    def check(self, whole: Path) -> None:
        """Refuse a video with a hole in it."""
        for name, count in self._wanted.items():
            if len(self._found[name]) < count:
                raise InputError(
                    f"{whole} has {len(self._found[name])} of the {count} parts of {name}: run the"
                    " same `rtmpose batch` again, or name single files"
                )


class _Table:
    """Rows of one table, sorted into sources.

    Attributes:
        keypoints: Their names.
        sources: What was read of each source.
    """

    def __init__(
        self, names: Sequence[str], path: Path, sources: dict[str, SourceRows] | None = None
    ) -> None:
        self._path = path
        self._column = {name.strip(): i for i, name in enumerate(names)}
        missing = [name for name in REQUIRED if name not in self._column]
        # Tables of a batch have a probability behind each score of a calibrated model.
        rest = [name for name in self._column if name not in HEAD]
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
        self.sources: dict[str, SourceRows] = {} if sources is None else sources
        self._points = [self._column[name] for name in points]
        self._probabilities = [self._column[name] for name in probabilities]

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
        points = np.fromiter(_numbers(values[i] for i in self._points), np.float32)
        rows.add(
            frame,
            points.reshape(-1, 3),
            [at(f"box_{part}") for part in ("x1", "y1", "x2", "y2")],
            number=int(at("id")),
            box_score=at("box_score"),
            filled=bool(at("filled")),
        )
        if self._probabilities:
            numbers = _numbers(values[i] for i in self._probabilities)
            rows.probabilities.append(np.fromiter(numbers, np.float32))


def _numbers(values: Iterable[Any]) -> Iterable[float]:
    """Numbers; NaN for what is empty."""
    for value in values:
        yield float("nan") if value is None or value == "" else float(value)


def _parquet_description(metadata: Mapping[bytes, bytes], path: Path) -> Description:
    text = metadata.get(b"rtmpose")
    if text is None:
        return Description()
    description = description_from(parse_json(text, f"the metadata of {path}"), path)
    sources = metadata.get(b"rtmpose_sources", b"[]")
    for entry in parse_json(sources, f"the metadata of {path}"):
        description.sources[str(entry["source"])] = source_info(entry)
    return description
