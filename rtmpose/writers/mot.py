"""MOT Challenge text: boxes and ids of one source."""

from __future__ import annotations

import re
from pathlib import Path

from rtmpose.files import AtomicFile, is_special, write_text
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.run_info import RunInfo

INI_SUFFIX = ".seqinfo.ini"


class MotWriter:
    """Lines of frame (from 1), id, left, top, width, height, score, -1, -1, -1.

    Length, frame rate and size lie next to it in ``NAME.seqinfo.ini``, as MOT Challenge has them.
    """

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._file = AtomicFile(path)
        self._info = RunInfo(context)

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        self._info.add(record)
        poses = record.poses
        for i in range(len(poses)):
            # xyxy to xywh; frames and ids count from 1.
            x1, y1, x2, y2 = poses.boxes[i]
            box = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
            score = f"{poses.box_scores[i]:.4f}"
            self._file.write(f"{record.index + 1},{record.person_id(i)},{box},{score},-1,-1,-1\n")

    def close(self) -> None:
        """Complete the file."""
        self._file.commit()
        if self._info.clips and not is_special(self.path):
            # Whatever the case of the suffix.
            name = re.sub(r"(\.mot)?(\.txt)?$", "", self.path.name, flags=re.IGNORECASE)
            write_text(self.path.with_name(name + INI_SUFFIX), self._sequence(name))

    def abandon(self) -> None:
        """Forget the file."""
        self._file.abandon()

    def _sequence(self, name: str) -> str:
        """The description of the sequence."""
        clip = next(iter(self._info.clips.values()))
        width, height = clip.size_wh or (0, 0)
        # The numbers of a part of a clip are those in the whole clip.
        lines = [
            "[Sequence]",
            f"name={name}",
            f"frameRate={clip.fps or 0:g}",
            f"seqLength={clip.last_frame + 1}",
            f"imWidth={width}",
            f"imHeight={height}",
        ]
        return "\n".join(lines) + "\n"
