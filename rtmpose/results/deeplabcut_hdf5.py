"""DeepLabCut's HDF5 of a video, as pandas writes it, read without opening pickled objects."""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.datasets.deeplabcut_h5 import read_fixed_frame
from rtmpose.errors import InputError
from rtmpose.results.deeplabcut_table import LEVELS, Columns, columns_of, source_name
from rtmpose.results.track_arrays import TrackArrays
from rtmpose.writers.clip import Clip

REMEDY = "give the .csv of the same name, which DeepLabCut writes with save_as_csv=True"
NUMBERS = "values_block_0"
PLAIN_OPERATIONS = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1",
    "BININT2",
    "LONG", "LONG1", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE",
    "BINUNICODE", "SHORT_BINUNICODE", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_TUPLE",
    "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "PUT",
    "BINPUT",
    "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET", "MEMOIZE",
})  # fmt: skip
"""What a pickle of plain lists is made of; none of it runs code."""


def is_pandas_table(group: Any) -> bool:
    """Whether a group of an HDF5 file is a data frame."""
    return "pandas_type" in getattr(group, "attrs", {})


def read_pandas_table(content: Any, path: Path) -> list[Clip]:
    """The clip of an opened file; it tells no times: 30 frames per second are taken.

    Raises:
        InputError: it is another data frame, or one of labeled images.
    """
    group = next(content[name] for name in content if is_pandas_table(content[name]))
    # movement writes the fixed form, and so does DeepLabCut of labeled images.
    if "axis0_level0" in group:
        return _fixed_frame(path)
    table = group.get("table")
    if table is None or table.dtype.names != ("index", NUMBERS):
        raise InputError(f"{path} is a table of pandas, but none of DeepLabCut's; {REMEDY}")
    rows = np.asarray(table)
    if rows["index"].dtype.kind not in "iu":
        raise InputError(f"{path} has no numbers of frames: `rtmpose data` reads labeled images")
    numbers = rows[NUMBERS].reshape(len(rows), -1)
    return _clips(_columns(group, path), rows["index"].astype(np.int64), numbers, path)


def _fixed_frame(path: Path) -> list[Clip]:
    table = read_fixed_frame(path)
    names = [name for name, _ in table.rows]
    if not all(name.isdecimal() for name in names):
        raise InputError(
            f"{path} is a table of labeled images, which `rtmpose data` reads; for a video {REMEDY}"
        )
    individuals, parts, coordinates = zip(*table.columns, strict=True)
    levels = [["bodyparts", *parts], ["coords", *coordinates]]
    if any(individuals):
        levels.insert(0, ["individuals", *individuals])
    numbers = np.array([values for _, values in table.rows], np.float64)
    numbers = numbers.reshape(len(names), len(table.columns))
    return _clips(columns_of(levels, path), np.array(names, np.int64), numbers, path)


def _clips(
    columns: Columns, frames: NDArray[np.int64], numbers: NDArray[np.float64], path: Path
) -> list[Clip]:
    """The clip of a table: numbers of frames, and ``(F, columns)`` numbers.

    Raises:
        InputError: there are more or less columns than names.
    """
    if numbers.shape[1] < max(max(places) for places in columns.places.values()):
        raise InputError(f"{path} is damaged: it has {numbers.shape[1]} columns; {REMEDY}")
    # Column 0 is that of a likelihood which is not there: sure.
    values = np.concatenate([np.ones((len(frames), 1)), numbers], axis=1)
    shape = (len(frames), len(columns.people), len(columns.keypoints))
    triples = np.full((*shape, 3), np.nan)
    for (person, keypoint), places in columns.places.items():
        i, k = columns.people.index(person), columns.keypoints.index(keypoint)
        triples[:, i, k] = values[:, list(places)]
    return TrackArrays(
        source_name(path),
        columns.keypoints,
        columns.people,
        frames,
        None,
        triples[..., :2].astype(np.float32),
        triples[..., 2].astype(np.float32),
    ).clips(path)


def _columns(group: Any, path: Path) -> Columns:
    """Which column is what, from the levels that pandas keeps in pickled lists of texts."""
    try:
        ((_, labels),) = _plain(group.attrs["non_index_axes"])
        names = _plain(group.attrs["info"])[1]["names"]
        levels = [list(level) for level in zip(*labels, strict=True)]
        named = [[str(name), *level] for name, level in zip(names, levels, strict=True)]
    except (KeyError, TypeError, ValueError, EOFError, IndexError, pickle.UnpicklingError) as error:
        raise InputError(f"the columns of {path} cannot be read ({error}); {REMEDY}") from error
    if not {"bodyparts", "coords"} <= {level[0] for level in named}:
        found = ", ".join(level[0] for level in named)
        raise InputError(
            f"{path} has columns of {found}, and DeepLabCut's are of {', '.join(LEVELS)}"
        )
    return columns_of(named, path)


def _plain(pickled: Any) -> Any:
    """What a pickle of lists, texts and numbers holds; one that would build objects is refused."""
    content = bytes(pickled)
    for operation, _, _ in pickletools.genops(content):
        if operation.name not in PLAIN_OPERATIONS:
            raise ValueError("they are Python objects")
    return pickle.loads(content)
