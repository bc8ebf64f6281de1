"""Files, folders, patterns, cameras and URLs as a list of single sources."""

from __future__ import annotations

import difflib
import glob
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np

from rtmpose.errors import InputError
from rtmpose.shown_names import shown_name, without_password
from rtmpose.sources.cameras import CameraSettings
from rtmpose.sources.folders import matches, media_in_folder, without_heic
from rtmpose.sources.kinds import Kind, is_camera_device, is_url, kind_of_file, kind_of_url
from rtmpose.sources.pipes import STANDARD_INPUT, is_pipe, spooled
from rtmpose.sources.sequences import (
    SEQUENCE_FPS,
    NumberedFiles,
    counted_files,
    has_counter,
    is_animation,
    numbered,
)
from rtmpose.sources.skipped import SkippedFiles
from rtmpose.types import Frame, Image, check_image

FILE_URL = "file://"
STDIN = "stdin"
"""Name of what comes through standard input."""
MAX_FPS = 1000
MAX_NAME = 255
"""Bytes of a file name on all common file systems."""
LOOKED_AT = 2000
"""Files of a folder among which the name that was meant is looked for."""


@dataclass(frozen=True, eq=False)
class SourceItem:
    """One source of frames.

    Attributes:
        name: Path, URL, camera index or ``array-0``, as text; a URL without its password.
        kind: What it is.
        array: The pixels, for ``array``.
        start_s: Seconds skipped at the start of a video or stream.
        end_s: Second at which it stops; None for its end.
        limit: Maximum number of frames taken; None for all.
        flip: Mirror the frames left to right.
        frames: Frames that are given one after the other, instead of a name to open.
        strict: Refuse images with damaged pixels.
        content: The file with the content of a pipe.
        files: Number and file of each frame, for ``sequence``.
        fps: Frames per second, for ``sequence``; pages per second, for ``animation``.
        camera: What is asked of a camera; None for its defaults.
        address: The URL with its password; None where the name is all of it.
    """

    name: str
    kind: Kind
    array: Image | None = None
    start_s: float = 0.0
    end_s: float | None = None
    limit: int | None = None
    flip: bool = False
    frames: Iterator[Frame] | None = None
    camera: CameraSettings | None = None
    strict: bool = False
    content: Path | None = None
    files: NumberedFiles = ()
    fps: float | None = None
    address: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The URL that is opened."""
        return self.address or self.name

    @property
    def path(self) -> Path:
        """The file that is read."""
        return self.content or Path(self.name)

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
    strict: bool = False,
    recursive: bool = False,
    sequence: bool = False,
    fps: float = SEQUENCE_FPS,
    skipped: SkippedFiles | None = None,
    camera: CameraSettings | None = None,
) -> list[SourceItem]:
    """Turn files, folders, glob patterns, camera indices, URLs and arrays into single sources, in
    order.

    Of a folder the images and videos directly in it are taken, in natural order (``2.jpg`` before
    ``10.jpg``). A pipe, or ``-`` for standard input, is read to its end. A name with a place for a
    number (``frame_%04d.png``) is a clip of numbered images.

    Args:
        sources: What the user named; a :class:`SourceItem` is taken as it is.
        start_s: Seconds skipped at the start of each video.
        end_s: Second at which each video stops.
        limit: Maximum number of frames taken of each source.
        flip: Mirror the frames left to right.
        strict: Refuse images with damaged pixels, which are read with a warning otherwise.
        recursive: Take the folders in a folder too.
        sequence: Take the images of each folder or pattern as one clip.
        fps: Frames per second of such clips, and of the pages of a TIFF.
        skipped: Gets the files of folders that are not taken.
        camera: What is asked of each camera.

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
    if not 0 < fps <= MAX_FPS:
        raise InputError(f"a sequence has more than 0 and up to {MAX_FPS} fps, not {fps}")

    how = _Expansion(recursive, sequence, fps, skipped or SkippedFiles())
    items: list[SourceItem] = []
    for source in sources:
        if isinstance(source, SourceItem):
            items.append(source)
            continue
        found = _items_of(source, len(items), how)
        items += [
            replace(
                item,
                start_s=start_s,
                end_s=end_s,
                limit=limit,
                flip=flip,
                camera=camera,
                strict=strict,
            )
            for item in found
        ]
    if not items:
        raise InputError("no source was given")
    return items


@dataclass(frozen=True)
class _Expansion:
    """How folders and patterns are taken."""

    recursive: bool = False
    sequence: bool = False
    fps: float = SEQUENCE_FPS
    skipped: SkippedFiles = field(default_factory=SkippedFiles)

    @property
    def words(self) -> list[str]:
        """What was found instead of images."""
        return self.skipped.lines()


