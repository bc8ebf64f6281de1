"""All subcommands."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

import rtmpose
from rtmpose.cli.help_text import set_help
from rtmpose.cli.numbers import check_numbers

COMMANDS = {
    "predict": "predict",
    "track": "track",
    "eval": "evaluate",
    "export": "export",
    "verify": "export",
    "bench": "benchmark",
    "train": "train",
    "prune": "prune",
    "doctor": "doctor",
    "data": "data",
    "models": "models",
}
"""Name of a command -> the file in this folder that holds it, in the order of the help."""

HELP = """Find people and their keypoints in images, videos and streams, with the RTMPose models.

Start with: rtmpose predict photo.jpg -o out

--verbose (-v) logs what is chosen and why; --debug adds tracebacks to errors.
Both work with every command.
"""


def make_app(arguments: list[str] | None = None) -> typer.Typer:
    """The command line.

    Args:
        arguments: What is going to be run. If it begins with the name of a command, the app has no
            other, as importing all of them takes a while. Else it has all commands.
    """
    app = typer.Typer(
        no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP
    )
    app.callback()(_options)
    first = arguments[0] if arguments else ""
    for name in [first] if first in COMMANDS else COMMANDS:
        module = importlib.import_module(f"rtmpose.cli.{COMMANDS[name]}")
        # A file with several subcommands has an app of its own.
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    set_help(app)
    check_numbers(app)
    return app


def _version(show: bool) -> None:
    # Typer calls this for every command line, with whether the option was given.
    if show:
        typer.echo(f"rtmpose {rtmpose.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
