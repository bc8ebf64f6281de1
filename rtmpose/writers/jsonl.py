"""JSON lines: one object per frame."""

from __future__ import annotations

from pathlib import Path

from rtmpose.files import AtomicFile
from rtmpose.text_files import to_json
from rtmpose.writers.base import FrameRecord, WriterContext


class JsonLinesWriter:
    """``source``, ``frame``, ``time_s`` and ``people``: COCO results, with ``track_id`` where
    people are tracked and ``filled`` where they were interpolated.
    """

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._file = AtomicFile(path)

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        people = record.poses.to_coco(record.index)
        for i, person in enumerate(people):
            if record.is_filled(i):
                person["filled"] = True
        line = {
            "source": record.source,
            "frame": record.index,
            "time_s": round(record.time_s, 4),
            "people": people,
        }
        self._file.write(to_json(line, separators=(",", ":")) + "\n")

    def close(self) -> None:
        """Complete the file."""
        self._file.commit()

    def abandon(self) -> None:
        """Forget the file."""
        self._file.abandon()
