"""BIDS Motion: a data set with the movement of each person, for labs of MRI and EEG."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rtmpose.files.folders import AtomicFolder
from rtmpose.text_files import to_json
from rtmpose.writers.clip import Clip
from rtmpose.writers.lab_options import LabOptions, positions

BIDS_VERSION = "1.10.0"
SYSTEM = "rtmpose"
LABEL = re.compile(r"[^0-9a-zA-Z]")
AXES = ("x", "y")
README = """# Poses from video

Made by rtmpose. Every participant is one person of one video; participants.tsv says which.
"""


def write_bids_motion(clips: Iterable[Clip], path: Path, options: LabOptions) -> list[Path]:
    """Write a data set: a participant for every person of every clip.

    Each has a table of x and y of every keypoint with its confidence, a row per frame, ``n/a``
    where unknown: pixels as in the image, or meters with y up.

    Raises:
        InputError: people have no ids.
        OutputError: it cannot be written.
    """
    folder = AtomicFolder(path)
    try:
        participants: list[tuple[str, ...]] = []
        for clip in (clip.with_ids() for clip in clips):
            for number in clip.person_ids:
                label = f"{len(participants) + 1:02d}"
                participants.append((f"sub-{label}", clip.source, str(number)))
                _write_person(folder, clip.people([number]).evenly(), label, options)
        _write_head(folder, participants)
        folder.commit()
    except BaseException:
        folder.abandon()
        raise
    return [path]


def _write_head(folder: AtomicFolder, participants: Sequence[tuple[str, ...]]) -> None:
    from rtmpose import __version__

    made_by = [{"Name": "rtmpose", "Version": __version__}]
    description = {
        "Name": "Poses from video",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "GeneratedBy": made_by,
    }
    folder.write_text("dataset_description.json", to_json(description, indent=2) + "\n")
    folder.write_text("README.md", README)
    rows = [("participant_id", "video", "track_id"), *participants]
    folder.write_text("participants.tsv", _lines(rows))
    columns = {
        "video": {"Description": "Video in which the person was tracked"},
        "track_id": {"Description": "Number of the person in that video"},
    }
    folder.write_text("participants.json", to_json(columns, indent=2) + "\n")


def _write_person(folder: AtomicFolder, clip: Clip, label: str, options: LabOptions) -> None:
    task = LABEL.sub("", options.task) or "video"
    start = f"sub-{label}/motion/sub-{label}_task-{task}"
    stem = f"{start}_tracksys-{SYSTEM}"
    folder.write_text(f"{stem}_motion.tsv", _lines(_motion(clip, options)))
    folder.write_text(f"{stem}_motion.json", _sidecar(clip, options))
    folder.write_text(f"{stem}_channels.tsv", _lines(_channels(clip, options)))
    levels = {
        "rows": (
            "x to the right and y "
            + ("down, from the upper left corner of the image" if _in_pixels(options) else "up")
        )
    }
    frame = {"reference_frame": {"Levels": levels}}
    folder.write_text(f"{stem}_channels.json", to_json(frame, indent=2) + "\n")


def _motion(clip: Clip, options: LabOptions) -> list[list[str]]:
    """A row per frame; the channels have no names here."""
    places = positions(clip, options)
    confidences = clip.tracks().confidences[:, 0]
    rows = []
    for place, confidence in zip(places.tolist(), confidences.tolist(), strict=True):
        row: list[str] = []
        for (x, y, _), certain in zip(place, confidence, strict=True):
            row += [_number(x), _number(y), _number(certain)]
        rows.append(row)
    return rows


def _channels(clip: Clip, options: LabOptions) -> list[list[str]]:
    """What each column of the table is."""
    rows = [["name", "component", "type", "tracked_point", "units", "reference_frame"]]
    unit = "px" if _in_pixels(options) else "m"
    for name in clip.skeleton.keypoints:
        rows += [[f"{name}_{axis}", axis, "POS", name, unit, "rows"] for axis in AXES]
        rows.append([f"{name}_confidence", "n/a", "MISC", name, "n/a", "n/a"])
    return rows


def _sidecar(clip: Clip, options: LabOptions) -> str:
    count = len(clip.skeleton)
    task = LABEL.sub("", options.task) or "video"
    values = {
        "TaskName": task,
        "TaskDescription": f"Recorded in {Path(clip.source).name}",
        "SamplingFrequency": clip.sampling_rate,
        "TrackingSystemName": SYSTEM,
        "Manufacturer": "rtmpose",
        "ManufacturersModelName": clip.models.get("pose", "n/a"),
        "RecordingType": "continuous",
        "RecordingDuration": len(clip) / clip.sampling_rate,
        "MotionChannelCount": 3 * count,
        "POSChannelCount": 2 * count,
        "MISCChannelCount": count,
        "TrackedPointsCount": count,
        "MissingValues": "n/a",
    }
    return to_json(values, indent=2) + "\n"


def _in_pixels(options: LabOptions) -> bool:
    return options.meters_per_pixel is None


def _number(value: float) -> str:
    return f"{value:.6f}" if math.isfinite(value) else "n/a"


def _lines(rows: Sequence[Sequence[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)
