"""The files of folders and patterns: in natural order, none twice, without going in circles."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path

from rtmpose.sources.images import looks_like_image
from rtmpose.sources.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from rtmpose.sources.pillow_images import heif_is_installed
from rtmpose.sources.skipped import HEIC_SUFFIXES, NEEDS_HEIF, SkippedFiles, reason_of

ANY_DEPTH = "**"
HEAD = 32
"""Bytes by which a file without a suffix is recognized."""


def media_in_folder(folder: Path, *, recursive: bool, skipped: SkippedFiles) -> list[Path]:
    """The images and videos of a folder, in natural order (``2.jpg`` before ``10.jpg``).

    Args:
        folder: The folder.
        recursive: Take those of the folders in it too.
        skipped: Gets the other files.
    """
    folders = folders_below(folder) if recursive else [folder]
    files = [path for place in folders for path in _entries(place) if not path.is_dir()]
    found: list[Path] = []
    for path in sorted(without_repeats(files), key=natural):
        if _is_media(path):
            found.append(path)
        else:
            skipped.add(path, reason_of(path))
    return without_heic(found, skipped)


def without_heic(files: list[Path], skipped: SkippedFiles) -> list[Path]:
    """Files without those that need a package that is not installed.

    Args:
        files: Files of a folder or pattern.
        skipped: Gets those that are left out.
    """
    if heif_is_installed():
        return files
    heic = [path for path in files if path.suffix.lower() in HEIC_SUFFIXES]
    for path in heic:
        skipped.add(path, NEEDS_HEIF)
    return [path for path in files if path not in heic]


def matches(pattern: str) -> list[Path]:
    """The files that a pattern stands for, in natural order; ``**`` is any depth of folders."""
    path = Path(pattern)
    start = Path(path.anchor) if path.anchor else Path()
    parts = path.parts[1:] if path.anchor else path.parts
    found = [match for match in _matching(start, parts) if match.is_file()]
    return sorted(without_repeats(found), key=natural)


def folders_below(folder: Path) -> Iterator[Path]:
    """A folder and all in it at any depth, without following links that lead back."""
    seen: set[str] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(place)
        if real in seen:
            continue
        seen.add(real)
        yield place
        inside = [p for p in _entries(place) if p.is_dir() and not p.name.startswith(".")]
        waiting += sorted(inside, key=natural, reverse=True)


def without_repeats(paths: list[Path]) -> list[Path]:
    """Each file once, by the first of the ways that lead to it."""
    # The shortest way first: what links lead to has its own name then.
    by_place: dict[str, Path] = {}
    for path in sorted(paths, key=lambda p: (len(p.parts), p.is_symlink())):
        by_place.setdefault(os.path.realpath(path), path)
    kept = set(by_place.values())
    return [path for path in paths if path in kept]


def natural(path: Path) -> list[tuple[int, str]]:
    """A key by which numbers in names count as numbers."""
    # Text gets -1, so that the two can be compared.
    return [
        (int(part), "") if part.isdigit() else (-1, part)
        for part in re.split(r"([0-9]+)", str(path).lower())
    ]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []  # a folder that must not be read


def _matching(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """What the rest of a pattern stands for within a folder."""
    if not parts:
        yield folder
        return
    first, rest = parts[0], parts[1:]
    if first == ANY_DEPTH:
        for place in folders_below(folder):
            yield from _matching(place, rest or ("*",))
        return
    if not re.search(r"[*?\[]", first):
        if os.path.lexists(folder / first):
            yield from _matching(folder / first, rest)
        return
    # As in a shell, hidden files are only meant where the pattern says so.
    for path in _entries(folder):
        hidden = path.name.startswith(".") and not first.startswith(".")
        if not hidden and fnmatch.fnmatchcase(os.path.normcase(path.name), os.path.normcase(first)):
            yield from _matching(path, rest)


def _is_media(path: Path) -> bool:
    """By the suffix; without one, by the first bytes."""
    if path.name.startswith("."):
        return False
    if path.suffix:
        return path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES
    try:
        with path.open("rb") as file:
            return path.is_file() and looks_like_image(file.read(HEAD))
    except OSError:
        return False
