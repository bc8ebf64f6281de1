"""Where the images and labels of a YOLO set are: ``data.yaml`` and folders as tools write them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rtmpose.datasets.annotation_files import read_lines
from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.datasets.image_index import is_there
from rtmpose.datasets.simple_yaml import read_simple_yaml
from rtmpose.errors import InputError
from rtmpose.sources.kinds import IMAGE_SUFFIXES

log = logging.getLogger(__name__)

YAML_SUFFIXES = (".yaml", ".yml")

SPLIT_WORDS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Names that splits have in files and folders."""

SCORING_SPLITS = ("val", "test", "train")
"""What is scored where nothing is said: the first of these that is there."""

Splits = str | Sequence[str]
"""A split, or several of which the first that is there is taken; empty for all of a folder."""


@dataclass(frozen=True)
class YoloFiles:
    """The files of a set or split.

    Attributes:
        root: The folder that names are relative to.
        labels: Image name (relative to ``root``, with slashes) to its label file, which may not
            exist: the image is background then.
        settings: What ``data.yaml`` says; empty without one.
        split: The split that was taken; empty for all.
        where: The labels in words, for messages.
    """

    root: Path
    labels: Mapping[str, Path]
    settings: JsonObject
    split: str
    where: str


def find_yolo(data: Path, images: Path | None, split: Splits) -> YoloFiles:
    """The images and labels of a set.

    Args:
        data: ``data.yaml``, or a folder with ``labels/`` next to ``images/`` (or both in a folder
            per split), or a folder of labels.
        images: The folder of the images, where it is not found.
        split: See :data:`Splits`.

    Raises:
        InputError: there is no such split, or it has no images.
    """
    wanted = [split] if isinstance(split, str) else list(split)
    if data.suffix.lower() in YAML_SUFFIXES:
        return _of_yaml(data, images, wanted)
    if not data.is_dir():
        raise InputError(f"{data} is neither a data.yaml nor a folder")

    # A data.yaml in the folder says what the keypoints are.
    yaml = yaml_in(data) or _yaml_above(data)
    settings = read_simple_yaml(yaml) if yaml else _class_file(data)
    # Where the best of several splits is wanted and there is none, the whole set is taken.
    for name in wanted if len(wanted) == 1 else [*wanted, ""]:
        folders = _split_folders(data, name) if name else _all_folders(data)
        found = _labels_in(folders, images, data)
        if found is not None:
            _tell_folder(data, name, wanted)
            root, labels = found
            return YoloFiles(root, labels, settings, name, str(data))
    raise InputError(
        f"{images or data} holds no images{_of_splits(wanted)}: they should lie in images/ next to"
        " labels/, also in a folder per split; name their folder with --images"
    )


def _class_file(data: Path) -> JsonObject:
    """Names of the classes from the ``classes.txt`` that tools write instead of a data.yaml."""
    file = next(
        (f for f in (data / "classes.txt", data.parent / "classes.txt") if f.is_file()), None
    )
    return {"names": read_lines(file)} if file else {}


def _tell_folder(data: Path, name: str, wanted: Sequence[str]) -> None:
    """Say which part of a folder was taken where nobody asked for one by name."""
    if len(wanted) == 1 and wanted[0]:
        return
    there = [split for split in SPLIT_WORDS if _images_of_split(data, split)]
    if name:
        log.warning("%s: split %s of %s; --split chooses", data, name, ", ".join(there))
    elif len(there) > 1:
        log.warning("%s: all splits (%s) together; --split chooses one", data, ", ".join(there))


def _images_of_split(data: Path, split: str) -> bool:
    return _labels_in(_split_folders(data, split), None) is not None


def _of_splits(wanted: Sequence[str]) -> str:
    names = " or ".join(filter(None, wanted))
    return f" of the split {names}" if names else ""


def yaml_in(folder: Path) -> Path | None:
    """The ``data.yaml`` of a folder, whatever it is called; None without one."""
    files = sorted(f for f in folder.glob("*") if f.suffix.lower() in YAML_SUFFIXES)
    files.sort(key=lambda file: file.stem not in ("data", "dataset"))
    for file in files:
        try:
            settings = read_simple_yaml(file)
        except InputError:  # a file of something else
            continue
        if {"train", "val", "kpt_shape"} & set(settings):
            return file
    return None


