"""Recipes with single fields changed, by name, and recipes read from plain data.

A field is named by its path (``optimizer.lr``), by the end of its path where that is unique
(``lr``), or by the name it had before (:mod:`rtmpose.training.recipes.old_names`).
"""

from __future__ import annotations

import difflib
import logging
import math
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Literal

from rtmpose.errors import InputError
from rtmpose.training.recipes.old_names import modern_name
from rtmpose.training.recipes.recipe import Recipe

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = logging.getLogger(__name__)

POSE_PARTS = frozenset({"augment", "late_augment", "loss", "distill", "reduced_input"})

UNUSED: dict[str, frozenset[str]] = {
    "pose": frozenset({"detector"}),
    "heatmap": frozenset({"detector"}),
    "detector": POSE_PARTS,
    "classifier": POSE_PARTS | {"detector", "hardswish"},
}
"""Parts of a recipe that a kind of training does not use."""

BOOLEANS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def with_settings(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """The recipe with fields changed, from texts: ``{"lr": "1e-4", "augment.rotate": "40"}``.

    Args:
        recipe: Not changed itself.
        settings: Text by field name; tuples are written with commas, ``none`` leaves an optional
            part out.

    Raises:
        InputError: no field has this name, several have it, or the text does not fit it.
    """
    # All names are resolved first, so that a wrong one changes nothing.
    paths = {name: field_path(name) for name in settings}
    for name, text in settings.items():
        value = _parse(text, _kind_of(paths[name]), name)
        recipe = _with_value(recipe, paths[name].split("."), value, name)
    # A network that is named is the one to train.
    if "model" in paths.values() and "model_from_init" not in paths.values():
        recipe = replace(recipe, model_from_init=False)

    # A setting without effect is most likely a mistake.
    for name, path in paths.items():
        if path.partition(".")[0] in UNUSED[recipe.kind]:
            log.warning("a training of kind %s does not use %s (%s)", recipe.kind, path, name)
    return recipe


def override(recipe: Recipe, **values: object) -> Recipe:
    """The recipe with fields changed, from values: ``override(recipe, epochs=3, rotate=40.0)``.

    Args:
        recipe: Not changed itself.
        **values: Numbers, or whole parts (``augment=Augmentation(...)``), by field name; a path
            with dots goes in as ``**{"augment.rotate": 40.0}``.

    Raises:
        InputError: no field has this name, several have it, or the value does not fit it.
    """
    before = recipe.model
    for name, value in values.items():
        # Some names were fields before and are parts now: None and dataclasses mean the part.
        whole_part = name in _paths() and (value is None or is_dataclass(value))
        path = name if whole_part else field_path(name)
        fitting = _fit(value, _kind_of(path), name)
        recipe = _with_value(recipe, path.split("."), fitting, name)
    # Another network that is named is the one to train.
    if recipe.model != before and "model_from_init" not in values:
        recipe = replace(recipe, model_from_init=False)
    return recipe


def recipe_from_dict(content: Mapping[str, object]) -> Recipe:
    """A recipe from plain data, as :func:`rtmpose.training.recipes.to_dict` gives it; old names and
    flat recipes are read too. What is not named has its default.

    Raises:
        InputError: a name is unknown, or a value does not fit.
    """
    recipe = Recipe(str(content.get("name", "recipe")))
    for name, value in _leaves(content):
        # Whole names only: in a file, a short name would hide a mistake.
        path = name if name in _paths() and value is None else modern_name(name)
        if path not in _paths():
            raise InputError(_unknown(name))
        fitting = _fit(value, _kind_of(path), name)
        recipe = _with_value(recipe, path.split("."), fitting, name)
    return recipe


def changed_fields(old: Recipe, new: Recipe) -> list[str]:
    """Paths of the numbers in which two recipes differ."""
    return [
        path
        for path in _paths()
        if not _dataclass_in(_kind_of(path)) and _value_at(old, path) != _value_at(new, path)
    ]


def field_path(name: str) -> str:
    """The path of the field that a name stands for.

    Raises:
        InputError: there is none, or there are several.
    """
    # The whole path, by its name of today.
    path = modern_name(name)
    if path in _paths():
        return path

    # A unique end of a path is enough: ``lr`` for ``optimizer.lr``.
    found = [p for p in _paths() if p.endswith(f".{path}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{name!r} could be {' or '.join(found)}: write the whole name")
    raise InputError(_unknown(name))


@cache
def _paths() -> dict[str, object]:
    """The type of every field of a recipe, by its path."""
    return dict(_paths_of(Recipe, ""))


def _paths_of(table: type[DataclassInstance], prefix: str) -> list[tuple[str, object]]:
    # Annotations are texts in these modules: resolved to types here.
    hints = typing.get_type_hints(table)
    found: list[tuple[str, object]] = []
    for field in fields(table):
        path = f"{prefix}{field.name}"
        kind = hints[field.name]
        found.append((path, kind))

        # The fields of a nested part have its name and a dot before theirs.
        inner = _dataclass_in(kind)
        if inner is not None:
            found += _paths_of(inner, f"{path}.")
    return found


def _kind_of(path: str) -> object:
    return _paths()[path]


def _dataclass_in(kind: object) -> type[DataclassInstance] | None:
    """The dataclass that a field holds, also where it may be None."""
    for option in (kind, *typing.get_args(kind)):
        if isinstance(option, type) and is_dataclass(option):
            return option
    return None


def _is_optional(kind: object) -> bool:
    return type(None) in typing.get_args(kind)


def _without_none(kind: object) -> object:
    """The type of an optional field's value."""
    options = [option for option in typing.get_args(kind) if option is not type(None)]
    return options[0] if _is_optional(kind) and len(options) == 1 else kind


def _unknown(name: str) -> str:
    """The error text for a name that no field has."""
    # Near the whole path, or near its last part.
    last = name.rpartition(".")[2]
    near = difflib.get_close_matches(name, _paths(), n=3, cutoff=0.6)
    near += [p for p in _paths() if difflib.get_close_matches(last, [p.rpartition(".")[2]])]
    shown = list(dict.fromkeys(near))[:4]
    hint = (
        f"did you mean {', '.join(shown)}?"
        if shown
        else f"it has {', '.join(f.name for f in fields(Recipe))}"
    )
    return f"a recipe has no field {name!r}; {hint}"


def _leaves(content: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    """All values of nested tables with their paths."""
    found: list[tuple[str, object]] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _value_at(recipe: Recipe, path: str) -> object:
    """A field's value; None where the part that holds it is left out."""
    value: object = recipe
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


T = typing.TypeVar("T", bound="DataclassInstance")


def _with_value(table: T, names: list[str], value: object, name: str) -> T:
    """A copy of nested dataclasses with one field changed."""
    # One part at a time, from the outside in.
    first, *rest = names
    if not rest:
        return replace(table, **{first: value})
    inner = getattr(table, first)
    if inner is None:
        # A part that was left out comes in with its defaults.
        kind = _dataclass_in(typing.get_type_hints(type(table))[first])
        assert kind is not None
        inner = kind()
    return replace(table, **{first: _with_value(inner, rest, value, name)})


def _parse(text: str, kind: object, name: str) -> object:
    """The value that a text stands for."""
    # ``none`` leaves an optional part out.
    if _is_optional(kind) and text.lower() == "none":
        return None
    if _dataclass_in(kind):
        raise InputError(f"{name} is a group of fields; set one of them ({name}.FIELD=VALUE)")
    kind = _without_none(kind)

    # Tuples: values with commas, each fits the type at its place.
    if typing.get_origin(kind) is tuple:
        parts = [] if text.lower() == "none" else [p.strip() for p in text.split(",")]
        options = _tuple_types(kind, len(parts))
        if len(parts) != len(options):
            raise InputError(f"{name} takes {len(options)} values with commas, not {text!r}")
        return tuple(_parse(p, k, name) for p, k in zip(parts, options, strict=True))

    # Booleans: several usual spellings.
    if kind is bool:
        if text.lower() not in BOOLEANS:
            raise InputError(f"{name} is true or false, not {text!r}")
        return BOOLEANS[text.lower()]

    # Numbers; whole ones where the field is whole.
    if kind is int or kind is float:
        try:
            number = int(text) if kind is int else float(text)
        except ValueError as error:
            expected = "a whole number" if kind is int else "a number"
            raise InputError(f"{name} takes {expected}, not {text!r}") from error
        return _fit(number, kind, name)
    return _fit(text, kind, name)


def _fit(value: object, kind: object, name: str) -> object:
    """A value of the field's type, from a typed value or from plain JSON."""
    # JSON has null, and TOML an empty text, for nothing.
    if _is_optional(kind) and value in (None, ""):
        return None
    kind = _without_none(kind)

    # Parts are replaced as a whole, by dataclasses.
    table = _dataclass_in(kind)
    if table is not None:
        if isinstance(value, table):
            return value
        raise InputError(f"{name} is a group of fields ({table.__name__}), not {value!r}")

    # A choice among fixed values.
    origin = typing.get_origin(kind)
    if origin is Literal:
        options = typing.get_args(kind)
        if value not in options:
            raise InputError(f"{name} is one of {', '.join(map(str, options))}, not {value!r}")
        return value

    # Tuples, which JSON has as lists.
    if origin is tuple and isinstance(value, list | tuple):
        types = _tuple_types(kind, len(value))
        if len(types) != len(value):
            raise InputError(f"{name} takes {len(types)} values, not {value!r}")
        return tuple(_fit(v, k, name) for v, k in zip(value, types, strict=True))

    # Numbers: True is an int in Python, but no number in a recipe.
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise InputError(f"{name} takes a finite number, not {value}")
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if (kind is bool and isinstance(value, bool)) or (kind is str and isinstance(value, str)):
        return value
    raise InputError(f"{name} takes {getattr(kind, '__name__', kind)}, not {value!r}")


def _tuple_types(kind: object, length: int) -> list[object]:
    """The types of a tuple's items; an open tuple takes any number of them."""
    # An open tuple is tuple[str, ...].
    options = typing.get_args(kind)
    if len(options) == 2 and options[1] is Ellipsis:
        return [options[0]] * length
    return list(options)
