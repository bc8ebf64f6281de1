"""Keywords that a function does not have: an error that names those like it."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from rtmpose.errors import UnknownArgumentError

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")
Class = TypeVar("Class", bound=type)

OTHER_NAMES = {
    "conf": "box_thr",
    "det_model": "detector",
    "model": "pose",
    "score_thr": "box_thr",
    "threshold": "box_thr",
    "weights": "pose",
}
"""Keywords of other packages -> what does the same here."""


def checked_keywords(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """The same function, which answers an unknown keyword with the keywords that are like it.

    Raises:
        UnknownArgumentError: the keyword, in the call of the function.
    """
    signature = inspect.signature(function)
    known = keywords_of(function)
    owner, _, name = function.__qualname__.rpartition(".")
    called = owner.rpartition(".")[2] if name in ("__init__", "__call__") and owner else name

    @functools.wraps(function)
    def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        if not kwargs.keys() <= signature.parameters.keys():
            check_keywords(called, kwargs, known)
        return function(*args, **kwargs)

    return checked


def checked_class(cls: Class) -> Class:
    """The class, whose constructor answers an unknown keyword like :func:`checked_keywords`; for
    dataclasses, which have no written constructor.
    """
    setattr(cls, "__init__", checked_keywords(getattr(cls, "__init__")))  # noqa: B009, B010
    return cls


def keywords_of(*functions: Callable[..., object]) -> list[str]:
    """The names that the functions take as keywords, in their order."""
    names: list[str] = []
    for function in functions:
        for parameter in inspect.signature(function).parameters.values():
            named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if named and parameter.name not in ("self", *names):
                names.append(parameter.name)
    return names


def check_keywords(called: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse keywords that are not known.

    Args:
        called: Name of what was called, for the message.
        given: The keywords of the call.
        known: Those that may be given.

    Raises:
        UnknownArgumentError: one is not known; the message names those like it.
    """
    names = list(dict.fromkeys(known))
    for name in given:
        if name in names:
            continue
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        if OTHER_NAMES.get(name) in names:
            near = [OTHER_NAMES[name]]
        hint = f"did you mean {' or '.join(near)}?" if near else f"it takes {', '.join(names)}"
        raise UnknownArgumentError(f"{called} has no argument {name!r}; {hint}")
