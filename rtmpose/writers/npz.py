"""NumPy: a folder with one ``.npz`` file per person."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtmpose.files.folders import AtomicFolder
from rtmpose.text_files import to_json
from rtmpose.types import FloatArray
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.run_info import RunInfo

INFO_NAME = "info.json"


@dataclass
class _Person:
    """What was seen of one person, a list entry per frame."""

    frames: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    keypoints: list[FloatArray] = field(default_factory=list)
    scores: list[FloatArray] = field(default_factory=list)
    boxes: list[FloatArray] = field(default_factory=list)
    box_scores: list[float] = field(default_factory=list)
    filled: list[bool] = field(default_factory=list)


class NpzWriter:
    """``person_0001.npz`` and so on, named after the track id, or after the position in the frame
    without tracking.

    Each holds ``frames (T,)``, ``times (T,)`` in seconds, ``keypoints (T, K, 2)`` and ``boxes (T,
    4)`` in pixels, ``box_scores (T,)``, ``scores (T, K)``, ``filled (T,)`` (interpolated) and the
    ``names (K,)`` of the keypoints; of the clip ``fps`` (NaN where unknown), ``frame_count``
    (people or not) and ``size_wh (2,)``. ``info.json`` in the folder says the same of the clip, and
    which models were used. All people of a source are held in memory until :meth:`close`.
    """

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._names = np.array(context.skeleton.keypoints)
        self._folder = AtomicFolder(path)
        self._info = RunInfo(context)
        self._people: dict[int, _Person] = {}

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        self._info.add(record)
        poses = record.poses
        for i in range(len(poses)):
            # Without tracking, people are told apart by their position in the frame.
            number = i if poses.ids is None else int(poses.ids[i])
            person = self._people.setdefault(number, _Person())
            person.frames.append(record.index)
            person.times.append(record.time_s)
            person.keypoints.append(poses.keypoints[i])
            person.scores.append(poses.scores[i])
            person.boxes.append(poses.boxes[i])
            person.box_scores.append(float(poses.box_scores[i]))
            person.filled.append(record.is_filled(i))

    def close(self) -> None:
        """Write the files and complete the folder."""
        clips = list(self._info.clips.values())
        fps = clips[0].fps if clips else None
        for number, person in self._people.items():
            with self._folder.open_binary(f"person_{number:04d}.npz") as file:
                np.savez_compressed(
                    file,
                    frames=np.array(person.frames),
                    times=np.array(person.times),
                    keypoints=np.array(person.keypoints),
                    scores=np.array(person.scores),
                    boxes=np.array(person.boxes),
                    box_scores=np.array(person.box_scores, np.float32),
                    filled=np.array(person.filled, bool),
                    names=self._names,
                    fps=np.nan if fps is None else fps,
                    frame_count=sum(clip.frames for clip in clips),
                    size_wh=np.array(clips[0].size_wh or (0, 0)),
                )
        # Also for a clip without anybody.
        self._folder.write_text(INFO_NAME, to_json(self._info.to_dict(), indent=1) + "\n")
        self._folder.commit()

    def abandon(self) -> None:
        """Forget the folder."""
        self._folder.abandon()
