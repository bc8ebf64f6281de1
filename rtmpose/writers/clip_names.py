"""Names of files for clips, after their sources."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rtmpose.writers.clip import Clip
from rtmpose.writers.lab_options import title_of

UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
MAX_LETTERS = 60
FRAME_DIGITS = 6


def clip_names(clips: Sequence[Clip]) -> list[str]:
    """A different name for each clip, without suffix: that of its source, numbered where it is
    taken; names that differ only in case count as the same.
    """
    names: list[str] = []
    taken: set[str] = set()
    for clip in clips:
        name = plain = UNSAFE.sub("_", title_of(clip))[:MAX_LETTERS]
        number = 2
        while name.casefold() in taken:
            name = f"{plain}_{number}"
            number += 1
        taken.add(name.casefold())
        names.append(name)
    return names


def image_name(clip: Clip, name: str, frame: int) -> str:
    """The image of a frame: the source itself, or for a video ``NAME/000012.jpg``, as
    ``ffmpeg -i VIDEO -start_number 0 NAME/%06d.jpg`` writes them.
    """
    if clip.still:
        return clip.source.replace("\\", "/")
    return f"{name}/{frame:0{FRAME_DIGITS}d}.jpg"
