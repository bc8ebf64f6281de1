"""Which outputs are refused before anything is written: those that would overwrite a source,
another output, or a file of somebody else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.files import is_stdout
from rtmpose.sources import SourceItem


def same_file_keys(path: Path) -> list[object]:
    """What two paths of the same file have in common: the place that they lead to, whatever links
    are on the way, and the identity of the file where it exists.

    Names that differ only in case count as the same, as they are on some file systems.
    """
    if is_stdout(path):
        return ["standard output"]
    keys: list[object] = [os.path.realpath(path).casefold()]
    return [*keys, *file_identity(path)]


def file_identity(path: Path) -> list[object]:
    """What tells files apart whatever they are called; empty where there is no file."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return []
    return [(stat.st_dev, stat.st_ino)]


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
        """
        if not path.is_file() or self._folders.isdisjoint(_folder(path)):
            return
        if not any(record.exists() for record in ours):
            raise InputError(
                f"{path} exists next to the sources and is not from an earlier run as far as can be"
                " told; move it away, or choose another folder"
            )


def _folder(path: Path) -> list[object]:
    return file_identity(path.parent)
