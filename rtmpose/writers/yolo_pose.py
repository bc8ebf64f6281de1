"""YOLO's labels of poses: a text file per image, with numbers as fractions of its size."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from rtmpose.errors import InputError
from rtmpose.files.folders import AtomicFolder
from rtmpose.text_files import to_json
from rtmpose.types import Skeleton
from rtmpose.writers.clip import Clip
from rtmpose.writers.clip_names import ClipNames, image_name
from rtmpose.writers.lab_options import LabOptions

LABELED = 2


def write_yolo_pose(clips: Iterable[Clip], path: Path, options: LabOptions) -> list[Path]:
    """Write ``labels/NAME.txt`` for every image and ``data.yaml``; images go to ``images``.

    A line per person: class 0, middle and size of the box, then x, y and visibility of each point
    (2, or 0 0 0 where missing). Frames of videos are called as
    :func:`rtmpose.writers.clip_names.image_name` says. Frames without anybody have empty files.

    Raises:
        InputError: the size of a source is not known.
        OutputError: it cannot be written.
    """
    folder = AtomicFolder(path)
    names = ClipNames()
    try:
        for clip in clips:
            name = names.name(clip)
            lines = _lines(clip)
            for k, frame in enumerate(clip.frames.tolist()):
                # Photos lie in one folder, under different names.
                image = f"{name}.jpg" if clip.still else image_name(clip, name, frame)
                label = PurePosixPath(image).with_suffix(".txt")
                text = "".join(line + "\n" for line in lines.get(k, ()))
                folder.write_text(f"labels/{label}", text)
            skeleton = clip.skeleton
        folder.write_text("data.yaml", _data(skeleton))
        folder.commit()
    except BaseException:
        folder.abandon()
        raise
    return [path]


def _lines(clip: Clip) -> dict[int, list[str]]:
    """Place of a frame to its lines."""
    if clip.size_wh is None:
        raise InputError(
            f"the size of {clip.source} is not known, which labels in fractions of it need"
        )
    size = np.array(clip.size_wh, np.float64)
    corners = (clip.boxes.astype(np.float64).reshape(-1, 2, 2) / size).clip(0, 1)
    middles, spans = corners.mean(axis=1), corners[:, 1] - corners[:, 0]
    points = clip.keypoints / size
    # What lies outside of the image cannot be written.
    with np.errstate(invalid="ignore"):
        known = np.asarray(((points >= 0) & (points <= 1)).all(axis=2))
    flags = np.where(known, LABELED, 0)
    points = np.where(known[..., None], points, 0.0)

    lines: dict[int, list[str]] = {}
    for row, place in enumerate(clip.rows.tolist()):
        box = " ".join(f"{v:.6f}" for v in [*middles[row], *spans[row]])
        rest = " ".join(
            f"{x:.6f} {y:.6f} {flag}"
            for (x, y), flag in zip(points[row].tolist(), flags[row].tolist(), strict=True)
        )
        lines.setdefault(place, []).append(f"0 {box} {rest}")
    return lines


def _data(skeleton: Skeleton) -> str:
    lines = [
        "train: ./images",
        "val: ./images",
        f"kpt_shape: [{len(skeleton)}, 3]",
        f"flip_idx: {to_json(list(skeleton.flip_indices))}",
        "names:",
        "  0: person",
        "kpt_names:",
        f"  0: {to_json(list(skeleton.keypoints))}",
    ]
    return "\n".join(lines) + "\n"
