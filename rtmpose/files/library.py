"""Files that a library makes itself, whole or not at all; all others: :mod:`rtmpose.files`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtmpose.errors import OutputError
from rtmpose.files import follow_link, output_errors
from rtmpose.files.temporaries import clean_once, create_temporary_folder, release, sync_file


@contextmanager
def file_of_library(path: Path) -> Iterator[Path]:
    """A name for libraries that open, lock and replace their file themselves: what lies under it
    when the block ends without an error gets the name ``path``.

    Raises:
        OutputError: it cannot be written.
    """
    target = follow_link(path)
    with output_errors(path):
        if target.is_dir():
            raise OutputError(f"{path} cannot be written: it is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        clean_once(target.parent)
        folder, lock = create_temporary_folder(target)
        try:
            # The library may look at the suffix.
            made = folder / f"made{path.suffix}"
            yield made
            sync_file(made)
            made.replace(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            release(lock)
