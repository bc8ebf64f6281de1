"""All formats of labs and labeling tools, one row each; they need whole clips."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.writers.table import FORMATS

if TYPE_CHECKING:
    # Help texts need only this table.
    from rtmpose.writers.clip import Clip
    from rtmpose.writers.lab_options import LabOptions


SPREADSHEETS = ("xlsx", "xls", "excel", "ods")


class Holds(str, Enum):
    """What one file or folder of a format holds."""

    person = "person"
    clip = "clip"
    all = "all"


@dataclass(frozen=True)
class LabFormat:
    """One format.

    Attributes:
        name: As ``--to`` takes it.
        suffix: End of a file; empty for a folder.
        holds: What one file or folder holds.
        module: File in this folder.
        function: Function in it that writes a clip, or all clips as they come.
        help: Who reads it, in a line.
        needs_ids: Whether people must be told apart from frame to frame.
        in_meters: Whether it has meters where the size of a pixel is given.
        packages: Optional packages it needs, all of the extra ``labs``.
        also: Other names that people have for it; an error tells ours.
    """

    name: str
    suffix: str
    holds: Holds
    module: str
    function: str
    help: str
    needs_ids: bool = True
    in_meters: bool = False
    packages: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def check_installed(self) -> None:
        """Refuse early what would fail later.

        Raises:
            MissingDependencyError: a package is not installed.
        """
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise MissingDependencyError(
                    f"--to {self.name} needs {package}: pip install 'rtmpose[labs]'"
                )

    def write(self, clips: Clip | Iterable[Clip], path: Path, options: LabOptions) -> list[Path]:
        """Write a file or folder; the paths of what was written.

        Args:
            clips: One clip, or for :attr:`Holds.all` all of them, at least one.
            path: Where.
            options: What results do not say.

        Raises:
            InputError: the format cannot hold it.
            OutputError: it cannot be written.
        """
        module = importlib.import_module(f"rtmpose.writers.{self.module}")
        function: Any = getattr(module, self.function)
        written: list[Path] = function(clips, path, options)
        return written


LAB_FORMATS: tuple[LabFormat, ...] = (
    LabFormat(
        "trc",
        ".trc",
        Holds.person,
        "trc",
        "write_trc",
        "OpenSim, Sports2D: markers over time.",
        in_meters=True,
        also=("opensim", "sports2d"),
    ),
    LabFormat(
        "c3d",
        ".c3d",
        Holds.person,
        "c3d",
        "write_c3d",
        "Visual3D, Mokka, OpenSim: markers over time with confidences.",
        in_meters=True,
        packages=("ezc3d",),
    ),
    LabFormat(
        "deeplabcut",
        ".csv",
        Holds.clip,
        "deeplabcut",
        "write_deeplabcut_csv",
        "DeepLabCut's table, for what reads it.",
        also=("dlc",),
    ),
    LabFormat(
        "deeplabcut-h5",
        ".h5",
        Holds.clip,
        "deeplabcut",
        "write_deeplabcut_h5",
        "The same table as HDF5.",
        packages=("pandas", "tables"),
    ),
    LabFormat(
        "sleap",
        ".slp",
        Holds.clip,
        "sleap",
        "write_sleap",
        "SLEAP: predicted instances with tracks.",
        needs_ids=False,
        packages=("sleap_io",),
    ),
    LabFormat(
        "nwb",
        ".nwb",
        Holds.clip,
        "nwb",
        "write_nwb",
        "Archives of neuroscience: NWB with ndx-pose.",
        packages=("pynwb", "ndx_pose"),
    ),
    LabFormat(
        "movement",
        ".nc",
        Holds.clip,
        "movement_netcdf",
        "write_movement",
        "movement: a data set of positions and confidences.",
        packages=("xarray", "netCDF4"),
        also=("netcdf",),
    ),
    LabFormat(
        "bids-motion",
        "",
        Holds.all,
        "bids_motion",
        "write_bids_motion",
        "MRI and EEG labs: a folder, BIDS data set of motion.",
        in_meters=True,
        also=("bids",),
    ),
    LabFormat(
        "trackeval",
        "",
        Holds.all,
        "trackeval",
        "write_trackeval",
        "TrackEval: a folder with boxes and ids as results of a tracker.",
    ),
    LabFormat(
        "trackeval-truth",
        "",
        Holds.all,
        "trackeval",
        "write_trackeval_truth",
        "TrackEval: the same as annotations, to be corrected by hand.",
    ),
    LabFormat(
        "coco",
        ".json",
        Holds.all,
        "coco_annotations",
        "write_coco_annotations",
        "COCO annotations: training and labeling tools, CVAT's 'COCO Keypoints' too.",
        needs_ids=False,
    ),
    LabFormat(
        "yolo-pose",
        "",
        Holds.all,
        "yolo_pose",
        "write_yolo_pose",
        "YOLO's labels of poses: a folder.",
        needs_ids=False,
        also=("yolo", "ultralytics"),
    ),
    LabFormat(
        "cvat",
        ".xml",
        Holds.all,
        "cvat",
        "write_cvat",
        "CVAT for images 1.1: skeletons to correct by hand.",
        needs_ids=False,
    ),
    LabFormat(
        "label-studio",
        ".json",
        Holds.all,
        "label_studio",
        "write_label_studio",
        "Label Studio: tasks with predictions to correct by hand.",
        needs_ids=False,
    ),
    LabFormat(
        "fiftyone",
        ".json",
        Holds.all,
        "fiftyone",
        "write_fiftyone",
        "FiftyOne: samples with keypoints and boxes.",
        needs_ids=False,
    ),
)


RESULTS = LabFormat(
    "jsonl",
    ".jsonl",
    Holds.all,
    "results_lines",
    "write_results",
    "rtmpose itself: the results again, such as with corrected ids.",
    needs_ids=False,
)
"""Results as ``--jsonl`` of ``track`` and ``predict`` writes them."""
CONVERTED = (*LAB_FORMATS, RESULTS)
"""What ``rtmpose convert`` writes."""


def lab_format(name: str, rows: Sequence[LabFormat] = LAB_FORMATS) -> LabFormat:
    """The row of that name.

    Args:
        name: As ``--to`` takes it.
        rows: Those there are.

    Raises:
        InputError: there is none.
    """
    for row in rows:
        if row.name == name.lower():
            return row
    names = [row.name for row in rows]
    raise InputError(
        f"there is no format {name!r} to convert to; {_hint(name)}there are {', '.join(names)}"
    )


def _hint(name: str) -> str:
    """Formats of a like name or suffix; or that it is one of our own."""
    wanted = name.lower().removeprefix(".").replace("_", "-")
    if wanted in SPREADSHEETS:
        return "spreadsheet programs open the table that `rtmpose track --csv` writes; "
    if wanted in (row.name for row in FORMATS):
        return f"`rtmpose track` and `rtmpose predict` write it with --{wanted}; "
    near = [row.name for row in LAB_FORMATS if wanted in (row.suffix[1:], *row.also)]
    near = near or difflib.get_close_matches(wanted, [row.name for row in LAB_FORMATS], n=3)
    return f"did you mean {' or '.join(near)}? " if near else ""
