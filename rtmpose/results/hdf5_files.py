"""HDF5 of other programs, told apart by what is in it: DeepLabCut, SLEAP and movement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.results.deeplabcut_hdf5 import is_pandas_table, read_pandas_table
from rtmpose.results.movement_netcdf import read_movement
from rtmpose.results.sleap import read_slp
from rtmpose.results.track_arrays import TrackArrays, numbers_of
from rtmpose.text_files import parse_json
from rtmpose.writers.clip import Clip

SIGNATURE = b"\x89HDF\r\n\x1a\n"
CLASSIC_NETCDF = b"CDF"
SHOWN = 8
"""Names of a file that an error tells."""
MATLAB_ORDER = ("track", "xy", "node", "frame")
"""Axes of SLEAP's tracks where the file does not name them."""
CANONICAL = ("frame", "track", "node", "xy")


def read_hdf5(path: Path) -> list[Clip]:
    """The clips of a file, whatever its suffix.

    Raises:
        InputError: it is none of the kinds that are read, or damaged.
        MissingDependencyError: the package that reads its kind is not installed.
    """
    with path.open("rb") as file:
        begin = file.read(len(SIGNATURE))
    if begin.startswith(CLASSIC_NETCDF):
        raise InputError(
            f"{path} is netCDF 3; movement writes netCDF 4: load it there and save it again"
        )
    if begin != SIGNATURE:
        raise InputError(f"{path} is no HDF5 file, whatever its name says; is it damaged?")
    kind = _kind_of(path)
    if kind == "slp":
        return read_slp(path)
    if kind == "movement":
        return read_movement(path)
    with opened(path) as content:
        return read_pandas_table(content, path) if kind == "pandas" else _analysis(content, path)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The content of a file; what goes wrong with it is told.

    Raises:
        InputError: it is damaged.
        MissingDependencyError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(f"{path} needs h5py: pip install 'rtmpose[labs]'") from error
    try:
        with h5py.File(path, "r") as content:
            yield content
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged, or of another version: {error}") from error


def _kind_of(path: Path) -> str:
    """What kind of results a file holds.

    Raises:
        InputError: it holds something else, which is named.
    """
    with opened(path) as content:
        names = set(content)
        if {"tracks", "node_names", "track_occupancy"} <= names:
            return "analysis"
        if {"metadata", "frames", "instances"} <= names:
            return "slp"
        if "position" in names and names & {"individuals", "individual"}:
            return "movement"
        if any(is_pandas_table(content[name]) for name in names):
            return "pandas"
        what = f"it holds {', '.join(sorted(names)[:SHOWN]) or 'nothing'}"
        if "nwb_version" in content.attrs:
            what = "it is an NWB file, which rtmpose writes, but does not read"
        elif "poseest" in names:
            what = "it is of JABS"
        elif "keras_version" in content.attrs or "model_weights" in names:
            what = "it is a network of Keras"
    raise InputError(
        f"{path} holds no results: {what}; DeepLabCut's .h5 of a video, SLEAP's .slp and analysis"
        " .h5, and movement's .nc are read"
    )


def _axes(text: Any, path: Path) -> tuple[str, ...]:
    """Names of axes out of an attribute: a list of texts in JSON."""
    axes = parse_json(_text(text), f"the axes of {path}")
    if not isinstance(axes, list) or not all(isinstance(axis, str) for axis in axes):
        raise InputError(f"{path} has tracks whose axes are not a list of names: {axes!r}")
    return tuple(axes)


def _analysis(content: Any, path: Path) -> list[Clip]:
    """The clip of SLEAP's analysis file."""
    tracks = content["tracks"]
    order: tuple[str, ...] = MATLAB_ORDER
    if "dims" in tracks.attrs:
        order = _axes(tracks.attrs["dims"], path)
    if sorted(order) != sorted(CANONICAL) or tracks.ndim != len(CANONICAL):
        raise InputError(f"{path} has tracks with the axes {', '.join(order)}, which are not known")
    points = np.transpose(np.asarray(tracks), [order.index(axis) for axis in CANONICAL])
    count, people, nodes, _ = points.shape
    scores = np.ones((count, people, nodes))
    if "point_scores" in content:
        own = [axis for axis in order if axis != "xy"]
        axes = [own.index(axis) for axis in CANONICAL if axis != "xy"]
        scores = np.transpose(np.asarray(content["point_scores"]), axes)
    names = _texts(content["track_names"]) if "track_names" in content else []
    if len(names) != people:
        names = [str(number) for number in range(1, people + 1)]
    edges = np.asarray(content.get("edge_inds", [])).reshape(-1, 2)
    source = path.name.removesuffix(path.suffix).removesuffix(".analysis")
    if "video_path" in content:
        source = _text(content["video_path"][()]) or source
    return TrackArrays(
        source,
        tuple(_texts(content["node_names"])),
        tuple(numbers_of(names).values()),
        np.arange(count),
        None,
        points.astype(np.float32),
        scores.astype(np.float32),
        tuple((int(a), int(b)) for a, b in edges.tolist()),
    ).clips(path)


def _texts(values: Any) -> list[str]:
    return [_text(value) for value in np.asarray(values).ravel().tolist()]


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
