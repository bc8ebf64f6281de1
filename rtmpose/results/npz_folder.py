"""A folder with one NumPy file per person, read back."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np

from rtmpose.errors import InputError
from rtmpose.results.description import Description, SourceInfo, description_from
from rtmpose.results.rows import SourceRows, make_clips
from rtmpose.text_files import read_json
from rtmpose.writers.clip import Clip
from rtmpose.writers.npz import INFO_NAME

PERSON = re.compile(r"person_(\d+)\.npz")


def is_npz_folder(folder: Path) -> bool:
    """Whether a folder looks like what ``--npz`` writes."""
    # Without anybody there is only the description.
    return any(path.name == INFO_NAME or PERSON.fullmatch(path.name) for path in folder.iterdir())


def read_npz_folder(folder: Path) -> list[Clip]:
    """The clip of a folder.

    Raises:
        InputError: a file is something else, or damaged.
    """
    info = folder / INFO_NAME
    description = description_from(read_json(info), info) if info.is_file() else Description()
    # Folders of earlier versions do not name their source, but are called after it.
    source = next(iter(description.sources), folder.name.removesuffix("_people"))
    rows = SourceRows()
    for path in sorted(folder.iterdir()):
        match = PERSON.fullmatch(path.name)
        if match is None:
            continue
        try:
            _add_person(rows, path, int(match[1]), description, source)
        except (KeyError, ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} is no file that --npz writes: {error}") from error
    return make_clips({source: rows}, description, len(description.keypoints), folder)


def _add_person(
    rows: SourceRows, path: Path, number: int, description: Description, source: str
) -> None:
    with np.load(path, allow_pickle=False) as file:
        frames, times = file["frames"], file["times"]
        points = np.concatenate([file["keypoints"], file["scores"][..., None]], axis=2)
        boxes = file["boxes"]
        names = tuple(str(name) for name in file["names"])
        box_scores = file["box_scores"] if "box_scores" in file else np.ones(len(frames))
        filled = file["filled"] if "filled" in file else np.zeros(len(frames), bool)
        if not description.keypoints:
            description.keypoints = names
        if source not in description.sources and "fps" in file:
            width, height = (int(v) for v in file["size_wh"])
            fps = float(file["fps"])
            description.sources[source] = SourceInfo(
                fps=fps if np.isfinite(fps) else None,
                size_wh=(width, height) if width and height else None,
            )
    if names != description.keypoints:
        raise ValueError("its keypoints are others than those of the folder")
    for k, frame in enumerate(frames.tolist()):
        rows.seen[frame] = float(times[k])
        rows.add(
            frame,
            points[k],
            boxes[k].tolist(),
            number=number,
            box_score=float(box_scores[k]),
            filled=bool(filled[k]),
        )
