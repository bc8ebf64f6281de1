"""Folders of files that appear under their name only when they are whole, as
:mod:`rtmpose.files` writes single files.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rtmpose.errors import OutputError
from rtmpose.files import follow_link, output_errors
from rtmpose.files.temporaries import (
    FOLDER_RECORD,
    clean_once,
    create_temporary_folder,
    files_below,
    release,
    replaced_folder,
    settle_replaced,
    sync_file,
)


class AtomicFolder:
    """A folder of files, written under a temporary name and renamed by :meth:`commit`.

    A folder of that name which an earlier run wrote is replaced. Files that somebody else put into
    it since then are kept.

    Args:
        path: The final name.

    Raises:
        OutputError: there is a folder of that name with files this package did not write, or the
            disk cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._target = follow_link(path)
        check_folder(path)
        with output_errors(path):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            clean_once(self._target.parent)
            self.temporary, self._lock = create_temporary_folder(self._target)

    def write_text(self, name: str, text: str) -> None:
        """Add a file; folders in its name are made."""
        with output_errors(self.path):
            file = self.temporary / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    @contextmanager
    def open_binary(self, name: str) -> Iterator[IO[bytes]]:
        """Add a file through a handle."""
        with output_errors(self.path), (self.temporary / name).open("wb") as file:
            yield file

    def commit(self) -> None:
        """Give the folder its name.

        Raises:
            OutputError: it cannot be completed; an earlier folder of that name is untouched.
        """
        try:
            # The record says which files belong to this run.
            with output_errors(self.path):
                names = sorted(files_below(self.temporary))
                record = self.temporary / FOLDER_RECORD
                record.write_text("\n".join(names) + "\n", encoding="utf-8")
                sync_file(record)
                self._put_in_place()
        except BaseException:
            self.abandon()
            raise
        self._release()

    def abandon(self) -> None:
        """Remove what was written; an earlier folder of that name is untouched."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        lock = self._lock
        self._lock = None
        release(lock)

    def _put_in_place(self) -> None:
        target = self._target
        if not target.exists():
            self.temporary.replace(target)
            return
        with replaced_folder(target) as aside:
            target.replace(aside)
            try:
                self.temporary.replace(target)
            except OSError:
                aside.replace(target)
                raise
            settle_replaced(aside, target)


def check_folder(path: Path) -> None:
    """Refuse a folder that :class:`AtomicFolder` must not replace.

    Raises:
        OutputError: it holds files and this package did not write it, or it is a file.
    """
    with output_errors(path):
        if not path.exists():
            return
        if not path.is_dir():
            raise OutputError(f"{path} cannot be made: there is a file of that name")
        if any(path.iterdir()) and not (path / FOLDER_RECORD).is_file():
            raise OutputError(
                f"{path} is a folder with files that rtmpose did not write, so it is not replaced;"
                " move it away or choose another folder"
            )


def copy_folder(source: Path, path: Path) -> None:
    """Copy a whole folder or nothing; an earlier copy is replaced.

    Raises:
        OutputError: it cannot be written, or would replace a folder of somebody else.
    """
    folder = AtomicFolder(path)
    try:
        with output_errors(path):
            shutil.copytree(source, folder.temporary, dirs_exist_ok=True)
        folder.commit()
    except BaseException:
        folder.abandon()
        raise
