"""Several open files that get the same frames, each on its own: the failure of one leaves the
others whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rtmpose.errors import OutputError
from rtmpose.shown_names import utf8_name
from rtmpose.writers.base import FrameRecord, Writer


class WriterGroup:
    """The files of one source, or those for all sources.

    A file that fails is abandoned at once: it never appears under its name. The error is raised
    after the other files have got the same frame.
    """

    def __init__(self) -> None:
        self._writers: list[tuple[Path, Writer]] = []
        self._frames = 0

    def open(self, path: Path, make: Callable[[], Writer]) -> None:
        """Add a file.

        Raises:
            OutputError: it cannot be opened.
        """
        self._writers.append((path, make()))

    def write(self, record: FrameRecord) -> None:
        """Add a frame to every file.

        Raises:
            OutputError: one of them cannot be written; the others have the frame.
        """
        # Not every format holds names with bytes that are not UTF-8.
        source = utf8_name(record.source)
        if source != record.source:
            record = replace(record, source=source)
        first_error: Exception | None = None
        for entry in list(self._writers):
            try:
                entry[1].write(record)
            except Exception as error:  # noqa: BLE001 (raised when the others are served)
                self._writers.remove(entry)
                entry[1].abandon()
                first_error = first_error or error
        self._frames += 1
        if first_error is not None:
            raise first_error

    def close(self, written: list[Path], *, empty_too: bool = True) -> None:
        """Complete every file.

        Args:
            written: Gets the paths of those that are complete.
            empty_too: Whether files without any frame appear as well.

        Raises:
            OutputError: one of them could not be completed; all others are.
        """
        if not (self._frames or empty_too):
            self.abandon()
            return
        first_error: Exception | None = None
        while self._writers:
            path, writer = self._writers[0]
            try:
                writer.close()
            except Exception as error:  # noqa: BLE001 (raised when the others are complete)
                writer.abandon()
                first_error = first_error or error
            else:
                written.append(path)
            self._writers.pop(0)
        if first_error is not None:
            if isinstance(first_error, OutputError):
                raise first_error
            raise OutputError(f"a file could not be completed: {first_error}") from first_error

    def abandon(self) -> None:
        """Forget every file."""
        while self._writers:
            self._writers.pop(0)[1].abandon()
