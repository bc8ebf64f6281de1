"""Options that several commands share, as dataclasses: one parameter of a command per group.

A field of such a dataclass is annotated like a parameter of a command. :func:`expand_groups` gives
the command one option per field, and calls it with the dataclass filled in. The group
:class:`FormatPaths` has one option per row of the table of output formats.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated

import typer

from rtmpose.cli.annotations import annotations_of
from rtmpose.writers.table import FORMATS

Command = Callable[..., int]


@dataclass(frozen=True)
class FormatPaths:
    """Where results are written: name of a format to the path given for it."""

    paths: dict[str, Path]


def expand_groups(command: Command) -> Command:
    """A command whose dataclass parameters are replaced by one option per field.

    Args:
        command: Parameters that are dataclasses need no default; their fields have them.
    """
    # Annotations as objects: with the future import they are text otherwise.
    hints = annotations_of(command)
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        # A group becomes its options; other parameters stay.
        if isinstance(hint, type) and is_dataclass(hint):
            groups[parameter.name] = hint
            parameters += _options_of(hint)
        else:
            parameters.append(parameter.replace(annotation=hint))

    @functools.wraps(command)
    def call(**values: object) -> int:
        # What typer gives, collected into the groups again.
        arguments = dict(values)
        for name, group in groups.items():
            options = {option.name: arguments.pop(option.name) for option in _options_of(group)}
            arguments[name] = _filled(group, options)
        return command(**arguments)

    # Where typer looks: the signature, and real annotations instead of their text.
    del call.__dict__["__wrapped__"]
    keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    call.__dict__["__signature__"] = inspect.Signature(keywords)
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    return call


def _options_of(group: type) -> list[inspect.Parameter]:
    """The options of a group, as parameters with annotations that typer reads."""
    # Output formats come from the table of writers, not from fields.
    if group is FormatPaths:
        return [_format_option(row.name, row.help) for row in FORMATS]
    hints = typing.get_type_hints(group, include_extras=True)
    return [
        _option(
            f.name, hints[f.name], inspect.Parameter.empty if f.default is MISSING else f.default
        )
        for f in fields(group)
    ]


def _format_option(name: str, text: str) -> inspect.Parameter:
    option = typer.Option(f"--{name}", metavar="PATH", help=text, rich_help_panel="Output")
    return _option(f"{name}_path", Annotated[Path | None, option], None)


def _option(name: str, annotation: object, default: object) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _filled(group: type, options: dict[str, object]) -> object:
    # Formats that were not asked for are left out.
    if group is FormatPaths:
        given = {name.removesuffix("_path"): path for name, path in options.items() if path}
        return FormatPaths(typing.cast("dict[str, Path]", given))
    return group(**options)