def _items_of(source: object, number: int, how: _Expansion) -> list[SourceItem]:
    """The single sources behind one name; ``number`` names an array."""
    if isinstance(source, np.ndarray):
        return [SourceItem(f"array-{number}", "array", check_image(source))]
    # A number is a camera, unless a file has that name.
    if isinstance(source, int) or (
        isinstance(source, str) and source.isdecimal() and not os.path.lexists(source)
    ):
        return [SourceItem(str(source), "camera")]
    # As browsers and file managers hand it over.
    if isinstance(source, str) and source.startswith(FILE_URL):
        source = url2pathname(urlsplit(source).path)
    if isinstance(source, str) and is_url(source):
        name = without_password(source)
        address = None if name == source else source
        return [SourceItem(name, kind_of_url(source), address=address)]
    if isinstance(source, str | Path) and is_camera_device(source):
        return [SourceItem(str(source), "camera")]
    if isinstance(source, str | Path):
        return _from_path(source, how)
    raise InputError(
        f"a source is a path, URL, camera index or image array, not {type(source).__name__}"
    )


def _from_path(source: str | Path, how: _Expansion) -> list[SourceItem]:
    path = _at_home(Path(source))
    name = str(source) if path == Path(source) else str(path)
    shown = shown_name(name)
    if is_pipe(path):
        return [_piped(path, how)]

    # A folder: what it holds.
    if _is_folder(path):
        files = media_in_folder(path, recursive=how.recursive, skipped=how.skipped)
        if not files:
            hint = [] if how.recursive else ["--recursive takes the folders in it too"]
            words = [f"the folder {shown} holds no image or video", *hint, *how.words]
            raise InputError("; ".join(words))
        return _files(name, files, how)

    # A file may have brackets in its name, so it is looked for before patterns.
    if os.path.lexists(path):
        return [_file(path, how)]
    if has_counter(name):
        return [SourceItem(name, "sequence", files=counted_files(name), fps=how.fps)]
    if glob.has_magic(name):
        files = without_heic(matches(name), how.skipped)
        if not files:
            raise InputError("; ".join([f"nothing matches {shown}", *how.words]))
        return _files(name, files, how)
    if len(os.fsencode(path.name)) > MAX_NAME:
        raise InputError(f"{shown} does not exist: the name is longer than file systems allow")
    raise InputError(f"{shown} does not exist{_near(name)}")


def _near(name: str) -> str:
    """What was meant by a name that does not exist, as far as that is plain; in words."""
    bare = name.strip(" \t\r\n\"'\u201c\u201d")
    if bare != name and bare and os.path.lexists(bare):
        return f": there are quotes or spaces around it; did you mean {shown_name(bare)}?"
    # Another case, or a slip in the file's name.
    folder = Path(bare).parent
    try:
        there = [path.name for path in islice(folder.iterdir(), LOOKED_AT)]
    except (OSError, ValueError):
        return ""
    lower = {entry.lower(): entry for entry in there}
    close = difflib.get_close_matches(Path(bare).name.lower(), lower, n=1, cutoff=0.8)
    return f"; did you mean {shown_name(str(folder / lower[close[0]]))}?" if close else ""


def _files(name: str, files: Sequence[Path], how: _Expansion) -> list[SourceItem]:
    """The files behind one name: each a source, or all together one clip."""
    if not how.sequence:
        return [_file(path, how) for path in files]
    images = [path for path in files if kind_of_file(path) == "image"]
    if not images:
        raise InputError(f"{shown_name(name)} holds no image to make a sequence of")
    for path in set(files) - set(images):
        how.skipped.add(path, "not an image of the sequence")
    return [SourceItem(name, "sequence", files=numbered(images), fps=how.fps)]


def _file(path: Path, how: _Expansion) -> SourceItem:
    kind = kind_of_file(path)
    if kind == "image" and is_animation(path):
        return SourceItem(str(path), "animation", fps=how.fps)
    return SourceItem(str(path), kind)


def _piped(path: Path, how: _Expansion) -> SourceItem:
    """What comes through a pipe, by its content, as it has no suffix."""
    content = spooled(path)
    name = STDIN if str(path) == STANDARD_INPUT else str(path)
    return replace(_file(content, how), name=name, content=content)


def _at_home(path: Path) -> Path:
    """With the home folder for ``~``, which shells leave in quotes."""
    if not path.parts or not path.parts[0].startswith("~") or os.path.lexists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        return path  # nobody of that name


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False  # a name that cannot be one
