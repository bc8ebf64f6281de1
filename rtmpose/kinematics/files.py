"""Where angles are written: one table of everybody, or a .mot file per person."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.kinematics.angles import AngleOptions
from rtmpose.kinematics.clips import ClipAngles
from rtmpose.kinematics.smoothing import ORDER
from rtmpose.kinematics.tables import AngleRows, filter_note, write_csv, write_mot, write_parquet
from rtmpose.writers.clip_names import ClipNames

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


def write_angles(clips: Iterable[ClipAngles], path: Path, options: AngleOptions) -> list[Path]:
    """Write the angles of clips as they come; the paths of what was written.

    Only one clip needs to be in memory: the rows of a table wait on the disk until the last.

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
    if suffix in TABLES:
        _write_table(clips, path, options)
        return [path]
    if suffix == MOT:
        _write_only_person(clips, path, options)
        return [path]
    written = []
    names = ClipNames()
    for clip in clips:
        name = names.name(clip.clip)
        for person in clip.people:
            target = path / f"{name}_person{person.id:02d}{MOT}"
            write_mot(person, target, filter_note(person, options))
            written.append(target)
    return written


def _write_table(clips: Iterable[ClipAngles], path: Path, options: AngleOptions) -> None:
    with AngleRows() as rows:
        sources = []
        for clip in clips:
            rows.add(clip)
            sources.append(_about_clip(clip))
        write = write_csv if path.suffix.lower() == ".csv" else write_parquet
        write(rows, path, about_angles(sources, options))


def _write_only_person(clips: Iterable[ClipAngles], path: Path, options: AngleOptions) -> None:
    people = (person for clip in clips for person in clip.people)
    first = next(people, None)
    count = sum(1 for _ in people) + (first is not None)
    if first is None or count > 1:
        raise InputError(
            f"{path} holds one person, and there are {count}: name a folder, or choose with"
            " --person and --source"
        )
    write_mot(first, path, filter_note(first, options))


def about_angles(sources: list[dict[str, Any]], options: AngleOptions) -> dict[str, Any]:
    """How the angles were made, as it is written into the files.

    Args:
        sources: What is said of each clip.
        options: How it was measured.
    """
    about: dict[str, Any] = {
        "unit": "degrees",
        "kpt_thr": options.kpt_thr,
        "gap_frames": options.gap,
        "filter": options.filter,
        "facing": options.facing,
        "sources": sources,
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
