"""DeepLabCut's labels: ``CollectedData_*.csv`` or ``.h5``, for one animal or several."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from rtmpose.datasets.coco_content import Annotations
from rtmpose.datasets.deeplabcut_h5 import read_h5_table
from rtmpose.datasets.deeplabcut_table import LabelTable, refuse_predictions
from rtmpose.datasets.image_index import ImageIndex, is_there
from rtmpose.datasets.image_size import image_size
from rtmpose.datasets.labeled_objects import VISIBLE, LabeledObject, content_from_objects
from rtmpose.errors import InputError
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

LEVELS = ("scorer", "individuals", "bodyparts", "coords")
"""Rows at the head of the file; ``individuals`` where there are several animals."""
SINGLE = "single"
"""The individual that has the points of the scene, not of an animal."""
DEFAULT_CLASS = "animal"


def is_deeplabcut_csv(path: Path) -> bool:
    """Whether a file begins like DeepLabCut's tables."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            first = file.readline(4096)
    except OSError:
        return False
    return first.lower().startswith("scorer,")


def label_files(folder: Path) -> list[Path]:
    """The files of labels of a project, of its ``labeled-data`` or of one clip; .csv before .h5."""
    tables = sorted(folder.rglob("CollectedData_*.csv"))
    have_csv = {table.parent for table in tables}
    others = sorted(f for f in folder.rglob("CollectedData_*.h5") if f.parent not in have_csv)
    return sorted([*tables, *others])


def read_deeplabcut(
    data: Path, images: Path | None, skeleton: Skeleton | None = None
) -> Annotations:
    """Read labeled frames; individuals of a frame are objects of their own.

    Args:
        data: A file of labels, or a project (or any folder with ``CollectedData_*`` files).
        images: The folder of the images; None takes those next to the files.
        skeleton: The keypoints; None takes the body parts.

    Raises:
        InputError: there are none, a file is damaged, or holds predictions of a video.
        MissingDependencyError: h5py is not installed and there is no .csv.
    """
    if data.name == "config.yaml":
        data = data.parent
    files = label_files(data) if data.is_dir() else [data]
    if not files:
        raise InputError(f"{data} holds no CollectedData_*.csv or .h5 of DeepLabCut")
    folder = images or (data if data.is_dir() else data.parent)
    index = ImageIndex(folder)
    objects: list[LabeledObject] = []
    sizes: dict[str, tuple[int, int]] = {}
    names: list[str] = []
    for file in files:
        table = read_h5_table(file) if file.suffix == ".h5" else _read_csv(file)
        names += [part for _, part, _ in table.columns]
        for written, values in table.rows:
            name = _image_name(written, file, index, folder)
            sizes[name] = image_size(folder / name) or (0, 0)
            objects += _objects(name, table, values)
    index.tell(data)
    used = list(dict.fromkeys(names))
    return content_from_objects(data, folder, objects, sizes, skeleton, names=used)


def _image_name(written: str, file: Path, index: ImageIndex, folder: Path) -> str:
    """The image of a row: next to the file of labels, else by the path that is written."""
    beside = file.parent / written.replace("\\", "/").rsplit("/", 1)[-1]
    if is_there(beside) and beside.is_relative_to(folder):
        return beside.relative_to(folder).as_posix()
    return index.find(written)


def _objects(name: str, table: LabelTable, values: Sequence[float]) -> list[LabeledObject]:
    """The individuals of a frame that have a label."""
    places: dict[tuple[str, str], dict[str, float]] = {}
    for (individual, part, coordinate), value in zip(table.columns, values, strict=True):
        places.setdefault((individual, part), {})[coordinate] = value

    objects: dict[str, LabeledObject] = {}
    for (individual, part), place in places.items():
        x, y = place.get("x", math.nan), place.get("y", math.nan)
        if math.isfinite(x) and math.isfinite(y):
            category = SINGLE if individual == SINGLE else DEFAULT_CLASS
            labeled = objects.setdefault(individual, LabeledObject(name, {}, None, category))
            labeled.points[part] = (x, y, VISIBLE)
    return list(objects.values())


# ---- the table


def _read_csv(path: Path) -> LabelTable:
    """A table of labels from CSV.

    Raises:
        InputError: it is another table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if any(line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error

    # The head: one row per level, its name in the first column.
    head = {}
    for line in lines[: len(LEVELS)]:
        if line[0].strip().lower() in LEVELS:
            head[line[0].strip().lower()] = line
    if not {"bodyparts", "coords"} <= set(head):
        raise InputError(
            f"{path} is not a table of DeepLabCut (rows scorer, bodyparts, coords at its head)"
        )

    # Before the values stands the path of the image, in one column or in three.
    coords = [value.strip().lower() for value in head["coords"]]
    first = next((i for i, value in enumerate(coords) if value == "x"), len(coords))
    individuals = head.get("individuals", [""] * len(coords))
    columns = list(
        zip(individuals[first:], head["bodyparts"][first:], coords[first:], strict=False)
    )
    rows = list(_rows(path, lines[len(head) :], first, len(columns)))
    refuse_predictions(path, [name for name, _ in rows])
    return LabelTable(columns, rows)


def _rows(
    path: Path, lines: Sequence[Sequence[str]], first: int, count: int
) -> Iterator[tuple[str, list[float]]]:
    for line in lines:
        # Rows may end early where nothing is labeled.
        texts = [*line[first:], *[""] * (first + count - len(line))]
        try:
            values = [float(text) if text.strip() else math.nan for text in texts[:count]]
        except ValueError as error:
            raise InputError(f"{path}, row of {'/'.join(line[:first])}: {error}") from error
        yield "/".join(part.strip() for part in line[:first] if part.strip()), values
