"""An output folder in a store, such as ``s3://bucket/results``.

Work is done in a folder of this machine, its mirror. A file is sent when it is whole, and then the
entry that says so: an object of a store appears whole or not at all, so that whoever is killed
leaves no half file. Another run begins with the entries that are there.

Runs on different machines do not see each other's locks in a store: share work with ``--shard``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtmpose.batch.ledger import Ledger, key_in_name
from rtmpose.batch.remote_folder import RemoteFolder
from rtmpose.batch.settings import FOLDERS, SETTINGS_FILE
from rtmpose.batch.storage import is_remote
from rtmpose.errors import RtmposeError
from rtmpose.files import make_folder
from rtmpose.signals import JobInterrupted

MIRRORED = ("ledger", "runs")
"""Folders whose files are fetched; of results the names are enough."""


@contextmanager
def output_folder(name: str) -> Iterator[tuple[Path, RemoteFolder | None]]:
    """The output folder of this machine, and that in a store where one was named.

    Raises:
        InputError: it is no such address.
        OutputError: the store cannot be reached.
        MissingDependencyError: fsspec or the store's package is not installed.
    """
    if not is_remote(name):
        yield Path(name.removeprefix("file://")), None
        return
    remote = RemoteFolder(name.rstrip("/"))
    with tempfile.TemporaryDirectory(prefix="rtmpose-batch-out-") as folder:
        mirror = Path(folder) / "out"
        try:
            pull(remote, mirror)
            yield mirror, remote
        except RtmposeError as error:
            # The mirror is nothing that anybody knows of.
            raise type(error)(str(error).replace(str(mirror), remote.url)) from error
        except JobInterrupted as error:
            raise JobInterrupted(str(error).replace(str(mirror), remote.url)) from error


def pull(remote: RemoteFolder, out: Path) -> None:
    """Make a mirror: settings, entries and runs; of results empty files with their names.

    Raises:
        OutputError: the store cannot be reached.
    """
    names = remote.names()
    if SETTINGS_FILE not in names and not any(n.partition("/")[0] in FOLDERS for n in names):
        return
    for folder in FOLDERS:
        make_folder(out / folder)
    wanted = [n for n in names if n.partition("/")[0] in MIRRORED or n == SETTINGS_FILE]
    remote.fetch(wanted, out)
    for name in {n.split("/")[1] for n in names if n.startswith("data/")}:
        (out / "data" / name).touch()
    _fetch_orphans(remote, out)


def _fetch_orphans(remote: RemoteFolder, out: Path) -> None:
    """Fetch files whose worker was killed before it wrote the entry: they hold it themselves."""
    known = set(Ledger(out).keys())
    orphans = [p.name for p in (out / "data").glob("*.parquet") if key_in_name(p.name) not in known]
    remote.fetch([f"data/{name}" for name in orphans], out)
