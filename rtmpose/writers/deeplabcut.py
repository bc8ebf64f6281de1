"""DeepLabCut's tables, as CSV and HDF5: what behaviour labs analyse."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.files import atomic_text
from rtmpose.files.library import file_of_library
from rtmpose.writers.clip import Clip
from rtmpose.writers.lab_options import LabOptions, person_name

COORDINATES = ("x", "y", "likelihood")
KEY = "df_with_missing"


def write_deeplabcut_csv(clip: Clip, path: Path, options: LabOptions) -> list[Path]:
    """Write a clip as CSV: a row for every frame of the source from 0, empty where nobody is.

    One person has the rows scorer, bodyparts and coords above the numbers; several have
    individuals too.

    Raises:
        InputError: people have no ids.
        OutputError: it cannot be written.
    """
    levels, values = _table(clip, options.scorer)
    with atomic_text(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerows([name, *labels] for name, labels in levels.items())
        for frame, row in enumerate(values.tolist()):
            table.writerow([frame, *("" if math.isnan(v) else repr(v) for v in row)])
    return [path]


def write_deeplabcut_h5(clip: Clip, path: Path, options: LabOptions) -> list[Path]:
    """Write the same table as HDF5, as pandas has it.

    Raises:
        InputError: people have no ids.
        OutputError: it cannot be written.
    """
    import pandas as pd

    levels, values = _table(clip, options.scorer)
    columns = pd.MultiIndex.from_arrays(list(levels.values()), names=list(levels))
    frame = pd.DataFrame(values, columns=columns)
    with file_of_library(path) as made:
        frame.to_hdf(made, key=KEY, format="table", mode="w")
    return [path]


def _table(clip: Clip, scorer: str) -> tuple[dict[str, list[str]], NDArray[np.float64]]:
    """Names of the levels to the label of each column, and the numbers."""
    tracks = clip.tracks(from_frame_0=True)
    columns = [
        (person_name(number), keypoint, coordinate)
        for number in tracks.ids or (1,)
        for keypoint in clip.skeleton.keypoints
        for coordinate in COORDINATES
    ]
    levels = {
        "scorer": [scorer] * len(columns),
        "individuals": [person for person, _, _ in columns],
        "bodyparts": [keypoint for _, keypoint, _ in columns],
        "coords": [coordinate for _, _, coordinate in columns],
    }
    if len(tracks.ids) <= 1:
        del levels["individuals"]

    # x, y and likelihood of each point, all points of a person next to each other.
    parts = [tracks.keypoints, tracks.confidences[..., None]]
    values = np.concatenate(parts, axis=3).astype(np.float64)
    missing = np.isnan(values[..., :2]).any(axis=3)
    values[missing] = np.nan
    values = values.reshape(len(tracks.frames), -1)
    if not tracks.ids:
        values = np.full((len(tracks.frames), len(columns)), np.nan)
    return levels, values
