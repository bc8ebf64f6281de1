"""Which outputs are refused before anything is written: those that would overwrite a source,
another output, or a file of somebody else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from rtmpose.errors import InputError, ModelError
from rtmpose.files import is_stdout, output_errors
from rtmpose.sources import SourceItem
from rtmpose.sources.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from rtmpose.types import Frame, Poses

FILE_SUFFIXES = frozenset(
    (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".npz", ".npy", ".txt", ".xlsx")
) | (IMAGE_SUFFIXES | VIDEO_SUFFIXES)
"""Ends of names that nobody gives to a folder."""


def same_file_keys(path: Path) -> list[object]:
    """What two paths of the same file have in common: the place that they lead to, whatever links
    are on the way, and the identity of the file where it exists.

    Names that differ only in case count as the same, as they are on some file systems.
    """
    if is_stdout(path):
        return ["standard output"]
    try:
        place = os.path.realpath(path)
    except OSError:  # the current folder was deleted; writing there will fail
        place = str(path)
    return [place.casefold(), *file_identity(path)]


def file_identity(path: Path) -> list[object]:
    """What tells files apart whatever they are called; empty where there is no file."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return []
    return [(stat.st_dev, stat.st_ino)]


def refuse_file_name_for_folder(option: str, path: Path, single_file: str) -> None:
    """Refuse a new folder that has the name of a file, which is a slip.

    Args:
        option: Name of the option that asks for it, without ``--``.
        path: The folder.
        single_file: End of a path that the option takes for one file; empty for none.

    Raises:
        InputError: the name ends like a file's.
    """
    suffix = path.suffix.lower()
    if suffix not in FILE_SUFFIXES or os.path.lexists(path):
        return
    file = f", or a file that ends in {single_file}" if single_file else ""
    raise InputError(
        f"--{option} {path}: files of this option do not end in {suffix}, and a folder of that name"
        f" would be a surprise; give the name of a folder{file}"
    )


def refuse_non_numbers(frame: Frame, poses: Poses) -> None:
    """Refuse results with NaN or infinity, which damaged networks give and no format can hold.

    Raises:
        ModelError: there is such a number.
    """
    arrays = (poses.boxes, poses.box_scores, poses.keypoints, poses.scores)
    if not all(np.isfinite(array).all() for array in arrays):
        raise ModelError(
            f"a network gave values that are not numbers for frame {frame.index} of {frame.source}:"
            " its file is damaged, or its precision is too low; fetch or export it again, or use"
            " --precision fp32"
        )


class SourceGuard:
    """Knows the files of all sources, and their folders.

    Args:
        items: All sources.
    """

    def __init__(self, items: Sequence[SourceItem]) -> None:
        kinds = ("image", "video", "camera", "animation")
        files = [Path(item.name) for item in items if item.kind in kinds]
        files += [path for item in items for _, path in item.files]
        # The file itself, and what a link leads to.
        self._files = {key for path in files for key in file_identity(path)}
        self._folders = {key for path in files if path.exists() for key in _folder(path)}

    def refuse_source(self, path: Path) -> None:
        """Refuse an output that is a source.

        Raises:
            InputError: it is one.
        """
        if not (is_stdout(path) or self._files.isdisjoint(file_identity(path))):
            raise InputError(
                f"the output {path} is one of the sources and would overwrite it; choose another"
                " folder or name"
            )

    def refuse_drawing_folder(self, folder: Path) -> None:
        """Refuse to draw into a folder of sources.

        Raises:
            InputError: sources lie in it.
        """
        if not self._folders.isdisjoint(file_identity(folder)):
            raise InputError(
                f"{folder} is the folder of the sources: annotated images and videos in it could"
                " replace your own, and the next run would read them; choose another folder for"
                " --output"
            )

    def refuse_foreign_file(self, path: Path, ours: Iterable[Path]) -> None:
        """Refuse to replace a file that lies with the sources, such as their annotations.

        Args:
            path: An output whose name was made from a source's.
            ours: Records of earlier runs: where one exists, the files are ours.

        Raises:
            InputError: there is such a file.
            OutputError: it cannot be looked at.
        """
        with output_errors(path):
            if not path.is_file() or self._folders.isdisjoint(_folder(path)):
                return
            from_us = any(record.exists() for record in ours)
        if not from_us:
            raise InputError(
                f"{path} exists next to the sources and is not from an earlier run as far as can be"
                " told; move it away, or choose another folder"
            )


def _folder(path: Path) -> list[object]:
    return file_identity(path.parent)
