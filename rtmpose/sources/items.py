"""What the user named, as a list of single sources."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rtmpose.errors import InputError
from rtmpose.sources.images import looks_like_image
from rtmpose.types import Image, check_image

Kind = Literal["image", "video", "camera", "stream", "array"]

IMAGE_ENDINGS = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".png",
        ".bmp",
        ".webp",
        ".tif",
        ".tiff",
        ".jp2",
        ".pgm",
        ".ppm",
        ".gif",
        ".avif",
    }
)
VIDEO_ENDINGS = frozenset(
    {
        ".mp4",
        ".avi",
        ".mov",
        ".mkv",
        ".webm",
        ".m4v",
        ".mpg",
        ".mpeg",
        ".wmv",
        ".flv",
        ".ts",
        ".3gp",
        ".mjpg",
        ".mjpeg",
    }
)


@dataclass(frozen=True, eq=False)
class SourceItem:
    """One source of frames.

    Attributes:
        name: Path, URL, camera index or ``array-0``, as text.
        kind: What it is.
        array: The pixels, for ``array``.
    """

    name: str
    kind: Kind
    array: Image | None = None

    @property
    def live(self) -> bool:
        """Whether frames are lost when they are not taken in time."""
        return self.kind in ("camera", "stream")


def expand_sources(sources: Sequence[Any]) -> list[SourceItem]:
    """Turn files, folders, glob patterns, camera indices, URLs and arrays into single sources, in
    order.

    Of a folder the images and videos directly in it are taken, in natural order (``2.jpg`` before
    ``10.jpg``).

    Raises:
        InputError: nothing is there under one of the names.
    """
    items: list[SourceItem] = []
    for source in sources:
        if isinstance(source, SourceItem):
            items.append(source)
        elif isinstance(source, np.ndarray):
            items.append(SourceItem(f"array-{len(items)}", "array", check_image(source)))
        elif isinstance(source, int) or (
            isinstance(source, str) and source.isdigit() and not Path(source).exists()
        ):
            items.append(SourceItem(str(source), "camera"))
        elif isinstance(source, str) and re.match(r"(rtsps?|rtmp|udp|tcp|https?)://", source):
            ending = Path(source.split("?")[0]).suffix.lower()
            items.append(SourceItem(source, "image" if ending in IMAGE_ENDINGS else "stream"))
        elif isinstance(source, str | Path):
            items += _from_path(source)
        else:
            raise InputError(
                f"a source is a path, URL, camera index or image array, not {type(source).__name__}"
            )
    if not items:
        raise InputError("no source was given")
    return items


def _from_path(source: str | Path) -> list[SourceItem]:
    path = Path(source)
    if path.is_dir():
        inside = sorted(
            (
                p
                for p in path.iterdir()
                if p.is_file() and p.suffix.lower() in IMAGE_ENDINGS | VIDEO_ENDINGS
            ),
            key=_natural,
        )
        if not inside:
            raise InputError(f"the folder {path} holds no image or video")
        return [_file(p) for p in inside]
    if path.exists():
        return [_file(path)]
    if glob.has_magic(str(source)):
        found = sorted((Path(p) for p in glob.glob(str(source), recursive=True)), key=_natural)  # noqa: PTH207
        if not found:
            raise InputError(f"nothing matches {source}")
        return [_file(p) for p in found if p.is_file()]
    raise InputError(f"{path} does not exist")


def _file(path: Path) -> SourceItem:
    """Image or video: by the first bytes, else by the ending; what is neither is left to the image
    reader to name.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        head = b""
    is_video = not looks_like_image(head) and (
        path.suffix.lower() in VIDEO_ENDINGS or _looks_like_video(head)
    )
    return SourceItem(str(path), "video" if is_video else "image")


def _looks_like_video(head: bytes) -> bool:
    return (
        (head[:4] == b"RIFF" and head[8:11] == b"AVI")
        or head[4:8] == b"ftyp"
        or head[:4] == b"\x1aE\xdf\xa3"
        or head[:3] == b"FLV"
    )


def _natural(path: Path) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdigit() else (-1, part)
        for part in re.split(r"(\d+)", str(path).lower())
    ]
