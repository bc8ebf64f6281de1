"""Names of sources: files, folders, patterns, lists, manifests and addresses.

Files are not opened here: there may be millions, and whoever works on one says what is wrong.
"""

from __future__ import annotations

import csv
import glob
import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rtmpose.batch.storage import is_remote, listed
from rtmpose.errors import InputError, MissingDependencyError, RtmposeError
from rtmpose.shown_names import shown_name
from rtmpose.sources import SkippedFiles
from rtmpose.sources.folders import matches, media_in_folder
from rtmpose.sources.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_url
from rtmpose.text_files import read_text

STANDARD_INPUT = "-"
WITH_AN_END = ("http", "https", "ftp")
LIST = ".txt"
MANIFESTS = (".csv", ".tsv", ".parquet")
COLUMNS = (
    "source", "path", "file", "filename", "uri", "url", "video", "image", "filepath", "file_path",
    "file_name", "video_path", "image_path", "video_file", "image_file",
)  # fmt: skip
"""Names of the column with the sources, where none is given; case and spaces do not matter."""
MAX_LIST = 2**30
"""Bytes of a list or manifest in text."""
LOOKED_AT = 50
"""Entries by which the folder of relative ones is found out."""


@dataclass
class Listing:
    """What the names on the command line stand for.

    Attributes:
        sources: Absolute paths and addresses, each once, in the order of their mention.
        problems: Names that stand for nothing, in words.
        repeated: How many were named again.
        left_out: Lines on files of folders that were not taken.
    """

    sources: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    repeated: int = 0
    left_out: list[str] = field(default_factory=list)


def list_sources(
    names: Sequence[str], *, recursive: bool = False, column: str | None = None
) -> Listing:
    """Find all single sources.

    Args:
        names: Files, folders, patterns, ``.txt`` lists, ``.csv``, ``.tsv`` and ``.parquet``
            manifests, ``-`` for a list on standard input, ``file://``, HTTP and fsspec addresses.
            Entries of lists may be all of those but lists.
        recursive: Take folders in folders too.
        column: Column of the manifests; None looks for one of :data:`COLUMNS`.

    Raises:
        InputError: nothing was found at all, or a list cannot be read.
    """
    found = Listing()
    skipped = SkippedFiles()
    seen: dict[str, None] = {}
    for name in _entries(names, column):
        try:
            for source in _expand(name, recursive, skipped):
                found.repeated += source in seen
                seen.setdefault(source)
        except MissingDependencyError:
            raise
        except RtmposeError as error:
            found.problems.append(str(error))
    found.sources = list(seen)
    found.left_out = skipped.lines()
    if not found.sources:
        raise InputError("\nrtmpose: ".join(found.problems[:20] or ["no source was given"]))
    return found


def _entries(names: Sequence[str], column: str | None) -> Iterator[str]:
    """The names, those in lists and manifests in the place of these."""
    for name in names:
        suffix = Path(name).suffix.lower()
        if name == STANDARD_INPUT:
            yield from (os.fsdecode(line) for line in sys.stdin.buffer.read().splitlines() if line)
        elif suffix in (LIST, *MANIFESTS) and Path(name).is_file():
            path = Path(name)
            entries = _lines(path) if suffix == LIST else _column(path, column)
            if not entries:
                raise InputError(f"the list {shown_name(name)} names no source")
            yield from _resolved(entries, path)
        elif suffix in (LIST, *MANIFESTS) and not glob.has_magic(name) and not is_remote(name):
            raise InputError(f"the list {shown_name(name)} does not exist")
        else:
            yield name


