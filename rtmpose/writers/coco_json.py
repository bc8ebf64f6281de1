"""COCO results: one JSON list, one object per person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtmpose.files import AtomicFile
from rtmpose.text_files import to_json
from rtmpose.types import Skeleton
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.run_info import RunInfo

WHOLE_BODY = "coco-wholebody133"
WHOLE_BODY_PARTS = {
    "keypoints": (0, 17),
    "foot_kpts": (17, 23),
    "face_kpts": (23, 91),
    "lefthand_kpts": (91, 112),
    "righthand_kpts": (112, 133),
}
"""Key of the official results file to its range of points."""


class CocoJsonWriter:
    """``image`` (the source), its ``width`` and ``height``, ``skeleton``, ``image_id``,
    ``category_id``, ``bbox`` (x, y, w, h), ``score``, ``box_score`` and ``keypoints`` (x, y,
    score) of each person.

    Frames of a video have ``frame`` and ``time_s`` too, tracked people ``track_id``. Of 133 points
    the parts have the keys of COCO-WholeBody's evaluation. Names of the keypoints, frame rates,
    sizes and models lie next to the file in ``NAME.info.json``.
    """

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._file = AtomicFile(path)
        self._info = RunInfo(context)
        self._separator = "[\n"

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        self._info.add(record)
        # One entry at a time: the list is never in memory as a whole.
        for entry in coco_entries(record):
            self._file.write(self._separator + to_json(entry))
            self._separator = ",\n"

    def close(self) -> None:
        """Complete the file."""
        # Without any entry the bracket is not open yet.
        self._file.write("[\n]\n" if self._separator == "[\n" else "\n]\n")
        self._file.commit()
        self._info.write_next_to(self.path)

    def abandon(self) -> None:
        """Forget the file."""
        self._file.abandon()


def coco_entries(record: FrameRecord) -> Iterator[dict[str, Any]]:
    """The COCO results of one frame, each with the source it belongs to."""
    # COCO ids are numbers where the file name is one.
    name = Path(record.source)
    image_id: int | str = int(name.stem) if name.stem.isdecimal() else name.name
    place: dict[str, Any] = {"image": record.source}
    if record.size_wh is not None:
        place |= {"width": record.size_wh[0], "height": record.size_wh[1]}
    place["skeleton"] = record.poses.skeleton.name
    if not record.still:
        place |= {"frame": record.index, "time_s": record.time_s}
    for i, person in enumerate(record.poses.to_coco(image_id)):
        filled = {"filled": True} if record.is_filled(i) else {}
        yield {**place, **_in_parts(person, record.poses.skeleton), **filled}


def _in_parts(person: dict[str, Any], skeleton: Skeleton) -> dict[str, Any]:
    """A person with the keys that the evaluation of COCO-WholeBody reads."""
    if skeleton.name != WHOLE_BODY:
        return person
    flat = person["keypoints"]
    parts = {key: flat[3 * start : 3 * end] for key, (start, end) in WHOLE_BODY_PARTS.items()}
    return {**person, **parts}
