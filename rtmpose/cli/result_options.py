"""Options of the commands that read results: whom of them, and which source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.errors import InputError
from rtmpose.ranges import SEQUENCE_FPS

if TYPE_CHECKING:
    from rtmpose.writers.clip import Clip

Results = Annotated[
    Path,
    typer.Argument(
        metavar="RESULTS",
        help=(
            "Results of `track` or `predict`: a .json, .jsonl, .csv or .parquet file, or a folder"
            " of --npz or --openpose."
        ),
        show_default=False,
    ),
]


@dataclass(frozen=True)
class ResultOptions:
    """What is taken of the results."""

    person: Annotated[
        list[int] | None,
        typer.Option(help="Number of a person to take; may be given again.", show_default=False),
    ] = None
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Source to take of several in the results: its path or its name; may be given"
            " again.",
            show_default=False,
        ),
    ] = None
    fps: Annotated[
        float | None,
        SEQUENCE_FPS,
        typer.Option(
            help="Frames per second of the video, where the results do not say it, or for slow"
            " motion those of the camera.",
            show_default=False,
        ),
    ] = None

    def read(self, path: Path) -> list[Clip]:
        """The clips that are meant.

        Raises:
            InputError: there is no such source or person.
        """
        from rtmpose.results import read_results

        clips = read_results(path)
        if self.source:
            names = self.source
            clips = [clip for clip in clips if _is_named(clip.source, names)]
            if not clips:
                raise InputError(f"there is no source {names[0]!r} in {path}")
        if self.person:
            clips = _of_people(clips, self.person)
        if self.fps:
            rate = self.fps
            clips = [replace(clip, fps=rate, times=clip.frames / rate) for clip in clips]
        return clips


def _of_people(clips: list[Clip], numbers: list[int]) -> list[Clip]:
    """The clips that show one of some people; ids of several sources have nothing in common."""
    missing = set(numbers) - {number for clip in clips for number in clip.person_ids}
    if missing:
        # Says which ids there are.
        return [clip.people(numbers) for clip in clips]
    kept = [(clip, [n for n in numbers if n in clip.person_ids]) for clip in clips]
    return [clip.people(those) for clip, those in kept if those]


def _is_named(source: str, names: list[str]) -> bool:
    path = PurePath(source.replace("\\", "/"))
    return any(name in (source, path.name, path.stem) for name in names)
