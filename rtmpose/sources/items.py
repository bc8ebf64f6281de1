"""Files, folders, patterns, cameras and URLs as a list of single sources."""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtmpose.errors import InputError
from rtmpose.sources.kinds import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Kind,
    is_url,
    kind_of_file,
    kind_of_url,
)
from rtmpose.types import Frame, Image, check_image


@dataclass(frozen=True, eq=False)
class SourceItem:
    """One source of frames.

    Attributes:
        name: Path, URL, camera index or ``array-0``, as text.
        kind: What it is.
        array: The pixels, for ``array``.
        start_s: Seconds skipped at the start of a video or stream.
        end_s: Second at which it stops; None for its end.
        limit: Maximum number of frames taken; None for all.
        flip: Mirror the frames left to right.
        frames: Frames that are given one after the other, instead of a name to open.
    """

    name: str
    kind: Kind
    array: Image | None = None
    start_s: float = 0.0
    end_s: float | None = None
    limit: int | None = None
    flip: bool = False
    frames: Iterator[Frame] | None = None

    @property
    def still(self) -> bool:
        """Whether it is a single image."""
        return self.kind in ("image", "array")

    @property
    def live(self) -> bool:
        """Whether frames are lost when they are not taken in time."""
        return self.kind in ("camera", "stream")


def expand_sources(
    sources: Sequence[object],
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    limit: int | None = None,
    flip: bool = False,
) -> list[SourceItem]:
    """Turn files, folders, glob patterns, camera indices, URLs and arrays into single sources, in
    order.

    Of a folder the images and videos directly in it are taken, in natural order (``2.jpg`` before
    ``10.jpg``).

    Args:
        sources: What the user named; a :class:`SourceItem` is taken as it is.
        start_s: Seconds skipped at the start of each video.
        end_s: Second at which each video stops.
        limit: Maximum number of frames taken of each source.
        flip: Mirror the frames left to right.

    Raises:
        InputError: one of the names does not exist, or the range of time is empty.
    """
    # The range holds for all sources.
    if not 0 <= start_s < math.inf:
        raise InputError(f"the start must be 0 or more seconds, not {start_s}")
    if end_s is not None and not end_s > start_s:
        raise InputError(f"the end ({end_s} s) must be later than the start ({start_s} s)")
    if limit is not None and limit < 1:
        raise InputError(f"limit must be 1 or more frames, not {limit}")

    items: list[SourceItem] = []
    for source in sources:
        if isinstance(source, SourceItem):
            items.append(source)
            continue
        found = _items_of(source, len(items))
        items += [replace(i, start_s=start_s, end_s=end_s, limit=limit, flip=flip) for i in found]
    if not items:
        raise InputError("no source was given")
    return items


def _items_of(source: object, number: int) -> list[SourceItem]:
    """The single sources behind one name; ``number`` names an array."""
    if isinstance(source, np.ndarray):
        return [SourceItem(f"array-{number}", "array", check_image(source))]
    # A number is a camera, unless a file has that name.
    if isinstance(source, int) or (
        isinstance(source, str) and source.isdigit() and not Path(source).exists()
    ):
        return [SourceItem(str(source), "camera")]
    if isinstance(source, str) and is_url(source):
        return [SourceItem(source, kind_of_url(source))]
    if isinstance(source, str | Path):
        return _from_path(source)
    raise InputError(
        f"a source is a path, URL, camera index or image array, not {type(source).__name__}"
    )


def _from_path(source: str | Path) -> list[SourceItem]:
    path = Path(source)
    # A folder: what it directly holds.
    if path.is_dir():
        inside = sorted(
            (
                p
                for p in path.iterdir()
                if p.is_file() and p.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES
            ),
            key=_natural,
        )
        if not inside:
            raise InputError(f"the folder {path} holds no image or video")
        return [_file(p) for p in inside]

    # A file may have brackets in its name, so it is looked for before patterns.
    if path.exists():
        return [_file(path)]
    if glob.has_magic(str(source)):
        matches = glob.glob(str(source), recursive=True)  # noqa: PTH207
        found = sorted((Path(name) for name in matches), key=_natural)
        if not found:
            raise InputError(f"nothing matches {source}")
        return [_file(p) for p in found if p.is_file()]
    raise InputError(f"{path} does not exist")


def _file(path: Path) -> SourceItem:
    return SourceItem(str(path), kind_of_file(path))


def _natural(path: Path) -> list[tuple[int, str]]:
    # Numbers compare as numbers; text gets -1, so that the two can be compared.
    return [
        (int(part), "") if part.isdigit() else (-1, part)
        for part in re.split(r"(\d+)", str(path).lower())
    ]
