"""``rtmpose angles``: joint and segment angles from results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli.groups import expand_groups
from rtmpose.cli.result_options import ResultOptions, Results, are_several, next_to
from rtmpose.ranges import COUNT_OR_ZERO, KEYPOINT_SCORE, POSITIVE, Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rtmpose.kinematics.angles import AngleOptions
    from rtmpose.kinematics.clips import ClipAngles, MeterSettings
    from rtmpose.plots.angles import AnglePictures
    from rtmpose.writers.clip import Clip

HEIGHT = Range(0, 100, above=True)
MEASURE = "Meters"


class Filter(str, Enum):
    """As :data:`rtmpose.kinematics.angles.FILTERS` names them."""

    butterworth = "butterworth"
    none = "none"


class FacingSide(str, Enum):
    """As :data:`rtmpose.kinematics.facing.FACINGS` names them."""

    auto = "auto"
    right = "right"
    left = "left"


@dataclass(frozen=True)
class MeterOptions:
    """What makes meters of pixels."""

    height_m: Annotated[
        float | None,
        HEIGHT,
        typer.Option(
            help="Height of the person in meters; of several people, of the one seen longest.",
            show_default=False,
            rich_help_panel=MEASURE,
        ),
    ] = None
    length: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,METERS",
            help="Two keypoints and their distance in meters, such as left_knee,left_ankle,0.42.",
            show_default=False,
            rich_help_panel=MEASURE,
        ),
    ] = None
    floor: Annotated[
        str,
        typer.Option(
            metavar="X1,Y1,X2,Y2|auto|none",
            help="Two points of the floor in pixels; angles of segments are then measured from it."
            " auto: a line through feet at rest.",
            rich_help_panel=MEASURE,
        ),
    ] = "none"


@dataclass(frozen=True)
class PointOptions:
    """Which points are used, and how they are made smooth."""

    kpt_thr: Annotated[
        float, KEYPOINT_SCORE, typer.Option(help="Points that score lower are not used.")
    ] = 0.3
    filter: Annotated[
        Filter,
        typer.Option(help="Low-pass filter of the points: order 4, without lag."),
    ] = Filter.butterworth
    cutoff: Annotated[float, POSITIVE, typer.Option(help="Cut-off frequency in Hz.")] = 6.0
    gap: Annotated[
        int,
        COUNT_OR_ZERO,
        typer.Option(help="Frames of the longest gap of a point that is filled by a line."),
    ] = 10
    facing: Annotated[
        FacingSide, typer.Option(help="Which way people face; auto: see docs/angles.md.")
    ] = FacingSide.auto

    def options(self) -> AngleOptions:
        """As the measurement takes them."""
        from rtmpose.kinematics.angles import AngleOptions

        return AngleOptions(
            self.kpt_thr, self.gap, self.filter.value, self.cutoff, self.facing.value
        )


@expand_groups
def angles(
    results: Results,
    taken: ResultOptions,
    meters: MeterOptions,
    points: PointOptions,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A .csv or .parquet table of everybody, a .mot file of one person, or a folder"
            " with a .mot file of each; left out: NAME_angles.csv next to the results.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Picture of the angles over time as well: .png, .svg or .pdf; a folder for several"
            " sources. Needs the extra `plot`.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Measure joint and segment angles of people over time.

    Angles are in degrees, in the plane of the image: film people from the side. docs/angles.md has
    the definitions.

    Examples:
      rtmpose angles walk.jsonl

      rtmpose angles walk.jsonl -o walk.mot --person 1 --cutoff 8

      rtmpose angles walk.jsonl -o walk.parquet --plot walk.png --height-m 1.78 --floor auto
    """
    from rtmpose.kinematics.clips import MeterSettings
    from rtmpose.kinematics.files import check_angles_path, write_angles

    # Settings first: a mistake should not cost the reading of a large file.
    options = points.options()
    settings = MeterSettings.parsed(meters.height_m, meters.length, meters.floor)
    target = output or next_to(results, "_angles.csv")
    check_angles_path(target, results)
    pictures = None if plot is None else _pictures(plot)
    several, clips = are_several(taken.clips(results))
    if pictures is not None:
        pictures.check(several=several)

    # One source after the other: a data set may be larger than the memory.
    written = write_angles(_measured(clips, options, settings, pictures), target, options)
    for path in [*written, *(pictures.written if pictures else [])]:
        typer.echo(f"wrote {path}")
    return 0


def _pictures(path: Path) -> AnglePictures:
    from rtmpose.plots.angles import AnglePictures
    from rtmpose.plots.figures import check_picture

    check_picture(path)
    return AnglePictures(path)


def _measured(
    clips: Iterable[Clip],
    options: AngleOptions,
    settings: MeterSettings,
    pictures: AnglePictures | None,
) -> Iterator[ClipAngles]:
    """The angles of clips one after the other, told and drawn."""
    from rtmpose.kinematics.clips import clip_angles

    for clip in clips:
        found = clip_angles(clip, options, settings)
        for note in found.notes:
            typer.echo(note)
        if pictures is not None:
            pictures.draw(found)
        yield found
