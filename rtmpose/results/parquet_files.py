"""Parquet, read back: single tables, and the data sets of `rtmpose batch` file by file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.results.description import Description, description_from, source_info
from rtmpose.results.rows import NO_ID, SourceRows, make_clips
from rtmpose.results.tables import TableColumns
from rtmpose.text_files import parse_json
from rtmpose.writers.clip import Clip

BATCH_ROWS = 10_000
"""Rows that are unpacked at once."""
BOX = ("box_x1", "box_y1", "box_x2", "box_y2")


def read_parquet(path: Path) -> list[Clip]:
    """The clips of one table; a part of a long video by itself, if it is named.

    Raises:
        InputError: it is another table, or damaged.
        MissingDependencyError: pyarrow is not installed.
    """
    return read_parquet_files([path], path, whole=False)


def read_parquet_files(paths: Sequence[Path], place: Path, *, whole: bool = True) -> list[Clip]:
    """The clips of tables with the same keypoints. A long video may lie in several.

    Args:
        paths: The tables.
        place: Their folder, for errors.
        whole: Whether no part of a video may be missing.

    Raises:
        InputError: one is another table, or damaged, or a part of a video is missing.
        MissingDependencyError: pyarrow is not installed.
    """
    arrow = _pyarrow(place)
    rows: dict[str, SourceRows] = {}
    parts = Parts()
    description: Description | None = None
    for path in paths:
        try:
            with arrow.parquet.ParquetFile(path) as file:
                metadata = {**(file.metadata.metadata or {}), **(file.schema_arrow.metadata or {})}
                columns = TableColumns(file.schema_arrow.names, path)
                for batch in file.iter_batches(BATCH_ROWS):
                    _add_batch(batch, columns, rows, path)
        except (OSError, arrow.ArrowException) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from error
        found = _description(metadata, path)
        if not found.keypoints:
            found.keypoints = columns.keypoints
        parts.add(metadata, path)
        description = found if description is None else description.joined(found, path)
    if description is None:
        return []
    if whole:
        parts.check(place)
    return make_clips(rows, description, len(description.keypoints), place)


def files_together(paths: Sequence[Path], place: Path) -> list[list[Path]]:
    """Tables in groups that have no source in common: parts of a long video belong together.

    Args:
        paths: The tables.
        place: Their folder, for errors.

    Raises:
        InputError: one is no Parquet file.
        MissingDependencyError: pyarrow is not installed.
    """
    groups: list[list[Path]] = []
    group_of: dict[str, int] = {}
    for path in paths:
        names = _sources_in(path, place)
        taken = sorted({group_of[name] for name in names if name in group_of})
        number = taken[0] if taken else len(groups)
        if not taken:
            groups.append([])
        # A file with the sources of two groups makes one of them.
        for other in taken[1:]:
            groups[number] += groups[other]
            groups[other] = []
            group_of = {name: number if g == other else g for name, g in group_of.items()}
        groups[number].append(path)
        group_of |= dict.fromkeys(names, number)
    return [sorted(group) for group in groups if group]


class Parts:
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


def _pyarrow(place: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            f"reading {place} needs pyarrow: pip install 'rtmpose[parquet]'"
        ) from error
    return pyarrow


def _sources_in(path: Path, place: Path) -> list[str]:
    """The sources of a table: as it says, or else as its rows do."""
    arrow = _pyarrow(place)
    try:
        metadata = arrow.parquet.read_metadata(path).metadata or {}
        text = metadata.get(b"rtmpose_sources")
        if text is not None:
            entries = parse_json(text, f"the metadata of {path}")
            return [str(entry["source"]) for entry in entries]
        if "source" not in arrow.parquet.read_schema(path).names:
            return []
        column = arrow.parquet.read_table(path, columns=["source"])["source"]
        return [str(name) for name in column.unique().to_pylist()]
    except (OSError, arrow.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error
    except (KeyError, TypeError) as error:
        raise InputError(f"the metadata of {path} are damaged: {error!r}") from error


def _add_batch(
    batch: Any, columns: TableColumns, sources: dict[str, SourceRows], path: Path
) -> None:
    """Add some rows to those of their sources."""

    def numbers(column: int, kind: str) -> NDArray[Any]:
        values = batch.column(column)
        name = batch.schema.names[column]
        if kind == "i8" and values.null_count:
            raise InputError(f"{path} has empty cells in its column {name}")
        try:
            return np.asarray(values.to_numpy(zero_copy_only=False)).astype(kind)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{path} has a column {name} that is no numbers: {error}") from error

    def named(name: str, kind: str, default: float) -> NDArray[Any]:
        column = columns.place.get(name)
        return np.full(len(batch), default, kind) if column is None else numbers(column, kind)

    # Columns of the table as arrays; floats become what rows of other formats have.
    names = batch.column(columns.place["source"]).dictionary_encode()
    points = np.stack([numbers(i, "f4") for i in columns.points], axis=1)
    points = points.reshape(len(batch), -1, 3)
    probabilities = [numbers(i, "f4") for i in columns.probabilities]
    frames, times = named("frame", "i8", 0), named("time_s", "f8", 0)
    boxes = np.stack([named(name, "f8", 0) for name in BOX], axis=1)
    ids, filled = named("id", "i8", NO_ID), named("filled", "i8", 0)
    box_scores = named("box_score", "f8", 1)
    sizes = np.stack([named("image_width", "i8", 0), named("image_height", "i8", 0)], axis=1)

    codes = np.asarray(names.indices.to_numpy(zero_copy_only=False))
    for code, name in enumerate(names.dictionary.to_pylist()):
        own = np.flatnonzero(codes == code)
        rows = sources.setdefault(str(name), SourceRows())
        rows.seen.update(zip(frames[own].tolist(), times[own].tolist(), strict=True))
        rows.frames += frames[own].tolist()
        rows.points += list(points[own])
        rows.boxes += boxes[own].tolist()
        rows.ids += ids[own].tolist()
        rows.box_scores += box_scores[own].tolist()
        rows.filled += (filled[own] != 0).tolist()
        if probabilities:
            rows.probabilities += list(np.stack(probabilities, axis=1)[own])
        width, height = sizes[own[0]].tolist()
        if rows.size_wh is None and width and height:
            rows.size_wh = (width, height)


def _description(metadata: Mapping[bytes, bytes], path: Path) -> Description:
    text = metadata.get(b"rtmpose")
    if text is None:
        return Description()
    description = description_from(parse_json(text, f"the metadata of {path}"), path)
    sources = metadata.get(b"rtmpose_sources", b"[]")
    for entry in parse_json(sources, f"the metadata of {path}"):
        description.sources[str(entry["source"])] = source_info(entry)
    return description