def _yaml_above(folder: Path) -> Path | None:
    """The ``data.yaml`` of the set that a folder of a split is in; None without one."""
    for parent in folder.absolute().parents[:2]:
        yaml = yaml_in(parent)
        if yaml is not None and "kpt_shape" in read_simple_yaml(yaml):
            return yaml
    return None


# ---- data.yaml


def _of_yaml(data: Path, images: Path | None, wanted: Sequence[str]) -> YoloFiles:
    """The files of the first wanted split that ``data.yaml`` has."""
    settings = read_simple_yaml(data)
    missing = []
    for wanted_name in wanted:
        name = wanted_name or "train"
        key = next((k for k in SPLIT_WORDS.get(name, (name,)) if settings.get(k)), "")
        entries = _texts(settings.get(key)) if key else []
        found = _labels_of_entries(data, settings, entries, images)
        # Where the file does not lead to the split, its folder may be there all the same.
        if found is None:
            found = _labels_in(_split_folders(data.parent, name), None)
        if found is not None:
            _tell_split(data, name, wanted, settings)
            root, labels = found
            return YoloFiles(root, labels, settings, name, str(root))
        missing.append(f"{name} ({', '.join(entries)})" if entries else name)
    raise InputError(
        f"{data} leads to no images of {', '.join(missing)}, and none lie next to it. It names"
        f" {', '.join(_splits_in(settings)) or 'no split'}: choose one with --split, or name the"
        " folder of the images with --images"
    )


def _splits_in(settings: Mapping[str, Json]) -> list[str]:
    """The splits that ``data.yaml`` names."""
    return [name for name, words in SPLIT_WORDS.items() if any(settings.get(w) for w in words)]


def _tell_split(data: Path, name: str, wanted: Sequence[str], settings: Mapping[str, Json]) -> None:
    """Say which split was taken where nobody asked for one by name."""
    if len(wanted) == 1 and wanted[0]:
        return
    if len(wanted) > 1 and name != wanted[0]:
        log.warning(
            "%s has no images of the split %s: taken is %s; --split chooses",
            data,
            wanted[0],
            name,
        )
        return
    others = _splits_in(settings)
    if others != [name]:
        log.warning("%s: split %s of %s; --split chooses", data, name, ", ".join(others) or name)


def _labels_of_entries(
    data: Path, settings: Mapping[str, Json], entries: Sequence[str], images: Path | None
) -> tuple[Path, dict[str, Path]] | None:
    """Root and labels of what a split names: folders, lists in text files, images."""
    if not entries:
        return None
    if images is not None:
        return _labels_in([], images, data.parent)
    files: list[Path] = []
    for entry in entries:
        place = _resolve(data, str(settings.get("path") or ""), entry)
        if place is None:
            continue
        if place.is_dir():
            files += _images_below(place)
        elif place.suffix.lower() == ".txt":
            files += _listed_images(place, data, str(settings.get("path") or ""))
        else:
            files.append(place)
    return _rooted(files)


def _listed_images(file: Path, data: Path, path: str) -> Iterator[Path]:
    """The images that a text file lists, one per line; those that are not there are counted."""
    missing = []
    for line in read_lines(file):
        place = _resolve(file, "", line) or _resolve(data, path, line)
        if place is None:
            missing.append(line)
        else:
            yield place
    if missing:
        log.warning(
            "%s: %d of the images that it lists are not there, such as %s",
            file,
            len(missing),
            missing[0],
        )


def _resolve(data: Path, path: str, entry: str) -> Path | None:
    """What an entry leads to: as it is written, or with the folders that another machine or tool
    put before it left out.

    Args:
        data: The file that the entry is in.
        path: ``path`` of ``data.yaml``.
        entry: As written.
    """
    # Backslashes and drive letters are those of Windows.
    name = _slashes(entry)
    here = data.parent
    roots = []
    if path:
        written = Path(_slashes(path))
        roots = [written] if written.is_absolute() else [here / written]
        roots.append(here / written.name)
    roots.append(here)

    # As written, from the folder that the file names and from its own.
    if Path(name).is_absolute() and is_there(Path(name)):
        return Path(name)
    for root in roots:
        if is_there(root / name):
            return root / name

    # Roboflow writes ../train/images for train/images; other machines have other folders.
    parts = [p for p in PurePosixPath(name).parts if p not in ("..", ".", "/")]
    splits = {word for words in SPLIT_WORDS.values() for word in words}
    for start in range(len(parts)):
        # The images of all splits must not pass for those of one.
        if start and start == len(parts) - 1 and parts[start - 1] in splits:
            break
        rest = "/".join(parts[start:])
        for root in roots:
            if is_there(root / rest):
                return root / rest
    return None


