"""OpenPose's JSON: a folder with one file per frame of a video, or one file of an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtmpose.files import AtomicFolder, write_text
from rtmpose.text_files import to_json
from rtmpose.writers.base import FrameRecord, WriterContext

SUFFIX = "_openpose"


class OpenPoseWriter:
    """``people`` with ``person_id`` and ``pose_keypoints_2d`` (x, y, score of each keypoint).

    A video becomes the folder ``NAME_openpose`` with ``NAME_000000000000_keypoints.json`` and so
    on, an image the file ``NAME_keypoints.json``.
    """

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._folder = None if context.still else AtomicFolder(path)
        self._text = ""

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        text = to_json({"version": 1.3, "people": _people(record)})
        if self._folder is None:
            self._text = text
            return
        # Zero-padded, so that names sort in the order of the frames.
        stem = self.path.name.removesuffix(SUFFIX)
        self._folder.write_text(f"{stem}_{record.index:012d}_keypoints.json", text)

    def close(self) -> None:
        """Complete the folder, or the file."""
        if self._folder is None:
            write_text(self.path, self._text)
        else:
            self._folder.commit()

    def abandon(self) -> None:
        """Forget the folder."""
        if self._folder is not None:
            self._folder.abandon()


def _people(record: FrameRecord) -> list[dict[str, object]]:
    poses = record.poses
    people: list[dict[str, object]] = []
    for i in range(len(poses)):
        values = np.concatenate([poses.keypoints[i], poses.scores[i][:, None]], axis=1)  # (K, 3)
        flat = [round(float(v), 3) for v in values.ravel()]
        people.append({"person_id": [record.person_id(i)], "pose_keypoints_2d": flat})
    return people
