"""Help texts from docstrings: each paragraph as one line, which the terminal wraps at its width."""

from __future__ import annotations

import inspect
from itertools import groupby

import typer


def join_lines(text: str) -> str:
    """The text with the lines of each paragraph joined; indented lines (examples) stay as they are.

    Docstrings are wrapped for editors. Left alone, those breaks stand in the middle of lines where
    the terminal is narrower.
    """
    lines = inspect.cleandoc(text).splitlines()
    joined: list[str] = []
    for is_prose, group in groupby(lines, key=_is_prose):
        block = list(group)
        joined += [" ".join(block)] if is_prose else block
    return "\n".join(joined)


def set_help(app: typer.Typer) -> None:
    """Give every command of an app, and of the apps within it, its help text with joined lines."""
    for command in app.registered_commands:
        command.help = join_lines(command.help or inspect.getdoc(command.callback) or "")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _join_group(group.typer_instance)
            set_help(group.typer_instance)


def _join_group(app: typer.Typer) -> None:
    if isinstance(app.info.help, str):
        app.info.help = join_lines(app.info.help)


def _is_prose(line: str) -> bool:
    return bool(line) and not line.startswith(" ")
