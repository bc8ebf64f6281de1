"""Options of the commands that read results: whom of them, and which source."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.errors import InputError
from rtmpose.ranges import SEQUENCE_FPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rtmpose.writers.clip import Clip

SHOWN = 10
"""Sources that an error names."""

OTHERS = (
    "those of other programs: OpenPose's folders, DeepLabCut's .csv and .h5, SLEAP's .slp and"
    " analysis .h5, movement's .nc, .trc"
)

Results = Annotated[
    Path,
    typer.Argument(
        metavar="RESULTS",
        help=(
            "Results of `track` or `predict`: a .json, .jsonl, .csv or .parquet file, or a folder"
            f" of them, of --npz, --openpose or `batch`; {OTHERS}."
        ),
        show_default=False,
    ),
]


SeveralResults = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULTS",
        help=(
            "Results of `predict` or `track`: .json, .jsonl, .csv or .parquet files, or folders"
            f" of them, of --npz, --openpose or `batch`; {OTHERS}."
        ),
        show_default=False,
    ),
]

IDS = "Correcting ids"


@dataclass(frozen=True)
class ResultOptions:
    """What is taken of the results, and what is corrected in them."""

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
    swap_ids: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B[@FRAME]",
            help="Swap two people, from a frame on; may be given again, and is done first.",
            show_default=False,
            rich_help_panel=IDS,
        ),
    ] = None
    merge_ids: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B,...",
            help="Ids that are one person, who gets the first of them; may be given again.",
            show_default=False,
            rich_help_panel=IDS,
        ),
    ] = None
    drop_ids: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,...",
            help="People to leave out; may be given again. --person keeps chosen ones only.",
            show_default=False,
            rich_help_panel=IDS,
        ),
    ] = None

    def clips(self, *paths: Path) -> Iterator[Clip]:
        """The clips that are meant, read one after the other.

        Raises:
            InputError: there are no such results, or in them no such source, person or frame.
        """
        from rtmpose.results import Results
        from rtmpose.results.identities import IdCorrections
        from rtmpose.writers.convert import with_people

        clips: Iterable[Clip] = Results(*paths)
        if self.source:
            clips = _with_sources(clips, self.source)
        corrections = IdCorrections.parsed(
            self.swap_ids or (), self.merge_ids or (), self.drop_ids or ()
        )
        if corrections:
            clips = corrections.of_only(clips)
        if self.person:
            clips = with_people(clips, self.person)
        rate = self.fps
        if rate:
            clips = (clip.at_rate(rate) for clip in clips)
        yield from clips


def are_several(clips: Iterable[Clip]) -> tuple[bool, Iterator[Clip]]:
    """Whether there is more than one clip, and all of them."""
    rest = iter(clips)
    first = list(islice(rest, 2))
    return len(first) > 1, chain(first, rest)


def _with_sources(clips: Iterable[Clip], names: list[str]) -> Iterator[Clip]:
    """The clips of the sources that were asked for."""
    missing = dict.fromkeys(names)
    known: list[str] = []
    for clip in clips:
        found = [name for name in names if _is_named(clip.source, name)]
        known.append(clip.source)
        for name in found:
            missing.pop(name, None)
        if found:
            yield clip
    if missing:
        raise InputError(_no_source(next(iter(missing)), known))


def next_to(results: Path, end: str) -> Path:
    """A path next to the results, called after them; the current folder has a name too."""
    path = results
    if path.name in ("", ".."):
        path = Path(os.path.abspath(path))  # noqa: PTH100 (links stay)
    stem = path.stem if path.is_file() else path.name
    return path.with_name(f"{stem}{end}")


def _no_source(name: str, known: list[str]) -> str:
    """What is said of a name that is no source: those like it, or the first there are."""
    names = list(dict.fromkeys(PurePath(source.replace("\\", "/")).name for source in known))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.7)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    hint = f"there are {', '.join(names[:SHOWN])}{more}"
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    return f"there is no source {name!r} in the results; {hint}"


def _is_named(source: str, name: str) -> bool:
    path = PurePath(source.replace("\\", "/"))
    return name in (source, path.name, path.stem)