def _expand(name: str, recursive: bool, skipped: SkippedFiles) -> list[str]:
    if name.startswith("file://"):
        name = url2pathname(urlsplit(name).path)
    if is_remote(name):
        return listed(name, recursive=recursive)
    if is_url(name):
        if name.split(":")[0].lower() not in WITH_AN_END:
            raise InputError(f"{name} is a stream, which has no end; `rtmpose track` follows it")
        return [name]
    path = Path(name).expanduser()
    try:
        if path.is_dir():
            files = media_in_folder(path, recursive=recursive, skipped=skipped)
            if not files:
                hint = "" if recursive else "; --recursive takes the folders in it too"
                raise InputError(f"the folder {shown_name(name)} holds no image or video{hint}")
            return [_absolute(file) for file in files]
        if os.path.lexists(path):
            return [_absolute(path)]
        # A file may have brackets in its name, so it is looked for before patterns.
        if glob.has_magic(name):
            files = matches(str(path))
            if not files:
                raise InputError(f"nothing matches {shown_name(name)}")
            return [_absolute(file) for file in files]
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{shown_name(name)} cannot be read: {error}") from error
    # A file that is gone is a source that fails; a folder would be one for ever.
    if path.suffix.lower() not in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        raise InputError(f"{shown_name(name)} does not exist")
    return [_absolute(path)]


def _absolute(path: Path) -> str:
    """One name for one file, whatever folder the command ran in. Links stay: others see them."""
    return os.path.abspath(path)  # noqa: PTH100 (resolve() would follow links)


# ---- lists


def _lines(path: Path) -> list[str]:
    lines = [line.strip() for line in read_text(path, MAX_LIST).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _column(path: Path, column: str | None) -> list[str]:
    """The sources in a table."""
    if path.suffix.lower() == ".parquet":
        return _parquet_column(path, column)
    text = read_text(path, MAX_LIST)
    first = text.partition("\n")[0]
    # Spreadsheet programs write semicolons in some languages.
    delimiter = max(",;\t", key=first.count)
    if path.suffix.lower() == ".tsv":
        delimiter = "\t"
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = list(rows.fieldnames or [])
    name = _column_name(path, names, column)
    found = []
    for row in rows:
        value = row.get(name) or ""
        more = row.get(None)
        if more and any(cell.strip() for cell in more):
            # Nothing but names with commas can make more cells of one column.
            if len(names) > 1:
                raise InputError(
                    f"line {rows.line_num} of {path} has {len(names) + len(more)} cells for"
                    f" {len(names)} columns; put names with {delimiter!r} in quotes"
                )
            value = delimiter.join([value, *more])
        if value.strip():
            found.append(value.strip())
    return found


def _parquet_column(path: Path, column: str | None) -> list[str]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} needs pyarrow: pip install 'rtmpose[scale]'"
        ) from error
    try:
        name = _column_name(path, pyarrow.parquet.read_schema(path).names, column)
        values = pyarrow.parquet.read_table(path, columns=[name])[name].to_pylist()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error
    return [str(value) for value in values if value]


def _column_name(path: Path, names: list[str], column: str | None) -> str:
    wanted = COLUMNS if column is None else (column,)
    known = {_plain(name): name for name in names}
    for name in wanted:
        if name in names:
            return name
        if _plain(name) in known:
            return known[_plain(name)]
    remedy = "name the one with the sources by --column"
    if any(Path(name).suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES for name in names):
        remedy = "its first line must name the columns; a list without one is a .txt file"
    raise InputError(
        f"{path} has no column {' or '.join(wanted)}: its columns are {', '.join(names)}; {remedy}"
    )


def _plain(name: str) -> str:
    """People write Path, "Video path" or video_path."""
    return name.strip().lower().replace(" ", "_")


def _resolved(entries: list[str], place: Path) -> list[str]:
    """Entries of a list: relative ones begin at its folder, or at this one if they are there."""
    entries = [_from_windows(entry) for entry in entries]
    relative = [e for e in entries if "://" not in e and not Path(e).expanduser().is_absolute()]
    looked_at = relative[:LOOKED_AT]
    at_list = sum(os.path.lexists(place.parent / entry) for entry in looked_at)
    here = sum(os.path.lexists(entry) for entry in looked_at)
    if not relative or here > at_list:
        return entries
    among = set(relative)
    return [str(place.parent / entry) if entry in among else entry for entry in entries]


def _from_windows(entry: str) -> str:
    """A relative path of a list that was made on Windows; a name may have its slash here too."""
    if os.sep == "\\" or "\\" not in entry or "://" in entry or PureWindowsPath(entry).drive:
        return entry
    return entry if os.path.lexists(entry) else entry.replace("\\", "/")
