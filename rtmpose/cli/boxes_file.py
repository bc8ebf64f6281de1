"""The file of boxes that ``--boxes`` takes instead of a detector."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.sources import SourceItem
from rtmpose.types import Detections, check_boxes

Rows = dict[tuple[str, int], list[tuple[list[float], float]]]
"""Name of an image and index of a frame to boxes (x1, y1, x2, y2) with scores."""


def read_boxes(path: Path) -> Callable[[SourceItem, int], Detections]:
    """A function that gives the boxes of a source and frame from a COCO results file.

    The file is a list of objects with ``image`` (or ``image_id``), ``bbox`` (x, y, w, h), and
    perhaps ``frame`` and ``score``. A frame that it does not name has no boxes.

    Raises:
        InputError: the file cannot be read, or a box is not usable.
    """
    # Read and checked as a whole, before the first frame.
    try:
        rows = _rows(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"the boxes file {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"the boxes file {path} is not a JSON list of objects with image (or image_id) and bbox"
            f" [x, y, w, h]: {error!r}"
        ) from error
    for boxes in rows.values():
        check_boxes([box for box, _ in boxes])

    # Called for every frame of every source.
    def boxes_of(item: SourceItem, frame: int) -> Detections:
        entries = next((rows[key, frame] for key in _keys(item) if (key, frame) in rows), [])
        return Detections.from_boxes([box for box, _ in entries], [score for _, score in entries])

    return boxes_of


def _rows(entries: list[dict[str, object]]) -> Rows:
    rows: Rows = {}
    for entry in entries:
        # COCO has xywh.
        x, y, w, h = (float(v) for v in list(entry["bbox"]))  # type: ignore[call-overload]
        name = str(entry.get("image", entry.get("image_id")))
        key = (Path(name).name, int(str(entry.get("frame", 0))))
        score = float(str(entry.get("score", 1.0)))
        rows.setdefault(key, []).append(([x, y, x + w, y + h], score))
    return rows


def _keys(item: SourceItem) -> list[str]:
    """What a source may be called in the file: its name, its stem, or its stem as a number."""
    name = Path(item.name)
    number = [str(int(name.stem))] if name.stem.isdecimal() else []
    return [name.name, name.stem, *number]
