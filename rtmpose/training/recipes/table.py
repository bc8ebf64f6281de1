"""All recipes by name, and recipes in files."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from rtmpose.errors import InputError, ModelError
from rtmpose.text_files import parse_json, read_json, read_toml
from rtmpose.training.recipes.detector import DETECTORS
from rtmpose.training.recipes.finetune import FINETUNE
from rtmpose.training.recipes.old_names import OLD_RECIPE_NAMES
from rtmpose.training.recipes.overrides import recipe_from_dict
from rtmpose.training.recipes.published_pose import PUBLISHED
from rtmpose.training.recipes.recipe import Recipe
from rtmpose.zoo import find

FILES = (".json", ".toml", ".safetensors")


def all_recipes() -> dict[str, Callable[[], Recipe]]:
    """Recipes by the name the command line knows them by: the small ones, the detectors, then those
    of the published models by their ids.
    """
    return {**FINETUNE, **DETECTORS, **PUBLISHED}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name, or in that file (:func:`read_recipe`).

    Raises:
        InputError: there is none.
    """
    # A file's suffix cannot be part of a recipe's name.
    if name.endswith(FILES):
        return read_recipe(Path(name))
    recipes = all_recipes()
    name = OLD_RECIPE_NAMES.get(name, name)
    if name in recipes:
        return recipes[name]()
    try:
        # Short names of the published models will do.
        card = find(name)
    except ModelError:
        card = None
    if card is not None and card.id in recipes:
        return recipes[card.id]()

    # Names that are close to it, for the message.
    near = difflib.get_close_matches(name, recipes, n=4, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise InputError(f"no recipe is called {name!r}; {hint}`rtmpose train list` shows all")


def read_recipe(path: Path) -> Recipe:
    """The recipe of an earlier training (``recipe.json``, ``best.safetensors``) or in a file of
    one's own (``.json``, ``.toml``); files with the old flat names are read too.

    Raises:
        InputError: the file is missing or damaged, or holds no recipe.
    """
    try:
        content = _read(path)
    except OSError as error:
        raise InputError(f"the recipe {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # JSON, TOML and text decoding errors are all ValueErrors
        raise InputError(f"{path} holds no recipe: {error}") from error
    # recipe.json of a training holds the recipe next to other facts.
    inner = content.get("recipe", content) if isinstance(content, Mapping) else content
    if not isinstance(inner, Mapping):
        raise InputError(f"{path} holds no recipe: it is a table of fields such as epochs = 3")

    # The file's name, unless the file says how the recipe is called.
    try:
        return recipe_from_dict({"name": path.stem, **inner})
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read(path: Path) -> object:
    """What a file holds, as plain data."""
    if path.suffix == ".toml":
        return read_toml(path)
    if path.suffix == ".json":
        return read_json(path, allow_nan=True)

    # A checkpoint carries the recipe of its training in its metadata.
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(2, "no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"not a safetensors file ({error})") from error
    if "recipe" not in metadata:
        raise ValueError("the file was not written by a training")
    return parse_json(metadata["recipe"], str(path))
