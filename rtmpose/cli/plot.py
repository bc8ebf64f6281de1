"""``rtmpose plot``: pictures of results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from rtmpose.cli.groups import expand_groups
from rtmpose.cli.result_options import ResultOptions, Results, are_several, next_to
from rtmpose.errors import InputError
from rtmpose.ranges import KEYPOINT_SCORE


class Kind(str, Enum):
    """As :data:`rtmpose.plots.results.KINDS` names them."""

    all = "all"
    trajectories = "trajectories"
    people = "people"
    speeds = "speeds"
    scores = "scores"


@dataclass(frozen=True)
class DrawnOptions:
    """What is drawn."""

    kind: Annotated[Kind, typer.Option(help="What to draw.")] = Kind.all
    point: Annotated[
        list[str] | None,
        typer.Option(
            help="Keypoint whose speed is drawn; may be given again; left out: wrists and ankles.",
            show_default=False,
        ),
    ] = None
    kpt_thr: Annotated[
        float, KEYPOINT_SCORE, typer.Option(help="Points that score lower are not used.")
    ] = 0.3


@expand_groups
def plot(
    results: Results,
    taken: ResultOptions,
    drawn: DrawnOptions,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A .png, .svg or .pdf file, or a folder with a picture of each source; left out:"
            " NAME_plot.png next to the results.",
            show_default=False,
        ),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(
            help="Video or image to draw the trajectories over; left out: the source itself, if it"
            " is there.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Draw trajectories, a time line of people, speeds and scores.

    Needs the extra `plot`.

    Examples:
      rtmpose plot walk.jsonl

      rtmpose plot walk.jsonl -o walk.svg --kind speeds --point left_wrist

      rtmpose plot clips.parquet -o pictures
    """
    from rtmpose.plots.figures import check_picture
    from rtmpose.plots.frame import background
    from rtmpose.plots.results import overview, plot_results

    check_picture(output or next_to(results, "_plot.png"))
    several, clips = are_several(taken.clips(results))
    if video is not None and several:
        raise InputError("--video belongs to one source, and there are several: add --source")
    target = output or next_to(results, "_plot" if several else "_plot.png")
    needs_frame = drawn.kind in (Kind.all, Kind.trajectories)
    # One after the other, as each holds a frame.
    views = (
        overview(
            clip,
            kpt_thr=drawn.kpt_thr,
            points=drawn.point or (),
            image=background(clip, video, results) if needs_frame else None,
        )
        for clip in clips
    )
    for path in plot_results(views, target, drawn.kind.value):
        typer.echo(f"wrote {path}")
    return 0
