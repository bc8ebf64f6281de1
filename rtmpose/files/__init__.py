"""Writing to disk, for the whole package: a file or folder appears under its name only when it is
whole.

What holds for everything written through this module:

- A new file is written next to its target under a temporary name, synced, and renamed. After an
  exception nothing with a temporary name stays; what a killed run leaves is removed by the next run
  that writes into the folder (:mod:`rtmpose.files.temporaries`).
- A symbolic link keeps pointing to its target: the target is replaced, not the link.
- Devices, pipes and standard output (``-`` or ``/dev/stdout``) are written straight, never renamed.
- A folder that holds files this package did not write is never replaced.
- New files have the permissions that the umask asks for; a replaced file keeps those it had.
- An ``OSError`` becomes an :class:`~rtmpose.errors.OutputError` that names the file.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import IO, cast

from rtmpose.errors import OutputError
from rtmpose.files.temporaries import clean_once, create_temporary_file, release, sync_file

STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn every ``OSError`` of the block into an :class:`OutputError` that names ``path``."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise OutputError(
            f"{path} cannot be written: this system's character set ({error.encoding}) has no"
            " such name; set PYTHONUTF8=1"
        ) from error


def is_stdout(path: Path) -> bool:
    """Whether a path stands for standard output."""
    return str(path) in STANDARD_OUTPUT


def is_special(path: Path) -> bool:
    """Whether a path is written straight: standard output, a device, a pipe or a socket."""
    # Names first; anything else by what the file system says.
    if is_stdout(path) or path.parent in (Path("/dev/fd"), Path("/proc/self/fd")):
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def follow_link(path: Path) -> Path:
    """The file that a symbolic link points to, or the path itself.

    Raises:
        OutputError: the link is part of a loop.
    """
    with output_errors(path):
        if not path.is_symlink():
            return path
        try:
            return path.resolve()
        except RuntimeError as error:  # Python before 3.13
            raise OutputError(f"{path} is a symbolic link that points to itself") from error


class AtomicFile:
    """One file, written under a temporary name and renamed by :meth:`commit`.

    Write through :meth:`open_text`, :meth:`open_binary`, or by the name :attr:`temporary` (for
    encoders that open their file themselves). End with :meth:`commit` or :meth:`abandon`.

    Args:
        path: The final name. Its folder is made if it is missing.
        suffix: End of the temporary name, for encoders that read the format from it.

    Attributes:
        path: As given.
        temporary: What is written to until :meth:`commit`.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, path: Path, *, suffix: str = "") -> None:
        self.path = path
        self._special = is_special(path)
        self._target = path if self._special else follow_link(path)
        self._text: IO[str] | None = None
        self._binary: IO[bytes] | None = None
        self._lock: int | None = None
        self._damaged = False
        self.temporary = self._target
        if self._special:
            return
        with output_errors(path):
            if self._target.is_dir():
                raise OutputError(f"{path} cannot be written: it is a folder")
            self._target.parent.mkdir(parents=True, exist_ok=True)
            clean_once(self._target.parent)
            self.temporary, self._lock = create_temporary_file(self._target, suffix)
            if self._target.exists():
                with suppress(OSError):
                    shutil.copymode(self._target, self.temporary)

    def open_text(self) -> IO[str]:
        """The file for UTF-8 text; newlines are written as they are."""
        with output_errors(self.path):
            if is_stdout(self.path):
                self._text = _standard_output()
            elif self._lock is None:
                self._text = self.temporary.open("w", encoding="utf-8", newline="")
            else:
                self._text = os.fdopen(self._lock, "w", encoding="utf-8", newline="", closefd=False)
        return self._text

    def open_binary(self) -> IO[bytes]:
        """The file for bytes."""
        with output_errors(self.path):
            file: IO[bytes]
            if is_stdout(self.path):
                file = cast("IO[bytes]", _standard_output().buffer)
            elif self._lock is None:
                file = self.temporary.open("wb")
            else:
                file = os.fdopen(self._lock, "wb", closefd=False)
        self._binary = file
        return file

    def write(self, text: str) -> int:
        """Add text.

        Raises:
            OutputError: the disk is full or gone.
        """
        file = self._text or self.open_text()
        # What failed once has a gap, even if there is room again later.
        self._damaged = True
        with output_errors(self.path):
            count = file.write(text)
            if self._special:  # whoever reads the pipe need not wait for a full buffer
                file.flush()
        self._damaged = False
        return count

    def commit(self, *, sync: bool = True) -> None:
        """Give the file its name.

        Args:
            sync: Wait until the content is on the disk first. Without it a power cut just after
                the rename may leave an empty file.

        Raises:
            OutputError: it cannot be completed; nothing stays, and a file that had the name before
                is untouched.
        """
        try:
            with output_errors(self.path):
                if self._damaged:
                    raise OutputError(f"{self.path} was not written completely")
                for file in (self._text, self._binary):
                    if file is not None and not file.closed:
                        file.flush()
                if self._special:
                    self._close()
                    return
                if sync:
                    sync_file(self.temporary)
                self._close()
                if self._lock is not None:
                    # Network disks tell of errors when a file is closed.
                    os.close(os.dup(self._lock))
                self.temporary.replace(self._target)
                self._release()
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Remove what was written; a file that had the name before is untouched."""
        with suppress(OSError, ValueError):
            self._close()
        if not self._special:
            with suppress(OSError):
                self.temporary.unlink(missing_ok=True)
        self._release()

    def _release(self) -> None:
        lock = self._lock
        self._lock = None
        release(lock)

    def _close(self) -> None:
        files = (self._text, self._binary)
        self._text = self._binary = None
        if is_stdout(self.path):
            return  # not ours to close
        for file in files:
            if file is not None:
                file.close()


@contextmanager
def _committed(path: Path) -> Iterator[AtomicFile]:
    """A file that gets its name when the block ends without an error, and is gone after one."""
    file = AtomicFile(path)
    try:
        with output_errors(path):
            yield file
        file.commit()
    except BaseException:
        file.abandon()
        raise


@contextmanager
def atomic_text(path: Path) -> Iterator[IO[str]]:
    """A text file (UTF-8) that appears under its name when the block ends without an error.

    Raises:
        OutputError: it cannot be written.
    """
    with _committed(path) as file:
        yield file.open_text()


@contextmanager
def atomic_binary(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears under its name when the block ends without an error.

    Raises:
        OutputError: it cannot be written.
    """
    with _committed(path) as file:
        yield file.open_binary()


