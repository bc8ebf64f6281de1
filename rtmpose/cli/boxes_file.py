"""The file of boxes that ``--boxes`` takes instead of a detector."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.ranges import FINITE, INDEX, Range, check_count, check_number, check_row
from rtmpose.sources import SourceItem
from rtmpose.text_files import MAX_DATA_BYTES, read_json
from rtmpose.types import Detections, check_boxes

log = logging.getLogger(__name__)

BOX_SCORE = Range(0, 1000)
"""Of any detector; most give 0..1."""

TABLE_SUFFIXES = (".txt", ".csv", ".tsv", ".xml", ".parquet", ".xlsx")

Rows = dict[tuple[str, int], list[tuple[list[float], float]]]
"""Name of an image and index of a frame to boxes (x1, y1, x2, y2) with scores."""


class FileBoxes:
    """The boxes of a file, by source and frame. A frame that the file does not name has none.

    Args:
        path: The file, for messages.
        rows: Its boxes.
    """

    def __init__(self, path: Path, rows: Rows) -> None:
        self._path = path
        self._rows = rows
        self._asked = 0
        self._found = 0
        self._example = ""

    def __call__(self, item: SourceItem, frame: int) -> Detections:
        """The boxes of a frame."""
        rows = self._rows
        entries = next((rows[key, frame] for key in _keys(item) if (key, frame) in rows), [])
        self._asked += 1
        self._found += bool(entries)
        self._example = self._example or item.name
        return Detections.from_boxes([box for box, _ in entries], [score for _, score in entries])

    def warn_if_unmatched(self) -> None:
        """Warn where not one frame of the job had a box in the file: the names may differ."""
        if not self._asked or self._found:
            return
        name, frame = next(iter(self._rows), ("", 0))
        holds = f"it has boxes of {name!r}, frame {frame}, ..." if self._rows else "it has no boxes"
        log.warning(
            "the boxes file %s has no box for any of the %d frames (of %s, ...), so nobody was"
            " found; %s",
            self._path,
            self._asked,
            self._example,
            holds,
        )


def read_boxes(path: Path) -> FileBoxes:
    """The boxes of a COCO results file.

    The file is a list of objects with ``image`` (or ``image_id``), ``bbox`` (x, y, w, h), and
    perhaps ``frame`` and ``score``. Where there is a ``box_score`` too, that is taken.

    Raises:
        InputError: the file cannot be read, or a box is not usable.
    """
    if path.suffix.lower() in TABLE_SUFFIXES:
        raise InputError(
            f"the boxes file {path} should be JSON: a list of objects with image, bbox (x, y, w, h)"
            " and, for videos, frame; tables and MOT's text files are not read"
        )

    # Read and checked as a whole, before the first frame.
    entries = read_json(path, allow_nan=True, limit=MAX_DATA_BYTES)
    try:
        rows = _rows(entries)
    except InputError as error:
        raise InputError(f"the boxes file {path}, {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"the boxes file {path} is not a JSON list of objects with image (or image_id) and bbox"
            f" [x, y, w, h]: {error!r}"
        ) from error
    return FileBoxes(path, rows)


def _rows(entries: object) -> Rows:
    if not isinstance(entries, list):
        raise TypeError(f"it holds {type(entries).__name__}")
    rows: Rows = {}
    for number, entry in enumerate(entries):
        try:
            key, box, score = _row(entry)
        except InputError as error:
            raise InputError(f"entry {number}: {error}") from error
        rows.setdefault(key, []).append((box, score))
    return rows


def _row(entry: Mapping[str, object]) -> tuple[tuple[str, int], list[float], float]:
    """Name and frame, box (xyxy) and score of an entry."""
    # COCO has xywh.
    x, y, w, h = check_row("bbox", entry["bbox"], FINITE, 4)
    box = [x, y, x + w, y + h]
    check_boxes([box])

    # Our own results have both: the score of a person is box score times keypoint scores.
    score = check_number("score", entry.get("box_score", entry.get("score", 1.0)), BOX_SCORE)
    frame = check_count("frame", entry.get("frame", 0), INDEX)
    name = str(entry.get("image", entry.get("image_id")))
    return (Path(name).name, frame), box, score


def _keys(item: SourceItem) -> list[str]:
    """What a source may be called in the file: its name, its stem, or its stem as a number."""
    name = Path(item.name)
    number = [str(int(name.stem))] if name.stem.isdecimal() else []
    return [name.name, name.stem, *number]
