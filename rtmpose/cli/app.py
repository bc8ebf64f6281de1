"""All subcommands."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

import rtmpose
from rtmpose.cli.commands import COMMANDS, CommandRow, find_command
from rtmpose.cli.help_text import set_help
from rtmpose.cli.numbers import check_numbers

HELP = """Find people and their keypoints in images, videos and streams, with the RTMPose models.

Start with: rtmpose predict photo.jpg -o out

Every command explains itself: rtmpose predict --help

--verbose (-v) logs what is chosen and why; --debug adds tracebacks to errors.
Both work with every command.
"""


def make_app(arguments: list[str] | None = None) -> typer.Typer:
    """The command line.

    Args:
        arguments: What is going to be run; by default anything. The app has the command that they
            begin with and no other, as loading one takes a while. If they begin with none, it has
            all names and their summaries, which is enough for the help and for wrong names.
    """
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help=HELP,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_options)
    row = find_command(arguments[0]) if arguments else None
    if arguments is not None and row is None:
        _add_names(app)
        return app
    for command in COMMANDS if row is None else [row]:
        _add_command(app, command)
    set_help(app)
    check_numbers(app)
    return app


def _add_command(app: typer.Typer, row: CommandRow) -> None:
    module = importlib.import_module(f"rtmpose.cli.{row.module}")
    # A file with several subcommands has an app of its own.
    if hasattr(module, "app"):
        app.add_typer(module.app, name=row.name)
    else:
        app.command(row.name)(getattr(module, row.name))


def _add_names(app: typer.Typer) -> None:
    for row in COMMANDS:
        app.command(row.name, help=row.summary)(_name_only)


def _name_only() -> None:
    """What stands for a command in the list of commands."""


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
