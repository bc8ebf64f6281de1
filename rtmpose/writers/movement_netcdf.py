"""The netCDF of movement: a data set of positions and confidences over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtmpose.files.library import file_of_library
from rtmpose.writers.clip import Clip
from rtmpose.writers.lab_options import LabOptions, person_name


def write_movement(clip: Clip, path: Path, options: LabOptions) -> list[Path]:
    """Write a clip as ``position`` (time, space, keypoints, individuals) in pixels and
    ``confidence`` (time, keypoints, individuals) in 0..1, both NaN where somebody is not seen.

    ``time`` has the seconds of the source, as the file of results has them.

    Raises:
        InputError: people have no ids.
        OutputError: it cannot be written.
    """
    import xarray

    tracks = clip.tracks()
    position = tracks.keypoints.transpose(0, 3, 2, 1).astype(np.float64)
    confidence = tracks.confidences.transpose(0, 2, 1).astype(np.float64)
    dataset = xarray.Dataset(
        {
            "position": (("time", "space", "keypoints", "individuals"), position),
            "confidence": (("time", "keypoints", "individuals"), confidence),
        },
        coords={
            "time": tracks.times,
            "space": ["x", "y"],
            "keypoints": list(clip.skeleton.keypoints),
            "individuals": [person_name(number) for number in tracks.ids],
        },
        attrs={
            "ds_type": "poses",
            "source_software": "rtmpose",
            "source_file": clip.source,
            "fps": clip.sampling_rate,
            "time_unit": "seconds",
        },
    )
    with file_of_library(path) as made:
        dataset.to_netcdf(made, engine="netcdf4")
    return [path]
