"""A folder in a store, such as ``s3://bucket/results``: what is in it, and files sent to it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtmpose.batch.storage import store
from rtmpose.errors import OutputError


@dataclass(frozen=True)
class RemoteFolder:
    """A folder in a store.

    Attributes:
        url: Its address, as fsspec takes it.
    """

    url: str

    def names(self) -> list[str]:
        """All files in it, as paths within it.

        Raises:
            OutputError: the store cannot be reached.
        """
        with store(self.url, OutputError) as (system, root):
            # Others may have added some since.
            system.invalidate_cache()
            if not system.exists(root):
                return []
            inside = root.rstrip("/") + "/"
            files = system.find(root)
            return sorted(f.removeprefix(inside) for f in files if f.startswith(inside))

    def fetch(self, names: list[str], out: Path) -> None:
        """Copy some of its files into a mirror.

        Raises:
            OutputError: one cannot be read.
        """
        if not names:
            return
        with store(self.url, OutputError) as (system, root):
            places = [f"{root.rstrip('/')}/{name}" for name in names]
            system.get(places, [str(out / name) for name in names])

    def send(self, out: Path, name: str) -> None:
        """Copy a file or folder of a mirror to its place here.

        Raises:
            OutputError: it cannot be written.
        """
        path = out / name
        with store(f"{self.url.rstrip('/')}/{name}", OutputError) as (system, place):
            if path.is_dir():
                if system.exists(place):
                    system.rm(place, recursive=True)
                for file in sorted(p for p in path.rglob("*") if p.is_file()):
                    self._put(system, file, f"{place}/{file.relative_to(path).as_posix()}")
            else:
                self._put(system, path, place)

    def remove(self, name: str) -> None:
        """Remove a file or folder, if it is there.

        Raises:
            OutputError: it cannot be removed.
        """
        with store(f"{self.url.rstrip('/')}/{name}", OutputError) as (system, place):
            if system.exists(place):
                system.rm(place, recursive=True)

    @staticmethod
    def _put(system: Any, file: Path, place: str) -> None:
        # Stores have no folders, other file systems do.
        if "s3" not in system.protocol:
            system.makedirs(place.rpartition("/")[0], exist_ok=True)
        system.put_file(str(file), place)


def emptied(path: Path) -> None:
    """Keep only the name of what was sent, so that this machine's disk does not fill up."""
    if path.is_dir():
        shutil.rmtree(path)
        path.touch()
    else:
        os.truncate(path, 0)
