"""Image files as the frames of one clip: folders, patterns, numbered names, animations."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.shown_names import shown_name
from rtmpose.sources.images import read_file, read_image
from rtmpose.sources.pillow_images import decode_frames, frame_count, is_avif
from rtmpose.sources.webp import is_webp
from rtmpose.types import Frame

log = logging.getLogger(__name__)

SEQUENCE_FPS = 30.0
"""Frames per second of numbered images, where nothing else is said."""
HEAD = 4096
"""Bytes in which an animated PNG says that it is one."""

NumberedFiles = tuple[tuple[int, Path], ...]


def has_counter(name: str) -> bool:
    """Whether a name has a place for a number, such as ``frame_%04d.png``."""
    return re.search(r"%0?\d*d", name) is not None


def counted_files(name: str) -> NumberedFiles:
    """The files of a name with a place for a number, and their numbers.

    Raises:
        InputError: there are none.
    """
    path = Path(name)
    parts = re.split(r"%(0?)(\d*)d", path.name, maxsplit=1)
    before, zeros, width, after = parts
    digits = rf"\d{{{int(width)},}}" if zeros and width else r"\d+"
    wanted = re.compile(re.escape(before) + f"({digits})" + re.escape(after))
    try:
        found = [(match, p) for p in path.parent.iterdir() if (match := wanted.fullmatch(p.name))]
    except OSError:
        found = []
    if not found:
        raise InputError(f"nothing matches {shown_name(name)}")
    return tuple(sorted((int(match.group(1)), p) for match, p in found))


def numbered(files: Sequence[Path]) -> NumberedFiles:
    """Files in order with the number of each frame: the last one in its name.

    They are counted from 0 where not all names have a number of their own.
    """
    numbers = [_last_number(path.stem) for path in files]
    known = [number for number in numbers if number is not None]
    if len(known) == len(files) and known == sorted(set(known)):
        return tuple(zip(known, files, strict=True))
    return tuple(enumerate(files))


def sequence_frames(
    name: str, files: NumberedFiles, fps: float, *, strict: bool
) -> Iterator[Frame]:
    """The frames of a clip that is a number of images; missing numbers stay gaps.

    An image that cannot be read is left out with a warning.

    Args:
        name: Names the clip.
        files: The number and file of each frame.
        fps: Frames per second; the first frame is at 0 s.
        strict: Refuse images that are damaged or cannot be read.

    Raises:
        InputError: none of them can be read.
    """
    count = 0
    last_error: InputError | None = None
    for number, path in files:
        try:
            image = read_image(path, strict=strict)
        except InputError as error:
            if strict:
                raise
            log.warning("%s; the frame is left out", error)
            last_error = error
            continue
        yield Frame(image, number, (number - files[0][0]) / fps, name)
        count += 1
    if not count:
        raise InputError(f"no image of {shown_name(name)} can be read") from last_error


def is_animation(path: Path) -> bool:
    """Whether an image file holds several frames: animated GIF, WebP, PNG or AVIF, or a TIFF with
    several pages.
    """
    # By the first bytes, which tell almost all files apart; the others are opened.
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    if is_webp(head):
        return head[12:16] == b"VP8X" and bool(head[20] & 2)
    if head.startswith(b"\x89PNG"):
        return b"acTL" in head.split(b"IDAT")[0]
    if head.startswith((b"GIF8", b"II*\0", b"MM\0*")) or (is_avif(head) and head[8:12] == b"avis"):
        return frame_count(path.read_bytes(), str(path)) > 1
    return False


def animation_frames(name: str, path: Path, page_fps: float) -> Iterator[Frame]:
    """The frames of an animated image, at the times that its delays say.

    Args:
        name: Names it.
        path: The file.
        page_fps: Pages per second of a TIFF, which knows no time.
    """
    data = read_file(path)
    for index, (image, seconds) in enumerate(decode_frames(data, shown_name(name), page_fps)):
        yield Frame(image, index, seconds, name)


def _last_number(stem: str) -> int | None:
    digits = re.findall(r"[0-9]+", stem)
    return int(digits[-1]) if digits else None
