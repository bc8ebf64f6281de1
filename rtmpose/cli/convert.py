"""``rtmpose convert``: results in the formats of labs and labeling tools."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli.groups import expand_groups
from rtmpose.cli.result_options import ResultOptions, SeveralResults, next_to
from rtmpose.errors import InputError
from rtmpose.ranges import FINITE, KEYPOINT_SCORE, METERS_PER_PIXEL
from rtmpose.writers.lab_table import CONVERTED, lab_format

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtmpose.writers.clip import Clip


@dataclass(frozen=True)
class FormatOptions:
    """What the formats are told that results do not say."""

    meters_per_pixel: Annotated[
        float | None,
        METERS_PER_PIXEL,
        typer.Option(
            help="Length of a pixel, for trc, c3d and bids-motion in meters (c3d: mm) with y up;"
            " left out: pixels with y down.",
            show_default=False,
        ),
    ] = None
    floor_y: Annotated[
        float | None,
        FINITE,
        typer.Option(
            help="Row of the image that is height 0 in meters; left out: its lower border.",
            show_default=False,
        ),
    ] = None
    session_start: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="For nwb: when the recording began, such as 2026-05-31T14:30:00+02:00; left out:"
            " the time of the video file.",
        ),
    ] = ""
    subject: Annotated[
        str,
        typer.Option(
            metavar="ID",
            help="For nwb: id of the subject; left out: the numbers of the people.",
        ),
    ] = ""
    age: Annotated[
        str, typer.Option(help="For nwb: age of the subject, such as P25Y (25 years).")
    ] = ""
    scorer: Annotated[str, typer.Option(help="For deeplabcut: the name in the row 'scorer'.")] = (
        "rtmpose"
    )
    task: Annotated[str, typer.Option(help="For bids-motion: what people did, in one word.")] = (
        "video"
    )


@expand_groups
def convert(
    results: SeveralResults,
    taken: ResultOptions,
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help=f"One of {', '.join(row.name for row in CONVERTED)}.",
            show_default=False,
        ),
    ],
    said: FormatOptions,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A file for one person or clip, or a folder; left out: next to the results.",
            show_default=False,
        ),
    ] = None,
    kpt_thr: Annotated[
        float,
        KEYPOINT_SCORE,
        typer.Option(help="Points that score lower become missing; 0 keeps all."),
    ] = 0.0,
) -> int:
    """Write results in the format of another program.

    Every format is described in docs/labs.md: who reads it, units, what is missing, how frames
    count.

    Examples:
      rtmpose convert walk.jsonl --to trc -o trc --meters-per-pixel 0.0042

      rtmpose convert walk.jsonl --to nwb -o walk.nwb --person 1

      rtmpose convert clips.parquet --to movement -o movement

      rtmpose convert photos.json --to coco -o annotations.json --kpt-thr 0.3

      rtmpose convert walk.jsonl --to jsonl -o corrected.jsonl --swap-ids 1,2@350
    """
    from rtmpose.writers.convert import check_name, convert_clips
    from rtmpose.writers.lab_options import LabOptions

    # Settings first: a mistake should not cost the reading of a large file.
    row = lab_format(to, CONVERTED)
    row.check_installed()
    options = LabOptions(**vars(said))
    target = output or _default_output(results, row.name)
    check_name(target, row)

    # One clip after the other: a data set may be larger than the memory.
    clips: Iterable[Clip] = taken.clips(*results)
    if kpt_thr:
        clips = (clip.without_points_below(kpt_thr) for clip in clips)
    convert_clips(clips, row, target, options, sources=results, on_written=_tell)
    return 0


def _tell(path: Path) -> None:
    typer.echo(f"wrote {path}")


def _default_output(results: list[Path], name: str) -> Path:
    """A folder next to the results, called after them and the format."""
    if len(results) > 1:
        raise InputError("name the output of several results with -o")
    return next_to(results[0], f"_{name}")
