"""Locks on files that end with the process that holds them, however it ends."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rtmpose.errors import ModelError, OutputError
from rtmpose.text_files import parse_json, to_json

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)

HAS_LOCKS = sys.platform != "win32"
"""Whether a lock on a file leaves reading, renaming and removing it to everybody."""

LOCK_POSITION = 1 << 30
"""On Windows a byte is locked and cannot be read: one far behind the content."""

TELL_SECONDS = 3.0
"""How long a run waits before it says for whom."""

LONGEST_WAIT_S = 3600.0
"""How long a run waits at most: longer than any download that is worth it."""

POLL_SECONDS = 0.1


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process without waiting; False where another has the lock.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, LOCK_POSITION, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK):
            return False
        raise
    return True


class OutputLock:
    """Keeps two runs from writing the same output. The lock file goes away with the lock.

    Args:
        path: The lock file.
        output: What it stands for, for the error text.

    Raises:
        OutputError: another run holds it, or the lock file cannot be written.
    """

    def __init__(self, path: Path, output: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        while self._descriptor is None:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise OutputError(
                    f"{output} cannot be written: {error.strerror or error}"
                ) from error
            self._descriptor = self._locked(descriptor, output)

    def _locked(self, descriptor: int, output: Path) -> int | None:
        """The locked descriptor; None if the file was removed by the run that held it before."""
        try:
            if not try_lock(descriptor):
                holder = read_holder(descriptor)
                os.close(descriptor)
                raise OutputError(
                    f"{output} is being written by another run ({holder}); wait for its end, or"
                    " choose another output"
                )
        except OutputError:
            raise
        except OSError as error:
            log.info("%s cannot be locked (%s)", output, error.strerror or error)
            return descriptor
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                write_holder(descriptor)
                return descriptor
        os.close(descriptor)
        return None

    def release(self) -> None:
        """End the lock."""
        if self._descriptor is None:
            return
        descriptor = self._descriptor
        self._descriptor = None
        _end_lock(descriptor, self.path)


class ProcessLock:
    """A lock that processes and threads wait for. The lock file goes away with the lock.

    The system ends it with the process that holds it. Where the file system has no locks, everybody
    gets it.

    Args:
        path: The lock file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting; False where another has it.

        Raises:
            OSError: the lock file cannot be written.
        """
        return self._try() is None

    def wait(self, what: str) -> None:
        """Take the lock as soon as it is free; after a few seconds a warning says who has it.

        Args:
            what: What the lock stands for, for the warning.

        Raises:
            OSError: the lock file cannot be written.
            ModelError: who has it is stopped, or has had it for an hour.
        """
        start = time.monotonic()
        told = ""
        while (holder := self._try()) is not None:
            waited = time.monotonic() - start
            if waited >= TELL_SECONDS and holder.is_stopped:
                raise ModelError(
                    f"{what} by another run ({holder}) does not go on: let that process go on (kill"
                    f" -CONT {holder.pid}) or end it, and run this again"
                )
            if waited >= LONGEST_WAIT_S:
                raise ModelError(
                    f"{what} by another run ({holder}) was not done after"
                    f" {LONGEST_WAIT_S / 60:.0f} minutes; end that process, and run this again"
                )
            if waited >= TELL_SECONDS and str(holder) != told:
                log.warning(
                    "waiting for %s by another run (%s); it goes on when that run is done or ended",
                    what,
                    holder,
                )
                told = str(holder)
            time.sleep(POLL_SECONDS)

    def _try(self) -> Holder | None:
        """None where the lock was taken, else who has it."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if not try_lock(descriptor):
                    holder = read_holder(descriptor)
                    os.close(descriptor)
                    return holder
            except OSError as error:
                log.info("%s cannot be locked (%s)", self.path, error.strerror or error)
                self._descriptor = descriptor
                return None
            # The one who had it before may have removed the file meanwhile.
            with suppress(OSError):
                if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                    write_holder(descriptor)
                    self._descriptor = descriptor
                    return None
            os.close(descriptor)

    def release(self) -> None:
        """End the lock."""
        descriptor = self._descriptor
        self._descriptor = None
        if descriptor is not None:
            _end_lock(descriptor, self.path)


def _end_lock(descriptor: int, path: Path) -> None:
    # Removed while it is locked, so that it is never another run's file; Windows wants it the other
    # way around, and refuses to remove a file that is open elsewhere.
    if HAS_LOCKS:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    os.close(descriptor)
    if not HAS_LOCKS:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def write_holder(descriptor: int) -> None:
    """Write into a lock file which process has the lock."""
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
    # A full disk must not keep a run from resuming, so that the words are best effort.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, to_json(holder).encode())


@dataclass(frozen=True)
class Holder:
    """The process that has a lock, as far as the lock file says it. As text it is named in words.

    Attributes:
        pid: Its number; 0 for unknown.
        host: The name of its machine.
        started: When it took the lock.
    """

    pid: int = 0
    host: str = ""
    started: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "process unknown"
        stopped = ", stopped now" if self.is_stopped else ""
        return f"process {self.pid} on {self.host}, since {self.started}{stopped}"

    @property
    def is_stopped(self) -> bool:
        """Whether it is a process of this machine that a signal has stopped (Linux only)."""
        if not self.pid or self.host != socket.gethostname():
            return False
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text(errors="replace")
        except OSError:
            return False
        # The state stands behind the name, which may hold anything.
        return text.rpartition(")")[2].split()[:1] in (["T"], ["t"])


def read_holder(descriptor: int) -> Holder:
    """Which process has the lock."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        holder = parse_json(os.read(descriptor, 4096), "the lock")
        return Holder(int(holder["pid"]), str(holder["host"]), str(holder["started"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Holder()
