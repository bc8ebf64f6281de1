"""JSON lines: one object per frame."""

from __future__ import annotations

from pathlib import Path

from rtmpose.files import AtomicFile
from rtmpose.text_files import to_json
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.run_info import header


class JsonLinesWriter:
    """A first line with ``skeleton``, ``keypoints`` (their names), ``links``, ``models`` and the
    ``fps`` of each source, then a line per frame: ``source``, ``frame``, ``time_s``,
    ``width``, ``height`` and ``people``.

    People are COCO results, with ``track_id`` where they are tracked and ``filled`` where they
    were interpolated.
    """

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._file = AtomicFile(path)
        first = {**header(context), "fps": dict(context.frame_rates)}
        self._write_line(first)

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        self._write_line(line_of(record))

    def close(self) -> None:
        """Complete the file."""
        self._file.commit()

    def abandon(self) -> None:
        """Forget the file."""
        self._file.abandon()

    def _write_line(self, line: dict[str, object]) -> None:
        self._file.write(line_text(line))


def line_of(record: FrameRecord) -> dict[str, object]:
    """What the line of a frame says."""
    people = record.poses.to_coco(record.index)
    for i, person in enumerate(people):
        if record.is_filled(i):
            person["filled"] = True
    width, height = record.size_wh or (None, None)
    return {
        "source": record.source,
        "frame": record.index,
        "time_s": record.time_s,
        "width": width,
        "height": height,
        "people": people,
    }


def line_text(line: dict[str, object]) -> str:
    """A line as it is written, with its end."""
    return to_json(line, separators=(",", ":")) + "\n"
