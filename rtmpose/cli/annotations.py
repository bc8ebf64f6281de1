"""Annotations of commands, the same for every version of Python."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Annotated


def annotations_of(command: Callable[..., object]) -> dict[str, typing.Any]:
    """The annotation of each parameter, with what typer reads of it.

    Python 3.10 puts ``Annotated`` into an ``Optional`` where the default is None, and typer would
    not find the option in it: its short name, its help and its range would be lost.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    return {name: _outermost(hint) for name, hint in hints.items()}


def _outermost(hint: typing.Any) -> typing.Any:
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    is_wrapped = len(parts) == 1 and typing.get_origin(parts[0]) is Annotated
    return parts[0] if is_wrapped else hint
