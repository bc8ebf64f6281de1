"""Tables of tracked people, one file (or folder) per source. Each appears under its name only when
it is whole.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from rtmpose.errors import MissingDependencyError, OutputError
from rtmpose.types import Frame, Poses, Skeleton


class TrackSink(Protocol):
    """Takes the people of one source frame by frame."""

    path: Path

    def write(self, frame: Frame, poses: Poses, filled: Any = None) -> None:
        """Add a frame; ``filled`` marks people who were interpolated."""

    def close(self) -> None:
        """Complete the file."""


class _TextFile:
    """A text file that is renamed when it is closed."""

    ending = ""

    def __init__(self, path: Path, skeleton: Skeleton) -> None:
        self.path, self.skeleton = path, skeleton
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(
                dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
            )
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
        self._temporary = Path(temporary)
        self._file: IO[str] = os.fdopen(handle, "w", encoding="utf-8", newline="")

    def close(self) -> None:
        """Complete the file."""
        try:
            self._file.close()
            self._temporary.chmod(0o644)
            self._temporary.replace(self.path)
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror or error}"
            ) from error

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror or error}"
            ) from error


class JsonLines(_TextFile):
    """One JSON object per frame: ``frame``, ``time_s`` and ``people``, COCO results with
    ``track_id``.
    """

    ending = ".jsonl"

    def write(self, frame: Frame, poses: Poses, filled: Any = None) -> None:
        """Add a frame."""
        people = poses.to_coco(frame.index)
        for i, person in enumerate(people):
            if filled is not None and filled[i]:
                person["filled"] = True
        line = {"frame": frame.index, "time_s": round(frame.time_s, 4), "people": people}
        self._write(json.dumps(line, separators=(",", ":")) + "\n")


class Csv(_TextFile):
    """One row per person and frame."""

    ending = ".csv"

    def __init__(self, path: Path, skeleton: Skeleton) -> None:
        super().__init__(path, skeleton)
        self._table = csv.writer(self._file)
        self._table.writerow(columns(skeleton))

    def write(self, frame: Frame, poses: Poses, filled: Any = None) -> None:
        """Add a frame."""
        for i in range(len(poses)):
            self._table.writerow(row(frame, poses, i, filled))


class Mot(_TextFile):
    """MOT Challenge text: frame (from 1), id, left, top, width, height, score, -1, -1, -1."""

    ending = ".mot.txt"

    def write(self, frame: Frame, poses: Poses, filled: Any = None) -> None:
        """Add a frame."""
        for i in range(len(poses)):
            x1, y1, x2, y2 = poses.boxes[i]
            number = int(poses.ids[i]) if poses.ids is not None else -1
            self._write(
                f"{frame.index + 1},{number},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},"
                f"{poses.box_scores[i]:.4f},-1,-1,-1\n"
            )


class OpenPose:
    """A folder with one JSON file per frame, as OpenPose writes them: ``people`` with
    ``pose_keypoints_2d``.
    """

    ending = "_openpose"

    def __init__(self, path: Path, skeleton: Skeleton) -> None:
        self.path, self.skeleton = path, skeleton
        self._temporary = path.with_name(f".{path.name}.tmp")
        try:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary.mkdir(parents=True)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error

    def write(self, frame: Frame, poses: Poses, filled: Any = None) -> None:
        """Add a frame."""
        people = []
        for i in range(len(poses)):
            values = np.concatenate([poses.keypoints[i], poses.scores[i][:, None]], axis=1)
            number = int(poses.ids[i]) if poses.ids is not None else -1
            flat = [round(float(v), 3) for v in values.ravel()]
            people.append({"person_id": [number], "pose_keypoints_2d": flat})
        name = f"{self.path.name.removesuffix(self.ending)}_{frame.index:012d}_keypoints.json"
        try:
            (self._temporary / name).write_text(
                json.dumps({"version": 1.3, "people": people}), encoding="utf-8"
            )
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror or error}"
            ) from error

    def close(self) -> None:
        """Complete the folder."""
        try:
            if self.path.exists():
                shutil.rmtree(self.path)
            self._temporary.replace(self.path)
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror or error}"
            ) from error


class Npz:
    """A folder with one ``.npz`` per person: ``frames``, ``times``, ``keypoints (T, K, 2)``,
    ``scores``, ``boxes``.
    """

    ending = "_people"

    def __init__(self, path: Path, skeleton: Skeleton) -> None:
        self.path, self.skeleton = path, skeleton
        self._rows: dict[int, list[tuple[Any, ...]]] = {}

    def write(self, frame: Frame, poses: Poses, filled: Any = None) -> None:
        """Add a frame."""
        for i in range(len(poses)):
            number = int(poses.ids[i]) if poses.ids is not None else i
            entry = (frame.index, frame.time_s, poses.keypoints[i], poses.scores[i], poses.boxes[i])
            self._rows.setdefault(number, []).append(entry)

    def close(self) -> None:
        """Write the files."""
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for number, entries in self._rows.items():
                frames, times, keypoints, scores, boxes = (
                    np.array(c) for c in zip(*entries, strict=True)
                )
                names = np.array(self.skeleton.keypoints)
                np.savez_compressed(
                    temporary / f"person_{number:04d}.npz",
                    frames=frames,
                    times=times,
                    keypoints=keypoints,
                    scores=scores,
                    boxes=boxes,
                    names=names,
                )
            if self.path.exists():
                shutil.rmtree(self.path)
            temporary.replace(self.path)
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror or error}"
            ) from error


class Parquet:
    """The table of :class:`Csv` as Parquet, written in groups of rows."""

    ending = ".parquet"
    GROUP = 2000

    def __init__(self, path: Path, skeleton: Skeleton) -> None:
        try:
            import pyarrow
            import pyarrow.parquet as parquet
        except ImportError as error:
            raise MissingDependencyError(
                "--parquet needs pyarrow: pip install 'rtmpose[parquet]'"
            ) from error
        self.path, self.skeleton = path, skeleton
        self._arrow, self._rows = pyarrow, []  # type: ignore[var-annotated]
        whole = {"frame", "id", "filled"}
        fields = [
            (c, pyarrow.int64() if c in whole else pyarrow.float32()) for c in columns(skeleton)
        ]
        self._schema = pyarrow.schema(fields)
        self._temporary = path.with_name(f".{path.name}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = parquet.ParquetWriter(self._temporary, self._schema)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error}") from error

    def write(self, frame: Frame, poses: Poses, filled: Any = None) -> None:
        """Add a frame."""
        self._rows += [row(frame, poses, i, filled) for i in range(len(poses))]
        if len(self._rows) >= self.GROUP:
            self._flush()

    def close(self) -> None:
        """Complete the file."""
        self._flush()
        self._writer.close()
        self._temporary.replace(self.path)

    def _flush(self) -> None:
        if self._rows:
            values = [list(c) for c in zip(*self._rows, strict=True)]
            arrays = [
                self._arrow.array(v, f.type) for v, f in zip(values, self._schema, strict=True)
            ]
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
            self._rows = []


SINKS: dict[str, Callable[[Path, Skeleton], TrackSink]] = {
    "json": JsonLines,
    "csv": Csv,
    "parquet": Parquet,
    "mot": Mot,
    "openpose": OpenPose,
    "npz": Npz,
}


def columns(skeleton: Skeleton) -> list[str]:
    """Names of the table's columns."""
    points = [f"{name}_{part}" for name in skeleton.keypoints for part in ("x", "y", "score")]
    return [
        "frame",
        "time_s",
        "id",
        "filled",
        "box_x1",
        "box_y1",
        "box_x2",
        "box_y2",
        "box_score",
        "score",
        *points,
    ]


def row(frame: Frame, poses: Poses, i: int, filled: Any) -> list[float]:
    """One person of one frame."""
    values = np.concatenate([poses.keypoints[i], poses.scores[i][:, None]], axis=1).ravel()
    return [
        frame.index,
        round(frame.time_s, 4),
        int(poses.ids[i]) if poses.ids is not None else -1,
        int(bool(filled is not None and filled[i])),
        *(round(float(v), 2) for v in poses.boxes[i]),
        round(float(poses.box_scores[i]), 4),
        round(float(poses.instance_scores[i]), 4),
        *(round(float(v), 3) for v in values),
    ]
