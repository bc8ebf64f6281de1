"""DeepLabCut's labels in HDF5, as pandas writes them, read without unpickling anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rtmpose.datasets.coco_types import Json
from rtmpose.datasets.deeplabcut_table import LabelTable, refuse_predictions
from rtmpose.errors import InputError, MissingDependencyError

COORDINATES = ("x", "y", "likelihood")


def read_h5_table(path: Path) -> LabelTable:
    """A table of labels from a ``CollectedData_*.h5``.

    Raises:
        InputError: it is something else, or see :func:`read_fixed_frame`.
        MissingDependencyError: h5py is not installed.
    """
    table = read_fixed_frame(path)
    refuse_predictions(path, [name for name, _ in table.rows])
    return table


def read_fixed_frame(path: Path) -> LabelTable:
    """A table of DeepLabCut's in pandas' fixed form, of images or of a video.

    Args:
        path: The file; it holds one data frame.

    Raises:
        InputError: it is something else, or holds pickled Python objects, which are not opened.
        MissingDependencyError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(
            f"reading {path.name} needs h5py: pip install 'rtmpose[deeplabcut]'; the .csv next to"
            " it needs nothing"
        ) from error
    remedy = "give the .csv next to it, which DeepLabCut writes too"
    try:
        with h5py.File(path, "r") as file:
            frame = next((file[key] for key in file if "axis0_level0" in file[key]), None)
            if frame is None:
                raise InputError(f"{path} is not a table of DeepLabCut in the usual form; {remedy}")
            columns = [_column(levels) for levels in _labels(frame, "axis0")]
            names = ["/".join(levels) for levels in _labels(frame, "axis1")]
            values = _values(frame, len(names), columns)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read ({error}); {remedy}") from error
    return LabelTable(columns, [(n, row.tolist()) for n, row in zip(names, values, strict=True)])


def _column(levels: Sequence[str]) -> tuple[str, str, str]:
    """Individual, body part and coordinate from scorer, (individuals,) bodyparts, coords."""
    if len(levels) not in (3, 4) or levels[-1] not in COORDINATES:
        raise ValueError(f"columns {levels}")
    return (levels[1] if len(levels) == 4 else "", levels[-2], levels[-1])


def _labels(frame: Json, axis: str) -> Iterator[list[str]]:
    """The labels along an axis: one text each, or one per level."""
    if axis in frame:
        for label in _texts(frame[axis]):
            yield [label]
        return
    levels: list[list[str]] = []
    while f"{axis}_level{len(levels)}" in frame:
        number = len(levels)
        names = _texts(frame[f"{axis}_level{number}"])
        codes = np.asarray(frame[f"{axis}_label{number}"])
        levels.append([names[code] if code >= 0 else "" for code in codes.tolist()])
    for parts in zip(*levels, strict=True):
        yield list(parts)


def _texts(dataset: Json) -> list[str]:
    """Texts or numbers as texts.

    Raises:
        ValueError: they are pickled objects.
    """
    # pandas keeps mixed values as one pickle: a list of bytes of any length.
    if dataset.dtype == object or dataset.ndim != 1 or dataset.dtype.kind not in "SUiuf":
        raise ValueError("its labels are Python objects")
    values = np.asarray(dataset).tolist()
    return [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values]


def _values(
    frame: Json, rows: int, columns: Sequence[tuple[str, str, str]]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """``(rows, columns)`` of the whole frame, from its one block of numbers."""
    values = np.asarray(frame["block0_values"], np.float64)
    if "block1_values" in frame or values.shape != (rows, len(columns)):
        raise ValueError(f"its values are {values.shape}, not {rows} x {len(columns)}")

    # The block may have its columns in another order than the frame.
    items = [_column(levels) for levels in _labels(frame, "block0_items")]
    if list(items) != list(columns):
        position = {item: i for i, item in enumerate(items)}
        values = values[:, [position[column] for column in columns]]
    return values
