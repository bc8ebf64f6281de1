"""All formats of results, one row each. The command line makes its options from this table.

A new format is a file with a class like those here and one row.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.files import is_special

if TYPE_CHECKING:
    from rtmpose.writers.base import Writer, WriterContext


@dataclass(frozen=True)
class Format:
    """One format of results.

    Attributes:
        name: Name of its option, without ``--``.
        suffix: End of the file made for each source, after the source's name.
        writer: Makes a writer from a path and a context.
        help: What it holds, in a line.
        single_file: End of a path that names one file for all sources; empty where the format is
            always one file or folder per source.
        many_sources: Whether one file can hold several sources.
        still_suffix: End of the file made for an image, where it differs from ``suffix``.
        is_folder: Whether a folder is made for each source.
        package: Optional package it needs; empty for none.
        extra: Extra of rtmpose that installs the package.
    """

    name: str
    suffix: str
    writer: Callable[[Path, WriterContext], Writer]
    help: str
    single_file: str = ""
    many_sources: bool = True
    still_suffix: str = ""
    is_folder: bool = False
    package: str = ""
    extra: str = ""

    def is_single_file(self, path: Path) -> bool:
        """Whether a path given by the user is one file for everything, or else a folder that holds
        one file per source.
        """
        # A path with the format's own suffix is one file, unless a folder has that name.
        if not self.single_file:
            return False
        named = path.name.lower().endswith(self.single_file)
        # Of os, which says no where a network share is gone; writing to it gives the error.
        return is_special(path) or (named and not os.path.isdir(path))  # noqa: PTH112

    def path_for(self, folder: Path, name: str, *, still: bool) -> Path:
        """The file or folder made for one source."""
        suffix = self.still_suffix if still and self.still_suffix else self.suffix
        return folder / f"{name}{suffix}"

    def makes_folder(self, *, still: bool) -> bool:
        """Whether :meth:`path_for` is a folder."""
        return self.is_folder and not (still and self.still_suffix)

    def check_installed(self) -> None:
        """Refuse early what would fail after the work is done.

        Raises:
            MissingDependencyError: the package is not installed.
        """
        if self.package and importlib.util.find_spec(self.package) is None:
            raise MissingDependencyError(
                f"--{self.name} needs {self.package}: pip install 'rtmpose[{self.extra}]'"
            )


def _writer(module: str, name: str) -> Callable[[Path, WriterContext], Writer]:
    """Makes a writer of a class, whose file is loaded then: help texts need only this table."""

    def make(path: Path, context: WriterContext) -> Writer:
        made: Writer = getattr(importlib.import_module(f"rtmpose.writers.{module}"), name)(
            path, context
        )
        return made

    return make


FORMATS: tuple[Format, ...] = (
    # For evaluation tools.
    Format(
        "json",
        ".json",
        _writer("coco_json", "CocoJsonWriter"),
        "COCO results: image, bbox, score and keypoints of each person.",
        single_file=".json",
    ),
    # For programs that read line by line.
    Format(
        "jsonl",
        ".jsonl",
        _writer("jsonl", "JsonLinesWriter"),
        "JSON lines: one line per frame with its people.",
        single_file=".jsonl",
    ),
    # For spreadsheets and data frames.
    Format(
        "csv",
        ".csv",
        _writer("csv_table", "CsvWriter"),
        "Table: one row per person and frame.",
        single_file=".csv",
    ),
    Format(
        "parquet",
        ".parquet",
        _writer("parquet", "parquet_writer"),
        "The same table as Parquet; needs pyarrow.",
        single_file=".parquet",
        package="pyarrow",
        extra="parquet",
    ),
    # For trackers and their metrics.
    Format(
        "mot",
        ".mot.txt",
        _writer("mot", "MotWriter"),
        "MOT Challenge text: boxes and ids. A file PATH.txt holds one source only.",
        single_file=".txt",
        many_sources=False,
    ),
    # For tools that read OpenPose.
    Format(
        "openpose",
        "_openpose",
        _writer("openpose", "OpenPoseWriter"),
        "OpenPose JSON: a folder per video with one file per frame; PATH is a folder.",
        still_suffix="_keypoints.json",
        is_folder=True,
    ),
    # For numpy.
    Format(
        "npz",
        "_people",
        _writer("npz", "NpzWriter"),
        "NumPy arrays: a folder per source with one file per person; PATH is a folder.",
        is_folder=True,
    ),
)


def format_named(name: str) -> Format:
    """The row of that name.

    Raises:
        InputError: there is none.
    """
    for row in FORMATS:
        if row.name == name:
            return row
    known = ", ".join(row.name for row in FORMATS)
    raise InputError(f"there is no output format {name!r}; the formats are {known}")
