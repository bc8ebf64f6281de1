"""Options of the commands that read annotated data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Annotated data"

AnnotationFormat = Annotated[
    str,
    typer.Option(
        help=(
            "Format of the annotations; auto recognizes almost all. `rtmpose data formats` lists"
            " them."
        ),
        rich_help_panel=PANEL,
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        help="Folder that the file names start from.",
        show_default="looked for around the annotations",
        rich_help_panel=PANEL,
    ),
]
SkeletonSet = Annotated[
    str | None,
    typer.Option(
        "--skeleton",
        help="The keypoint set, where the annotations do not say: its name or a TOML file.",
        show_default="as the annotations say",
        rich_help_panel=PANEL,
    ),
]
Split = Annotated[
    str,
    typer.Option(
        help="Of YOLO labels: train, val or test.",
        show_default="train of a data.yaml, else all",
        rich_help_panel=PANEL,
    ),
]
