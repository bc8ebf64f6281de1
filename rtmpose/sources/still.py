"""Frames of everything that is no video: images, arrays, image sequences, animations."""

from __future__ import annotations

from collections.abc import Iterator

from rtmpose.sources.images import decode_image, read_file
from rtmpose.sources.items import SourceItem
from rtmpose.sources.sequences import SEQUENCE_FPS, animation_frames, sequence_frames
from rtmpose.types import Frame

IMAGE_KINDS = ("image", "array", "sequence", "animation")


def image_frames(item: SourceItem) -> Iterator[Frame]:
    """The frames of a source of one of these :data:`IMAGE_KINDS`.

    Raises:
        InputError: it cannot be read.
    """
    fps = item.fps or SEQUENCE_FPS
    if item.array is not None:
        yield Frame(item.array, source=item.name)
    elif item.kind == "sequence":
        yield from sequence_frames(item.name, item.files, fps, strict=item.strict)
    elif item.kind == "animation":
        yield from animation_frames(item.name, item.path, fps)
    else:
        # A copy of what lies elsewhere is told by the name of that.
        name = str(item.path) if item.content is None else item.name
        image = decode_image(read_file(item.path), name, strict=item.strict)
        yield Frame(image, source=item.name)
