"""Find and read annotation files, and find the images they name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from rtmpose import text_files
from rtmpose.datasets.coco_types import Json
from rtmpose.datasets.image_index import ImageNames
from rtmpose.errors import InputError
from rtmpose.paths import is_existing_file

log = logging.getLogger(__name__)

SAMPLED_NAMES = 20
"""Number of file names that are tried when looking for the folder of the images."""
MOST_FOLDERS = 40
"""Leading folders that are left out one after the other; no image lies deeper."""


def find_annotation_file(path: Path) -> Path:
    """The annotation file that ``path`` is or holds.

    Raises:
        InputError: there is none, or more than one.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path} does not exist")
    # COCO has files of instances and captions next to those of keypoints.
    found = sorted(path.glob("*.json")) or sorted((path / "annotations").glob("*.json"))
    keypoint_files = [f for f in found if "keypoint" in f.name] or found
    if len(keypoint_files) != 1:
        names = ", ".join(f.name for f in keypoint_files) or "none"
        raise InputError(
            f"the folder {path} should hold one annotation file (.json); found: {names}. Name the"
            " file itself"
        )
    return keypoint_files[0]


def read_json(path: Path) -> Json:
    """What a JSON file holds.

    Raises:
        InputError: it cannot be read or is not JSON.
    """
    return text_files.read_json(path, allow_nan=True, limit=text_files.MAX_DATA_BYTES)


def read_lines(path: Path) -> list[str]:
    """The non-empty lines of a text file, stripped.

    Raises:
        InputError: it cannot be read.
    """
    text = text_files.read_text(path, text_files.MAX_DATA_BYTES)
    return [line.strip() for line in text.splitlines() if line.strip()]


def parse_numbers(words: Sequence[str], path: Path, line: int) -> list[float]:
    """Words of a line of a text file as numbers.

    Raises:
        InputError: one is not a number; the message names file and line.
    """
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {error}") from error


def locate_images(
    file_names: Mapping[int, str], folder: str | Path | None, path: Path
) -> dict[int, Path]:
    """Paths of the images of an annotation file.

    Annotation tools write names in several ways: relative to the export, with backslashes, or with
    the folders of the machine they ran on. Leading folders are left out, one after the other, until
    a name leads to an existing file. The first way (and folder) that does so for one of the first
    images is used for all. Images whose name differs in the suffix, in upper and lower case, in how
    accents are stored or in percent signs are found too, with a warning.

    Args:
        file_names: Image id to file name, as written.
        folder: Where they start from; None looks around ``path``.
        path: The annotation file.
    """
    names = {i: name.replace("\\", "/") for i, name in file_names.items()}
    sample = list(islice(names.values(), SAMPLED_NAMES))
    folders = [Path(folder)] if folder is not None else _image_folders(path)

    # Leave out leading folders until one of the first names leads to a file; exactly as it is
    # written, or else to one of nearly that name.
    there = ImageNames()
    deepest = min(max((name.count("/") for name in sample), default=0), MOST_FOLDERS)
    for leads in (is_existing_file, there.find):
        for skipped in range(deepest + 1):
            for start in folders:
                if any(leads(start / _without_folders(name, skipped)) for name in sample):
                    rest = {i: _without_folders(n, skipped) for i, n in names.items()}
                    return _as_they_are_called(start, rest, there, path)

    # None of them exists: name the place where they should be.
    start = folders[0] if folder is not None else path.parent / "images"
    return {i: start / name for i, name in names.items()}


def _as_they_are_called(
    start: Path, names: Mapping[int, str], there: ImageNames, annotations: Path
) -> dict[int, Path]:
    """Paths of the files that are there for names below a folder; names that lead to none stay as
    they are.
    """
    paths = {i: start / name for i, name in names.items()}
    listed: dict[str, frozenset[str]] = {}
    changed: list[int] = []
    first = ""
    for i, name in names.items():
        # Nearly all are there: sets have a hundred thousand images.
        folder, _, last = name.rpartition("/")
        if folder not in listed:
            listed[folder] = there.names_in(start / folder)
        if last in listed[folder]:
            continue
        found = there.find(paths[i])
        if found is not None:
            first = first or f"{found.name} for {last}"
            paths[i] = found
            changed.append(i)
    if changed:
        log.warning(
            "%s: %d images have another name than is written, such as %s",
            annotations,
            len(changed),
            first,
        )
    return paths


def _without_folders(name: str, skipped: int) -> str:
    """A name without its first ``skipped`` folders, but always with its last part."""
    parts = name.split("/")
    return "/".join(parts[min(skipped, len(parts) - 1) :])


def _image_folders(path: Path) -> list[Path]:
    """Where the images of an annotation file may be, the most likely folder first."""
    here = path if path.is_dir() else path.parent
    split = path.stem.rsplit("_", 1)[-1]
    names = ("", "images", split, f"images/{split}")
    return [folder / name for folder in (here, here.parent, here.parent.parent) for name in names]
