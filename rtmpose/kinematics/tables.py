"""Angles as files: CSV, Parquet, and OpenSim's .mot."""

from __future__ import annotations

import csv
import math
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import MissingDependencyError
from rtmpose.files import atomic_binary, atomic_text, output_errors, write_text
from rtmpose.kinematics.angles import AngleOptions, PersonAngles
from rtmpose.kinematics.clips import ClipAngles
from rtmpose.kinematics.definitions import ANGLES
from rtmpose.text_files import to_json
from rtmpose.writers.run_info import info_path

HEAD = ("source", "frame", "time_s", "id", "facing", "filled")
DIGITS = 4
"""Of degrees in text."""
METER_DIGITS = 5

GROUP_ROWS = 20_000
"""Rows of Parquet that are in memory at once."""

Row = list[str | int | float | bool]


@dataclass(frozen=True, eq=False)
class PersonRows:
    """The rows of one person: F frames.

    Attributes:
        source: Name of the source.
        id: Number of the person.
        frames: ``(F,)`` int64.
        times: ``(F,)`` float64 in seconds.
        right: ``(F,)`` bool: faces right.
        filled: ``(F,)`` bool: a gap was filled.
        values: ``(F, A)`` float64 degrees.
        meters: Name of a point to its ``(F, 2)`` float64 place; empty without a scale.
    """

    source: str
    id: int
    frames: NDArray[np.int64]
    times: NDArray[np.float64]
    right: NDArray[np.bool_]
    filled: NDArray[np.bool_]
    values: NDArray[np.float64]
    meters: dict[str, NDArray[np.float64]]

    def rows(self, points: Sequence[str]) -> Iterator[Row]:
        """A row per frame; NaN where an angle or a point is unknown."""
        unknown = np.full((len(self.frames), 2), np.nan)
        places = [self.meters.get(name, unknown) for name in points]
        values = np.concatenate([self.values, *places], axis=1)
        for i, frame in enumerate(self.frames.tolist()):
            facing = "right" if self.right[i] else "left"
            head: Row = [self.source, frame, float(self.times[i]), self.id, facing]
            yield [*head, bool(self.filled[i]), *values[i].tolist()]


class AngleRows:
    """Rows of many clips, kept on the disk: which columns a table has is known after the last."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._count = 0
        self._points: dict[str, None] = {}

    def __enter__(self) -> AngleRows:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, clip: ClipAngles) -> None:
        """Add everybody in a clip."""
        for person in clip.people:
            meters: dict[str, NDArray[np.float64]] = {}
            if clip.scale is not None:
                points = person.body.points
                meters = {name: clip.scale.to_meters(person.body.at(name)) for name in points}
            self._points |= dict.fromkeys(meters)
            rows = PersonRows(
                person.source,
                person.id,
                person.frames,
                person.times,
                person.facing.signs > 0,
                person.filled,
                person.values,
                meters,
            )
            pickle.dump(rows, self._file, pickle.HIGHEST_PROTOCOL)
            self._count += 1

    @property
    def columns(self) -> list[str]:
        """Names of the columns: the angles in degrees, with a scale also points in meters."""
        return [*HEAD, *ANGLES, *(f"{point}_{axis}_m" for point in self._points for axis in "xy")]

    def __iter__(self) -> Iterator[Row]:
        """All rows."""
        points = list(self._points)
        self._file.seek(0)
        for _ in range(self._count):
            person: PersonRows = pickle.load(self._file)
            yield from person.rows(points)


def write_csv(rows: AngleRows, path: Path, about: dict[str, Any]) -> None:
    """Write a table; empty cells are unknown. ``NAME.info.json`` next to it says how.

    Raises:
        OutputError: it cannot be written.
    """
    count = len(HEAD) + len(ANGLES)
    with atomic_text(path) as file:
        table = csv.writer(file)
        table.writerow(rows.columns)
        for row in rows:
            head: list[str] = [str(value) for value in row[: len(HEAD) - 1]]
            head.append(str(int(row[len(HEAD) - 1])))
            head[2] = repr(row[2])
            angles = [_text(value, DIGITS) for value in row[len(HEAD) : count]]
            table.writerow([*head, *angles, *(_text(v, METER_DIGITS) for v in row[count:])])
    write_text(info_path(path), to_json(about, indent=1) + "\n")


def write_parquet(rows: AngleRows, path: Path, about: dict[str, Any]) -> None:
    """Write the same table typed; the schema's metadata has ``rtmpose_angles``, as JSON.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        OutputError: it cannot be written.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} needs pyarrow: pip install 'rtmpose[parquet]'"
        ) from error
    types = {"source": pyarrow.string(), "facing": pyarrow.string(), "filled": pyarrow.bool_()}
    types |= {"frame": pyarrow.int64(), "id": pyarrow.int64()}
    fields = [(name, types.get(name, pyarrow.float64())) for name in rows.columns]
    schema = pyarrow.schema(fields, metadata={"rtmpose_angles": to_json(about)})
    each = iter(rows)
    with (
        atomic_binary(path) as file,
        output_errors(path),
        pyarrow.parquet.ParquetWriter(file, schema) as writer,
    ):
        while group := list(islice(each, GROUP_ROWS)):
            columns = zip(*group, strict=True)
            arrays = [
                pyarrow.array(c, field.type) for c, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def write_mot(person: PersonAngles, path: Path, note: str) -> None:
    """Write the angles of one person as OpenSim's storage, in degrees.

    Times rise from frame to frame. Unknown values are ``NaN``.

    Args:
        person: Whose.
        path: The file.
        note: A line for the head: how the angles were made.

    Raises:
        OutputError: it cannot be written.
    """
    seen = np.atleast_1d(np.isfinite(person.values).any(axis=0))
    names = [name for name, known in zip(person.names, seen, strict=True) if known]
    times = person.times
    if (np.diff(times) <= 0).any():
        times = person.frames / person.rate
    head = [
        path.stem,
        "version=1",
        f"nRows={len(times)}",
        f"nColumns={len(names) + 1}",
        "inDegrees=yes",
        "",
        " ".join(note.split()),
        "",
        "endheader",
        "\t".join(["time", *names]),
    ]
    with atomic_text(path) as file:
        file.write("\n".join(head) + "\n")
        for time, values in zip(times.tolist(), person.values[:, seen].tolist(), strict=True):
            cells = [_text(value, DIGITS) or "NaN" for value in values]
            file.write("\t".join([repr(time), *cells]) + "\n")


def filter_note(person: PersonAngles, options: AngleOptions) -> str:
    """How the angles of a person were made, in a line."""
    gaps = f"gaps of up to {options.gap} frames of a point filled"
    if person.cutoff is None:
        return f"Points not filtered; {gaps}."
    return (
        f"Points through a Butterworth low-pass filter of order 4 without lag, {person.cutoff:g} Hz"
        f" at {person.rate:g} frames per second; {gaps}."
    )


def _text(value: object, digits: int) -> str:
    number = float(value)  # type: ignore[arg-type]
    return f"{number:.{digits}f}" if math.isfinite(number) else ""
