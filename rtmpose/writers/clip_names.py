"""Names of files for clips, after their sources."""

from __future__ import annotations

import re

from rtmpose.writers.clip import Clip
from rtmpose.writers.lab_options import title_of

UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
MAX_LETTERS = 60
FRAME_DIGITS = 6


class ClipNames:
    """Gives every clip a name of its own, without suffix: that of its source, numbered where it is
    taken; names that differ only in case count as the same.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def name(self, clip: Clip) -> str:
        """The name of the next clip."""
        name = plain = UNSAFE.sub("_", title_of(clip))[:MAX_LETTERS]
        # Of thousands with one name, counting goes on where it was.
        number = self._next.get(plain.casefold(), 2)
        while name.casefold() in self._taken:
            name = f"{plain}_{number}"
            number += 1
        self._next[plain.casefold()] = number
        self._taken.add(name.casefold())
        return name


def image_name(clip: Clip, name: str, frame: int) -> str:
    """The image of a frame: the source itself, or for a video ``NAME/000012.jpg``, as
    ``ffmpeg -i VIDEO -start_number 0 NAME/%06d.jpg`` writes them.
    """
    if clip.still:
        return clip.source.replace("\\", "/")
    return f"{name}/{frame:0{FRAME_DIGITS}d}.jpg"
