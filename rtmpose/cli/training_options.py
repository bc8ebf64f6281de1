"""Options of the commands that make models: train, prune and export."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.models import OptionInfo

from rtmpose.cli.options import HARDWARE, MODELS, OUTPUT
from rtmpose.ranges import THREADS


def output_folder(text: str) -> OptionInfo:
    """The option ``--output`` of a command that fills a folder.

    Args:
        text: For the help: what is written there.
    """
    return typer.Option("--output", "-o", "--out", help=text, rich_help_panel=OUTPUT)


TeacherBackend = Annotated[
    str,
    typer.Option(
        "--teacher-backend",
        "--teacher-engine",
        help="What runs the teacher: auto, inference (the fastest engine installed) or torch.",
        rich_help_panel=MODELS,
    ),
]
ResultId = Annotated[
    str | None, typer.Option(help="Id of the result in its card.", rich_help_panel=MODELS)
]
TorchThreads = Annotated[
    int, THREADS, typer.Option(help="CPU threads; 0 takes all cores.", rich_help_panel=HARDWARE)
]