def write_text(path: Path, text: str) -> None:
    """Write a whole text file (UTF-8) or none.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_text(path) as file:
        file.write(text)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or none.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_binary(path) as file:
        file.write(content)


def copy_file(source: Path, path: Path) -> None:
    """Copy a whole file or nothing.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_binary(path) as file, source.open("rb") as content:
        shutil.copyfileobj(content, file)


def move_file(source: Path, path: Path) -> None:
    """Give a finished file of the same disk its final name, in one step; links are followed.

    Raises:
        OutputError: it cannot be moved.
    """
    with output_errors(path):
        source.replace(follow_link(path))


def link_or_copy(source: Path, path: Path) -> None:
    """Give a file a second name, in one step: by a hard link, or a copy where the disk has none.

    Raises:
        OutputError: it cannot be written.
    """
    second = path.with_name(f"{path.name}.new")
    with output_errors(path):
        second.unlink(missing_ok=True)
        try:
            os.link(source, second)
        except OSError:
            copy_file(source, second)
        second.replace(path)


def make_folder(path: Path, *, of: Path | None = None) -> None:
    """Make a folder for outputs, with those above it.

    Args:
        path: The folder.
        of: The file that is to lie in it, which the user named instead.

    Raises:
        OutputError: it cannot be made.
    """
    what = f"the folder {path} cannot be made" if of is None else f"{of} cannot be written"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        # The path itself, or the first part of it that is no folder.
        blocking = next((p for p in (path, *path.parents) if os.path.lexists(p)), path)
        kind = "a file"
        if blocking.is_symlink() and not blocking.exists():
            kind = "a symbolic link that leads nowhere"
        raise OutputError(f"{what}: {blocking} is {kind}, not a folder") from error
    except OSError as error:
        raise OutputError(f"{what}: {error.strerror or error}") from error


def _standard_output() -> TextIOWrapper:
    if sys.stdout is None or sys.stdout.closed:
        raise OutputError("standard output is closed, so that no results can be written to it")
    return cast(TextIOWrapper, sys.stdout)
