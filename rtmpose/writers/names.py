"""Names of output files, after the sources."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from rtmpose.sources import SourceItem

MAX_BYTES = 180
"""Longest name in UTF-8; file systems allow 255 bytes, suffixes and temporary names included."""
MAX_FOLDERS = 4
"""Folders that are put in front of a name at most."""


def output_names(
    items: Sequence[SourceItem], taken: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A different file name, without a suffix, for every source.

    The name is the source's own without its extension. If another source has it already, the name
    of the source's folder is put in front, provided the other source lies elsewhere, and if need be
    that of the folder around it; if those names are in use too, or both lie in the same folder, the
    next free number is put behind: ``fm.jpg``, ``fm.png`` and ``fm.webp`` become ``fm``, ``fm_2``
    and ``fm_3``. Names that differ only in case
    count as the same, as they do on some file systems.

    Args:
        items: All sources of the run, in order.
        taken: Source to name from an earlier run; these stay as they are.

    Returns:
        Source to name.
    """
    names: dict[str, str] = {}
    owners: dict[str, Path] = {}

    def assign(source: str, name: str) -> None:
        names[source] = name
        owners[name.casefold()] = _folder(source)

    for source, name in (taken or {}).items():
        assign(source, name)
    for item in items:
        if item.name in names:
            continue

        # The plain name, if it is free.
        stem = _stem(item)
        folder = _folder(item.name)
        owner = owners.get(stem.casefold())
        if owner is None:
            assign(item.name, stem)
            continue

        # The folder's name tells the same name in two folders apart.
        prefixed = _with_folder(stem, folder, owners) if folder != owner else None
        if prefixed is not None:
            assign(item.name, prefixed)
            continue

        # In the same folder only a number does, counted from the plain name each time.
        number = 2
        while f"{stem}_{number}".casefold() in owners:
            number += 1
        assign(item.name, f"{stem}_{number}")
    return names


def _folder(source: str) -> Path:
    """The folder of a source; its own name, not ``..``."""
    folder = Path(_without_address(source)).parent
    return folder if "://" in source else Path(os.path.abspath(folder))  # noqa: PTH100


def _with_folder(stem: str, folder: Path, owners: Mapping[str, Path]) -> str | None:
    """The first free of ``folder_stem``, ``outer_folder_stem`` and so on."""
    name = stem
    for outer in [folder, *folder.parents][:MAX_FOLDERS]:
        if not outer.name:
            return None
        name = clean_name(f"{outer.name}_{name}")
        owner = owners.get(name.casefold())
        if owner is None:
            return name
        # Another file of the same folder: no folder tells the two apart.
        if owner == folder:
            return None
    return None


def _stem(item: SourceItem) -> str:
    if item.kind == "camera":
        return f"camera_{item.name}"
    source = _without_address(item.name)
    # A process substitution has a number only.
    pipe = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", source)
    if pipe:
        return f"pipe_{pipe.group(1)}"
    if item.kind == "sequence":
        return _sequence_stem(Path(source))
    return clean_name(Path(source).stem) or "stream"


def _sequence_stem(path: Path) -> str:
    """A clip of images is called after its pattern, without the number, or after its folder."""
    folder = path if path.is_dir() else path.parent
    name = "" if path.is_dir() else re.sub(r"%0?\d*d|[*?]|\[.*?\]", "", path.stem)
    stem = name.strip("_-. ") or Path(os.path.abspath(folder)).name  # noqa: PTH100
    return clean_name(stem) or "sequence"


def _without_address(source: str) -> str:
    """The path of a URL, without its scheme and query, in letters instead of %20."""
    if "://" not in source:
        return source
    return unquote(source.split("://", 1)[-1].split("?")[0])


def clean_name(name: str) -> str:
    """Without characters that some file systems refuse, and not too long."""
    safe = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name)
    safe = "".join(c if c.isprintable() else "_" for c in safe)
    return safe.encode("utf-8", "replace")[:MAX_BYTES].decode("utf-8", "ignore")
