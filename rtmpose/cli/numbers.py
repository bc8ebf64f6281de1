"""Ranges of the numbers of all commands, checked in one place.

An option for a number is annotated with its range, next to what typer reads:
``Annotated[float, FRACTION, typer.Option(...)]``. A test refuses options without one.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable
from typing import Annotated

import typer

from rtmpose.cli.annotations import annotations_of
from rtmpose.errors import InputError
from rtmpose.ranges import LARGE, MANY, Range, check_number

CHECKED = "__rtmpose_numbers_checked__"


def check_numbers(app: typer.Typer) -> None:
    """Let every command of an app, and of the apps within it, refuse numbers outside their range.

    The range is shown in the command's help as well.
    """
    for command in app.registered_commands:
        callback = command.callback
        # Apps of several commands are modules' own, and may pass here more than once.
        if callback is not None and not hasattr(callback, CHECKED):
            command.callback = _with_checks(callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            check_numbers(group.typer_instance)


def ranges_of(command: Callable[..., object]) -> dict[str, Range]:
    """The range of each parameter of a command that has one."""
    found: dict[str, Range] = {}
    for name, hint in annotations_of(command).items():
        if typing.get_origin(hint) is not Annotated:
            continue
        for extra in typing.get_args(hint)[1:]:
            if isinstance(extra, Range):
                found[name] = extra
    return found


def _with_checks(command: Callable[..., object]) -> Callable[..., object]:
    """The command, which answers a number outside its range like any other wrong value."""
    ranges = ranges_of(command)
    _show_ranges(command, ranges)

    @functools.wraps(command)
    def checked(**values: object) -> object:
        for name, allowed in ranges.items():
            value = values.get(name)
            # None stands for an option that was not given.
            if value is not None:
                _check(f"--{name.replace('_', '-')}", value, allowed)
        return command(**values)

    setattr(checked, CHECKED, True)
    return checked


def _check(option: str, value: object, allowed: Range) -> None:
    try:
        check_number(option, value, allowed)
    except InputError as error:
        # In the form of typer: a usage error, exit status 2.
        text = str(error).removeprefix(f"{option} ")
        raise typer.BadParameter(text, param_hint=f"'{option}'") from error


def _show_ranges(command: Callable[..., object], ranges: dict[str, Range]) -> None:
    hints = annotations_of(command)
    for name, allowed in ranges.items():
        for extra in typing.get_args(hints[name]):
            if getattr(extra, "metavar", "") is None:
                extra.metavar = metavar(allowed)


def metavar(allowed: Range) -> str:
    """A range in a few characters: ``0..1``, or ``>=1`` where the upper end is there for safety
    only.
    """
    low = f"{allowed.low:g}"
    if allowed.high in (MANY, LARGE):
        return f">{low}" if allowed.above else f">={low}"
    return f"{low}..{allowed.high:g}"
