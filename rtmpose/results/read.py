"""A file or folder of results, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.results.json_files import read_coco_json, read_json_lines
from rtmpose.results.npz_folder import is_npz_folder, read_npz_folder
from rtmpose.results.openpose_folder import is_openpose_folder, read_openpose_folder
from rtmpose.results.tables import read_csv, read_parquet, read_parquet_files
from rtmpose.writers.clip import Clip
from rtmpose.writers.run_info import INFO_SUFFIX

READERS = {
    ".json": read_coco_json,
    ".jsonl": read_json_lines,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
PACKED = (".gz", ".zip", ".xz", ".bz2", ".zst", ".7z")
MADE = "`rtmpose track VIDEO --jsonl results.jsonl` makes results"


def read_results(path: str | Path) -> list[Clip]:
    """Results that ``predict`` or ``track`` wrote, one clip per source.

    Reads ``.json`` (COCO results, those of other programs too), ``.jsonl``, ``.csv`` and
    ``.parquet`` files, folders of them, and those of ``--npz``, ``--openpose`` and
    ``rtmpose batch`` (the folder itself, or its ``data``; a video in parts becomes one clip).
    Lengths, frame rates, sizes and models of JSON and CSV are read from ``NAME.info.json`` next to
    them.

    Raises:
        InputError: there is no such file, it is something else, or it is damaged.
        MissingDependencyError: reading Parquet needs pyarrow.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there are no results at {path}")
    clips = _read_folder(path) if path.is_dir() else _read_file(path)
    if not clips:
        raise InputError(
            f"{path} is empty: nobody was seen, and how long the clip is it does not say"
        )
    return clips


def _read_file(path: Path) -> list[Clip]:
    name = path.name.lower()
    if name.endswith(INFO_SUFFIX):
        raise InputError(f"{path} describes results that lie next to it; name those")
    if name.endswith((".mot.txt", ".txt")):
        raise InputError(f"{path} is text of boxes, if of MOT, without keypoints; {MADE}")
    if name.endswith(PACKED):
        raise InputError(f"{path} is packed: unpack it first, such as with gunzip or unzip")
    reader: Callable[[Path], list[Clip]] | None = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise InputError(
            f"{path} is none of the formats of results: {known}, or a folder of --npz,"
            f" --openpose or `rtmpose batch`; {MADE}"
        )
    return reader(path)


def _read_folder(folder: Path) -> list[Clip]:
    if is_npz_folder(folder):
        return read_npz_folder(folder)
    if is_openpose_folder(folder):
        return read_openpose_folder(folder)
    # What `rtmpose batch` was given holds its ledger, and the results in a folder.
    if (folder / "ledger").is_dir() and (folder / "data").is_dir():
        return _read_folder(folder / "data")

    tables = _files(folder, [".parquet"])
    if tables:
        return read_parquet_files(tables, folder)
    clips: list[Clip] = []
    for file in _files(folder, list(READERS)):
        clips += _read_file(file)
    # What --npz and --openpose were given: a folder with one folder per source.
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        if is_npz_folder(part):
            clips += read_npz_folder(part)
        elif is_openpose_folder(part):
            clips += read_openpose_folder(part)
    if not clips:
        raise InputError(
            f"{folder} is a folder without results: name a file, or a folder of --npz, --openpose"
            " or `rtmpose batch`"
        )
    check_sources(clips, folder)
    return clips


def check_sources(clips: list[Clip], place: Path | str) -> None:
    """Refuse results of one source from two files.

    Raises:
        InputError: a source is there twice.
    """
    seen: set[str] = set()
    for clip in clips:
        if clip.source in seen:
            raise InputError(
                f"{place} has results of {clip.source} twice, in two files: name one of them,"
                " or of a video in parts the folder"
            )
        seen.add(clip.source)


def _files(folder: Path, suffixes: list[str]) -> list[Path]:
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes]
    return [p for p in found if p.is_file() and not p.name.lower().endswith(INFO_SUFFIX)]
