"""Where what is drawn of a source goes: a file in a folder, or a file that was named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rtmpose.errors import InputError
from rtmpose.sources import SourceItem
from rtmpose.writers.base import Writer, WriterContext
from rtmpose.writers.output_checks import FILE_SUFFIXES

DRAWN_IMAGES = (".jpg", ".jpeg", ".png")
DRAWN_VIDEOS = (".mp4",)
"""Ends of the names of files for what is drawn of one source."""


def is_drawn_file(path: Path, items: Sequence[SourceItem]) -> bool:
    """Whether the place for what is drawn is a file for the only source, instead of a folder.

    Args:
        path: What was asked for.
        items: All sources.

    Raises:
        InputError: it is a file's name that does not fit the sources.
    """
    suffix = path.suffix.lower()
    if suffix not in FILE_SUFFIXES or path.is_dir():
        return False
    # The name of a file is only clear for one source.
    if len({item.name for item in items}) > 1:
        raise InputError(
            f"--output {path} is the name of one file, but there are {len(items)} sources; give the"
            " name of a folder"
        )
    still = items[0].still
    if suffix not in (DRAWN_IMAGES if still else DRAWN_VIDEOS):
        kind, fitting = ("an image", DRAWN_IMAGES) if still else ("a video", DRAWN_VIDEOS)
        raise InputError(
            f"--output {path}: what is drawn of {kind} ends in {' or '.join(fitting)}; give such a"
            " name, or that of a folder"
        )
    return True


def annotated_writer(path: Path, context: WriterContext) -> Writer:
    """The writer of an annotated image or video."""
    from rtmpose.writers.image import ImageWriter
    from rtmpose.writers.video import VideoWriter

    return ImageWriter(path, context) if context.still else VideoWriter(path, context)