def _slashes(path: str) -> str:
    """A path with slashes and without a drive letter."""
    name = path.strip().replace("\\", "/")
    has_drive = len(name) > 1 and name[1] == ":" and name[0].isalpha()
    return name[2:] if has_drive and os.name != "nt" else name


def _texts(value: Json) -> list[str]:
    """A text or a list of texts as a list without empty ones."""
    values = value if isinstance(value, list) else [value]
    return [str(v) for v in values if v not in (None, "")]


# ---- folders


def _split_folders(data: Path, split: str) -> Iterator[Path]:
    """Folders that may hold the images (or labels) of a split."""
    for word in SPLIT_WORDS.get(split, (split,)):
        for name in (f"images/{word}", f"{word}/images", word):
            if (data / name).is_dir():
                yield data / name
        # A folder of labels has its images in the folder beside it.
        labels = data / "labels" / word if (data / "labels").is_dir() else data / word
        yield _swapped(labels, "labels", "images")


def _all_folders(data: Path) -> Iterator[Path]:
    """Folders that may hold all images of a set."""
    if (data / "images").is_dir():
        yield data / "images"
        return
    if data.name == "labels" or "labels" in data.parts:
        yield _swapped(data, "labels", "images")
    yield data


def _labels_in(
    folders: Iterable[Path], images: Path | None, labels: Path | None = None
) -> tuple[Path, dict[str, Path]] | None:
    """Root and labels of the first folder with images.

    Args:
        folders: Where images may be.
        images: The folder of the images, which takes the place of ``folders``.
        labels: The folder of the labels, or the one that ``labels/`` is in, for images elsewhere.
    """
    for folder in [images] if images is not None else folders:
        files = _images_below(folder)
        if not files:
            continue
        if images is None or labels is None:
            return _rooted(files)
        # Labels in a folder of their own have the names that the images have below theirs.
        inner = labels / "labels" if (labels / "labels").is_dir() else labels
        names = [file.relative_to(folder) for file in files]
        own = [inner / name.with_suffix(".txt") for name in names]
        chosen = [o if o.is_file() else label_of(f) for o, f in zip(own, files, strict=True)]
        return folder, {n.as_posix(): label for n, label in zip(names, chosen, strict=True)}
    return None


def _images_below(folder: Path) -> list[Path]:
    """Images anywhere below a folder, sorted; ``folder/images`` where there is one."""
    if not folder.is_dir():
        return []
    files = (p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(p for p in files if not p.name.startswith(".") and "labels" not in p.parts[-2:-1])


def _rooted(files: Sequence[Path]) -> tuple[Path, dict[str, Path]] | None:
    """The folder that all files lie below, and the label file of each by its name in it."""
    if not files:
        return None
    folders = sorted({str(file.parent) for file in files})
    root = Path(os.path.commonpath(folders))
    return root, {file.relative_to(root).as_posix(): label_of(file) for file in files}


def label_of(image: Path) -> Path:
    """The label file of an image: in ``labels`` for the last ``images`` of its path, or beside it.

    Args:
        image: Path of the image.
    """
    beside = image.with_suffix(".txt")
    swapped = _swapped(image, "images", "labels").with_suffix(".txt")
    if swapped != beside and (swapped.is_file() or not beside.is_file()):
        return swapped
    in_sibling = image.parent.parent / "labels" / beside.name
    if not beside.is_file() and in_sibling.is_file():
        return in_sibling
    return beside


def _swapped(path: Path, old: str, new: str) -> Path:
    """A path whose last folder ``old`` is ``new``; the same where there is none."""
    parts = list(path.parts)
    for i in range(len(parts) - 1, -1, -1):
        if parts[i] == old:
            parts[i] = new
            return Path(*parts)
    return path
