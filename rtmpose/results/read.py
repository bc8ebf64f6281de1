"""Files and folders of results, whatever their format, read one clip after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.results.hdf5_files import SIGNATURE, read_hdf5
from rtmpose.results.json_files import read_coco_json
from rtmpose.results.json_lines import read_json_lines
from rtmpose.results.npz_folder import is_npz_folder, read_npz_folder
from rtmpose.results.openpose_folder import is_openpose_folder, read_openpose_folder
from rtmpose.results.parquet_files import files_together, read_parquet, read_parquet_files
from rtmpose.results.tables import read_csv
from rtmpose.results.trc_files import read_trc, read_trc_files, source_name, trc_groups
from rtmpose.sources.kinds import VIDEO_SUFFIXES
from rtmpose.writers.clip import Clip
from rtmpose.writers.run_info import INFO_SUFFIX

Reader = Callable[[Path], Iterable[Clip]]
Part = Callable[[], Iterable[Clip]]
"""Reads what is in memory at once: the clips of a file or two."""

READERS: dict[str, Reader] = {
    ".json": read_coco_json,
    ".jsonl": read_json_lines,
    ".csv": read_csv,
    ".parquet": read_parquet,
    ".slp": read_hdf5,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".nc": read_hdf5,
    ".trc": read_trc,
}
FOLDER_READERS: tuple[tuple[Callable[[Path], bool], Reader], ...] = (
    (is_npz_folder, read_npz_folder),
    (is_openpose_folder, read_openpose_folder),
)
"""What a folder of one source must hold, and its reader; the first is preferred."""
FOLDER_END = re.compile("_(people|openpose|json)$")
"""What stands behind the name of a source."""
PREFERRED = (".parquet", ".jsonl", ".json", ".csv")
"""Which is read of files that differ in their suffix only."""
FOREIGN = (".slp", ".h5", ".hdf5", ".nc")
"""Files of other programs that are looked for in a folder where there are none of ours."""
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/")
PACKED = (".gz", ".zip", ".xz", ".bz2", ".zst", ".7z")
MADE = "`rtmpose track VIDEO --jsonl results.jsonl` makes results"


class Results:
    """Results that ``predict``, ``track`` or ``batch`` wrote, one clip per source.

    Iterating reads them, one file after the other and of JSON lines one source after the other, so
    that they may be larger than the memory. Iterating again reads them again.

    Args:
        paths: Files and folders, as :func:`read_results` takes them.

    Raises:
        InputError: there is no such file, or it is something else; while iterating: it is damaged,
            or has a source twice.
        MissingDependencyError: the package that reads the format is not installed.
    """

    def __init__(self, *paths: str | Path) -> None:
        self._parts = [(Path(path), _parts_of(Path(path))) for path in paths]

    def __iter__(self) -> Iterator[Clip]:
        seen: dict[str, Path] = {}
        for path, parts in self._parts:
            count = 0
            for part in parts:
                for clip in part():
                    _refuse_twice(clip, path, seen)
                    count += 1
                    yield clip
            if not count:
                raise InputError(
                    f"{path} is empty: nobody was seen, and how long the clip is it does not say"
                )


def read_results(path: str | Path) -> list[Clip]:
    """Results that ``predict`` or ``track`` wrote, one clip per source, all at once.

    Reads ``.json`` (COCO results and annotations, those of other programs too), ``.jsonl``,
    ``.csv`` and ``.parquet`` files, folders of them, and those of ``--npz``, ``--openpose`` and
    ``rtmpose batch`` (the folder itself, or its ``data``; a video in parts becomes one clip). Of
    other programs also ``.csv`` and ``.h5`` of DeepLabCut, ``.slp`` and analysis ``.h5`` of SLEAP,
    ``.nc`` of movement and ``.trc``, or a folder of them; HDF5 is told apart by its content.
    Lengths, frame rates, sizes and models of JSON and CSV are read from ``NAME.info.json`` next to
    them. :class:`Results` reads large ones clip by clip.

    Raises:
        InputError: there is no such file, it is something else, or it is damaged.
        MissingDependencyError: the package that reads the format is not installed.
    """
    return list(Results(path))


def _refuse_twice(clip: Clip, path: Path, seen: dict[str, Path]) -> None:
    """Refuse results of one source from two files."""
    if clip.source not in seen:
        seen[clip.source] = path
        return
    other = seen[clip.source]
    places = str(path) if other == path else f"{other} and {path}"
    raise InputError(
        f"{places} has results of {clip.source} twice, in two files: name one of them, or of a"
        " video in parts the folder"
    )


def _parts_of(path: Path) -> list[Part]:
    if not path.exists():
        # A path keeps one of the two slashes.
        if ADDRESS.match(str(path)):
            raise InputError(f"{path} is an address: copy the results to this machine first")
        raise InputError(f"there are no results at {path}")
    return _parts_of_folder(path) if path.is_dir() else [_part_of_file(path)]


def _part_of_file(path: Path) -> Part:
    name = path.name.lower()
    if name.endswith(INFO_SUFFIX):
        raise InputError(f"{path} describes results that lie next to it; name those")
    if name.endswith((".mot.txt", ".txt")):
        raise InputError(f"{path} is text of boxes, if of MOT, without keypoints; {MADE}")
    if name.endswith(PACKED):
        raise InputError(f"{path} is packed: unpack it first, such as with gunzip or unzip")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        found = _content_word(path)
        remedy = MADE
        if path.suffix.lower() in VIDEO_SUFFIXES:
            made = f"{path.stem}.jsonl"
            remedy = (
                f"find the people first: `rtmpose track {path} --jsonl {made}`, then use {made}"
            )
        raise InputError(
            f"{path} is none of the formats of results{found}: {known}, or a folder of --npz,"
            f" --openpose or `rtmpose batch`; {remedy}"
        )
    return partial(reader, path)


def _parts_of_folder(folder: Path) -> list[Part]:
    if is_npz_folder(folder):
        return [partial(read_npz_folder, folder)]
    if is_openpose_folder(folder):
        return [partial(read_openpose_folder, folder)]
    # What `rtmpose batch` was given holds its ledger, and the results in a folder.
    if (folder / "ledger").is_dir() and (folder / "data").is_dir():
        return _parts_of_folder(folder / "data")

    chosen = _one_of_each(folder, PREFERRED)
    files = sorted(chosen.values())
    tables = [file for file in files if file.suffix.lower() == ".parquet"]
    groups = files_together(tables, folder) if tables else []
    parts: list[Part] = [partial(read_parquet_files, group, folder) for group in groups]
    parts += [_part_of_file(file) for file in files if file not in tables]

    # What --npz and --openpose were given: a folder with one folder per source.
    taken = set(chosen)
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    for is_one, read in FOLDER_READERS:
        for inside in folders:
            name = FOLDER_END.sub("", inside.name)
            if name not in taken and is_one(inside):
                taken.add(name)
                parts.append(partial(read, inside))
    if not parts:
        parts = _foreign_parts(folder)
    if not parts:
        raise InputError(
            f"{folder} is a folder without results: name a file, or a folder of --npz, --openpose"
            " or `rtmpose batch`"
        )
    return parts


def _one_of_each(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    """Name of the results to a file: of the same in several formats one is enough."""
    chosen: dict[str, Path] = {}
    for suffix in suffixes:
        for file in _files(folder, suffix):
            chosen.setdefault(file.stem, file)
    return chosen


def _foreign_parts(folder: Path) -> list[Part]:
    """Files of other programs; a person each of TRC come together."""
    chosen = _one_of_each(folder, FOREIGN)
    parts = [_part_of_file(file) for file in sorted(chosen.values())]
    for group in trc_groups(_files(folder, ".trc")):
        if source_name(group[0]) not in chosen:
            parts.append(partial(read_trc_files, group))
    return parts


def _content_word(path: Path) -> str:
    """What is known of a file with an unknown name by how it begins, for an error."""
    with path.open("rb") as file:
        begin = file.read(64)
    if begin.startswith(SIGNATURE):
        return " by its name, but holds HDF5: name it .h5"
    if begin[:4] == b"PAR1":
        return " by its name, but holds Parquet: name it .parquet"
    if begin.lstrip()[:1] in (b"[", b"{"):
        return " by its name, but looks like JSON: name it .json or .jsonl"
    return ""


def _files(folder: Path, suffix: str) -> list[Path]:
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() == suffix]
    return [p for p in found if p.is_file() and not p.name.lower().endswith(INFO_SUFFIX)]
