"""Where angles are written: one table of everybody, or a .mot file per person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.kinematics.angles import AngleOptions
from rtmpose.kinematics.clips import ClipAngles
from rtmpose.kinematics.smoothing import ORDER
from rtmpose.kinematics.tables import filter_note, write_csv, write_mot, write_parquet
from rtmpose.writers.clip_names import clip_names

TABLES = (".csv", ".parquet")
MOT = ".mot"


def check_angles_path(path: Path, results: Path) -> None:
    """Refuse early what would fail later.

    Raises:
        InputError: the suffix is none of ours, or the path is that of the results.
        MissingDependencyError: Parquet needs pyarrow.
    """
    suffix = path.suffix.lower()
    if path.resolve() == results.resolve():
        raise InputError(f"{path} is what is read; choose another name")
    if suffix and not path.is_dir() and suffix not in (*TABLES, MOT):
        raise InputError(
            f"{path} is none of .csv, .parquet and .mot; a name without suffix is a folder of .mot."
            " Spreadsheet programs open .csv"
        )
    if suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError(
                f"{path} needs pyarrow: pip install 'rtmpose[parquet]'"
            ) from error


def write_angles(clips: Sequence[ClipAngles], path: Path, options: AngleOptions) -> list[Path]:
    """Write the angles of clips; the paths of what was written.

    Args:
        clips: What was measured.
        path: ``.csv`` or ``.parquet`` for one table, ``.mot`` for one person, or a folder with a
            ``.mot`` file for each person.
        options: How it was measured.

    Raises:
        InputError: several people and the name of one ``.mot`` file.
        OutputError: it cannot be written.
    """
    suffix = "" if path.is_dir() else path.suffix.lower()
    if suffix == ".csv":
        write_csv(clips, path, about_angles(clips, options))
        return [path]
    if suffix == ".parquet":
        write_parquet(clips, path, about_angles(clips, options))
        return [path]

    names = clip_names([clip.clip for clip in clips])
    people = [
        (person, path / f"{name}_person{person.id:02d}{MOT}")
        for clip, name in zip(clips, names, strict=True)
        for person in clip.people
    ]
    if suffix == MOT:
        if len(people) != 1:
            raise InputError(
                f"{path} holds one person, and there are {len(people)}: name a folder, or choose"
                " with --person and --source"
            )
        people = [(people[0][0], path)]
    for person, target in people:
        write_mot(person, target, filter_note(person, options))
    return [target for _, target in people]


def about_angles(clips: Sequence[ClipAngles], options: AngleOptions) -> dict[str, Any]:
    """How the angles were made, as it is written into the files."""
    about: dict[str, Any] = {
        "unit": "degrees",
        "kpt_thr": options.kpt_thr,
        "gap_frames": options.gap,
        "filter": options.filter,
        "facing": options.facing,
        "sources": [_about_clip(clip) for clip in clips],
    }
    if options.filter != "none":
        about |= {"filter_order": ORDER, "cutoff_hz": options.cutoff, "zero_lag": True}
    return about


def _about_clip(clip: ClipAngles) -> dict[str, Any]:
    entry: dict[str, Any] = {"source": clip.clip.source, "fps": clip.clip.rate}
    entry["people"] = [
        {"id": p.id, "filtered": p.cutoff is not None, "facing_from": p.facing.rule}
        for p in clip.people
    ]
    if clip.floor is not None:
        entry["floor"] = vars(clip.floor)
    if clip.scale is not None:
        entry |= {"meters_per_pixel": clip.scale.meters_per_pixel, "scale_from": clip.scale.origin}
        entry["height_0"] = vars(clip.scale.floor)
    return entry
