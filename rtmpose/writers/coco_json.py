"""COCO results: one JSON list, one object per person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtmpose.files import AtomicFile
from rtmpose.text_files import to_json
from rtmpose.writers.base import FrameRecord, WriterContext


class CocoJsonWriter:
    """``image`` (the source), ``image_id``, ``category_id``, ``bbox`` (x, y, w, h), ``score`` and
    ``keypoints`` (x, y, score) of each person.

    Frames of a video have ``frame`` and ``time_s`` too, tracked people ``track_id``.
    """

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._file = AtomicFile(path)
        self._separator = "[\n"

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        # One entry at a time: the list is never in memory as a whole.
        for entry in coco_entries(record):
            self._file.write(self._separator + to_json(entry))
            self._separator = ",\n"

    def close(self) -> None:
        """Complete the file."""
        # Without any entry the bracket is not open yet.
        self._file.write("[\n]\n" if self._separator == "[\n" else "\n]\n")
        self._file.commit()

    def abandon(self) -> None:
        """Forget the file."""
        self._file.abandon()


def coco_entries(record: FrameRecord) -> Iterator[dict[str, Any]]:
    """The COCO results of one frame, each with the source it belongs to."""
    # COCO ids are numbers where the file name is one.
    name = Path(record.source)
    image_id: int | str = int(name.stem) if name.stem.isdecimal() else name.name
    place: dict[str, Any] = {"image": record.source}
    if not record.still:
        place |= {"frame": record.index, "time_s": round(record.time_s, 4)}
    for i, person in enumerate(record.poses.to_coco(image_id)):
        yield {**place, **person, **({"filled": True} if record.is_filled(i) else {})}
