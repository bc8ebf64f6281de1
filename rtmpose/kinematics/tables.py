"""Angles as files: CSV, Parquet, and OpenSim's .mot."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

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

Row = list[str | int | float | bool]


def columns(clips: Sequence[ClipAngles]) -> list[str]:
    """Names of the columns: those of the angles in degrees, with a scale also points in meters."""
    return [*HEAD, *ANGLES, *(f"{point}_{axis}_m" for point in _points(clips) for axis in "xy")]


def rows(clips: Sequence[ClipAngles]) -> Iterator[Row]:
    """A row per person and frame; NaN where an angle or a point is unknown."""
    points = _points(clips)
    everybody = [(person, clip.scale) for clip in clips for person in clip.people]
    for person, scale in everybody:
        values = person.values
        if points:
            # Clips without a scale have no meters.
            places = np.concatenate([person.body.at(name) for name in points], axis=1)
            pairs = places.reshape(len(places), -1, 2)
            meters = np.full_like(pairs, np.nan) if scale is None else scale.to_meters(pairs)
            values = np.concatenate([values, meters.reshape(places.shape)], axis=1)
        for i, frame in enumerate(person.frames.tolist()):
            facing = "right" if person.facing.signs[i] > 0 else "left"
            head: Row = [person.source, frame, float(person.times[i]), person.id, facing]
            yield [*head, bool(person.filled[i]), *values[i].tolist()]


def write_csv(clips: Sequence[ClipAngles], path: Path, about: dict[str, Any]) -> None:
    """Write a table; empty cells are unknown. ``NAME.info.json`` next to it says how.

    Raises:
        OutputError: it cannot be written.
    """
    count = len(HEAD) + len(ANGLES)
    with atomic_text(path) as file:
        table = csv.writer(file)
        table.writerow(columns(clips))
        for row in rows(clips):
            head: list[str] = [str(value) for value in row[: len(HEAD) - 1]]
            head.append(str(int(row[len(HEAD) - 1])))
            head[2] = repr(row[2])
            angles = [_text(value, DIGITS) for value in row[len(HEAD) : count]]
            table.writerow([*head, *angles, *(_text(v, METER_DIGITS) for v in row[count:])])
    write_text(info_path(path), to_json(about, indent=1) + "\n")


def write_parquet(clips: Sequence[ClipAngles], path: Path, about: dict[str, Any]) -> None:
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
    fields = [(name, types.get(name, pyarrow.float64())) for name in columns(clips)]
    schema = pyarrow.schema(fields, metadata={"rtmpose_angles": to_json(about)})
    values = list(zip(*rows(clips), strict=True)) or [()] * len(fields)
    arrays = [
        pyarrow.array(column, field.type) for column, field in zip(values, schema, strict=True)
    ]
    with atomic_binary(path) as file, output_errors(path):
        pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), file)


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


def _points(clips: Sequence[ClipAngles]) -> list[str]:
    """Points that are written in meters."""
    people = (person for clip in clips if clip.scale is not None for person in clip.people)
    return list(dict.fromkeys(name for person in people for name in person.body.points))


def _text(value: object, digits: int) -> str:
    number = float(value)  # type: ignore[arg-type]
    return f"{number:.{digits}f}" if math.isfinite(number) else ""
