"""MOT Challenge text: boxes and ids of one source."""

from __future__ import annotations

from pathlib import Path

from rtmpose.files import AtomicFile
from rtmpose.writers.base import FrameRecord, WriterContext


class MotWriter:
    """Lines of frame (from 1), id, left, top, width, height, score, -1, -1, -1."""

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._file = AtomicFile(path)

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
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

    def abandon(self) -> None:
        """Forget the file."""
        self._file.abandon()
