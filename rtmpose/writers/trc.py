"""TRC: positions of markers over time, for OpenSim and Sports2D."""

from __future__ import annotations

import math
from pathlib import Path

from rtmpose.files import atomic_text
from rtmpose.writers.clip import Clip
from rtmpose.writers.lab_options import LabOptions, positions, rising_times
from rtmpose.writers.marker_names import marker_names

COLUMNS = (
    "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits"
    "\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames"
)


def write_trc(clip: Clip, path: Path, options: LabOptions) -> list[Path]:
    """Write the only person of a clip.

    Pixels as in the image, or meters with y up, as :func:`positions` says. Frames count from 1; a
    missing point is ``NaN``, as blanks at the end of a line are lost.

    Raises:
        OutputError: it cannot be written.
    """
    places, times = positions(clip, options), rising_times(clip)
    names = marker_names(clip.skeleton)
    unit = "px" if options.meters_per_pixel is None else "m"
    rate, frames = f"{clip.sampling_rate:.10g}", len(clip)
    start = int(clip.frames[0]) + 1 if frames else 1

    # Five lines of head: what it is, numbers, names and axes.
    numbers = (rate, rate, frames, len(names), unit, rate, start, frames)
    axes = "\t".join(f"X{i}\tY{i}\tZ{i}" for i in range(1, len(names) + 1))
    head = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        COLUMNS,
        "\t".join(str(value) for value in numbers),
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + axes,
    ]
    with atomic_text(path) as file:
        file.write("\n".join(head) + "\n")
        for row, frame in enumerate(clip.frames.tolist()):
            values = "\t".join(_number(v) for v in places[row].ravel().tolist())
            file.write(f"{frame + 1}\t{float(times[row])!r}\t{values}\n")
    return [path]


def _number(value: float) -> str:
    return f"{value:.6f}" if math.isfinite(value) else "NaN"
