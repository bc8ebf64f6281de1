"""``rtmpose view``: a page that plays results."""

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


class VideoPlace(str, Enum):
    """As :class:`rtmpose.plots.media.Place` names them."""

    auto = "auto"
    embed = "embed"
    link = "link"


@dataclass(frozen=True)
class PageOptions:
    """What a page has, and how."""

    place: Annotated[
        VideoPlace,
        typer.Option(
            "--video-in",
            help="embed: within the page; link: the file where it is; auto: within the page up to"
            " 30 MB.",
        ),
    ] = VideoPlace.auto
    webm: Annotated[
        bool,
        typer.Option(
            "--webm",
            help="Make the video anew as WebM (VP9, at most 1280 pixels), for browsers without"
            " H.264; what no browser plays is made anew anyway.",
        ),
    ] = False
    kpt_thr: Annotated[
        float, KEYPOINT_SCORE, typer.Option(help="Points that score lower are hidden at first.")
    ] = 0.3


@expand_groups
def view(
    results: Results,
    taken: ResultOptions,
    page: PageOptions,
    video: Annotated[
        Path | None,
        typer.Argument(
            metavar="[VIDEO]",
            help="The video or image; left out: the source that the results name, if it is there.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A .html file, or a folder with a page of each source; left out: NAME_view.html"
            " next to the results.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Make a page that plays the video with skeletons and graphs.

    One file for any browser, on phones too, without a server or a network.

    Examples:
      rtmpose view walk.jsonl

      rtmpose view walk.jsonl walk.mp4 -o walk.html --video-in link

      rtmpose view walk.jsonl old_camera.avi -o walk.html
    """
    from rtmpose.plots.frame import source_file
    from rtmpose.plots.media import Place, media_of
    from rtmpose.plots.page import write_page
    from rtmpose.writers.clip_names import ClipNames

    if output is not None and output.suffix and output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{output} is no .html file and no folder")
    several, clips = are_several(taken.clips(results))
    if several and (video is not None or (output is not None and output.suffix)):
        raise InputError(
            f"{results} has several sources, and a page and a video belong to one: add"
            " --source, or name a folder for all pages"
        )
    target = output or next_to(results, "_view" if several else "_view.html")
    names = ClipNames()
    for clip in clips:
        name = names.name(clip)
        path = target if target.suffix else target / f"{name}.html"
        place = Place(page.place.value)
        media = media_of(
            clip, video or source_file(clip, results), path, place=place, webm=page.webm
        )
        write_page(clip, media, path, kpt_thr=page.kpt_thr)
        typer.echo(f"wrote {path}" + (f"; {media.words}" if media else "; without a video"))
    return 0
