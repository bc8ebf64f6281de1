"""movement's netCDF of poses, read back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.results.track_arrays import TrackArrays, numbers_of
from rtmpose.writers.clip import Clip

OFF = 0.1
"""Part of a frame by which times may be off a steady rate."""
AXES = ("time", "individuals", "keypoints", "space")


def read_movement(path: Path) -> list[Clip]:
    """The clip of a data set of poses.

    Raises:
        InputError: it holds boxes or three dimensions, or is damaged.
        MissingDependencyError: xarray or what it reads netCDF with is not installed.
    """
    try:
        import xarray
    except ImportError as error:
        raise MissingDependencyError(f"{path} needs xarray: pip install 'rtmpose[labs]'") from error
    try:
        content = xarray.load_dataset(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "is netCDF4 installed (pip install 'rtmpose[labs]')?"
        raise InputError(f"{path} cannot be read as netCDF: {error}; {hint}") from error

    # Newer versions name one of each.
    singular = {"individual": "individuals", "keypoint": "keypoints"}
    content = content.rename({old: new for old, new in singular.items() if old in content.dims})
    if not set(AXES) <= set(content["position"].dims):
        raise InputError(
            f"{path} has positions over {', '.join(map(str, content['position'].dims))}, not over"
            f" {', '.join(AXES)}: is it a data set of boxes?"
        )
    space = _texts(content["space"])
    if space[:2] != ["x", "y"] or len(space) != 2:
        raise InputError(
            f"{path} has positions in {', '.join(space)}; results lie in an image: x, y"
        )
    return _arrays(content, path).clips(path)


def _arrays(content: Any, path: Path) -> TrackArrays:
    position = content["position"].transpose(*AXES).values
    confidence = np.ones(position.shape[:3])
    if "confidence" in content:
        confidence = content["confidence"].transpose(*AXES[:3]).values
    fps = content.attrs.get("fps")
    rate = float(fps) if fps and float(fps) > 0 else None
    times = content["time"].values.astype(np.float64)
    frames: NDArray[np.int64] = np.arange(len(times))
    seconds: NDArray[np.float64] | None = times
    if content.attrs.get("time_unit") == "frames" or not rate:
        frames = times.round().astype(np.int64)
        seconds = None if rate is None else times / rate
    else:
        # A clip that begins later in its video keeps the numbers of its frames. At an uneven rate
        # they are counted.
        numbers = (times * rate).round().astype(np.int64)
        steady = np.abs(times * rate - numbers).max(initial=0) < OFF
        frames = numbers if steady and (np.diff(numbers) > 0).all() else frames
    ids = numbers_of(_texts(content["individuals"]))
    return TrackArrays(
        str(content.attrs.get("source_file") or path.stem),
        tuple(_texts(content["keypoints"])),
        tuple(ids.values()),
        frames,
        seconds,
        position.astype(np.float32),
        confidence.astype(np.float32),
        fps=rate,
    )


def _texts(values: Any) -> Sequence[str]:
    return [str(value) for value in values.values.tolist()]
