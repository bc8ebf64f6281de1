"""C3D: positions of markers over time with confidences, for Visual3D, Mokka and OpenSim."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.files.library import file_of_library
from rtmpose.writers.clip import Clip
from rtmpose.writers.lab_options import LabOptions, positions
from rtmpose.writers.marker_names import marker_names

log = logging.getLogger(__name__)

MOST_FRAMES = 65_535
"""A file with more is read back cut."""
SCALE = -0.01
"""Negative: numbers are floats. A confidence is stored as a byte times 0.01."""
MISSING = -1.0
MILLIMETERS = 1000.0


def write_c3d(clip: Clip, path: Path, options: LabOptions) -> list[Path]:
    """Write the only person of a clip; in several files where it has more than 65,535 frames.

    Pixels as in the image, or millimeters with y up. The residual of a point is its confidence in
    0..1, in steps of 0.01; a missing point is NaN with the residual -1.

    Raises:
        OutputError: it cannot be written.
    """
    clip = clip.evenly()
    places = positions(clip, options)
    confidences = clip.tracks().confidences[:, 0]
    if options.meters_per_pixel is not None:
        places = places * MILLIMETERS
    parts = range(0, max(len(clip), 1), MOST_FRAMES)
    if len(parts) > 1:
        log.warning(
            "%s has %d frames, more than the %d of a C3D file: it is written as %d files",
            clip.source,
            len(clip),
            MOST_FRAMES,
            len(parts),
        )
    written = []
    for number, start in enumerate(parts, 1):
        target = path if len(parts) == 1 else path.with_name(f"{path.stem}_part{number}.c3d")
        rows = slice(start, start + MOST_FRAMES)
        _write_part(clip, target, options, places[rows], confidences[rows])
        written.append(target)
    return written


def _write_part(
    clip: Clip,
    path: Path,
    options: LabOptions,
    places: NDArray[np.float64],
    confidences: NDArray[np.float32],
) -> None:
    import ezc3d

    frames, count = places.shape[:2]
    points = np.ones((4, count, frames))
    points[:3] = places.transpose(2, 1, 0)
    known = np.isfinite(points[0])
    residuals = np.where(known, confidences.T, MISSING)

    file: Any = ezc3d.c3d()
    group = file["parameters"]["POINT"]
    group["RATE"]["value"] = [clip.sampling_rate]
    group["LABELS"]["value"] = marker_names(clip.skeleton)
    group["UNITS"]["value"] = ["px" if options.meters_per_pixel is None else "mm"]
    group["SCALE"]["value"] = [SCALE]
    file.add_parameter("POINT", "X_SCREEN", ["+X"])
    file.add_parameter("POINT", "Y_SCREEN", ["-Y" if options.meters_per_pixel is None else "+Y"])
    file["data"]["points"] = points
    file["data"]["meta_points"] = {
        "residuals": residuals[None],
        "camera_masks": np.repeat(known[None], 7, axis=0),
    }
    with file_of_library(path) as made:
        file.write(str(made))
