"""From a row of the table to the engine: what imports it."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from rtmpose.backend_table import BackendRow, Precision, rows_for_file
from rtmpose.backends.base import Backend, BackendClass, BackendModule, BackendOptions
from rtmpose.errors import BackendError, MissingDependencyError
from rtmpose.model_card import ModelCard

log = logging.getLogger(__name__)


class NotLoadingError(BackendError):
    """An engine is installed, but does not load: a file or a shared library of it may be missing.

    Attributes:
        row: The engine.
    """

    def __init__(self, row: BackendRow, error: Exception) -> None:
        # Where it is installed already, pip would not touch it.
        package = next(iter(row.versions()), row.distributions[0])
        super().__init__(
            f"{row.title} is installed, but does not load: {error}. Try to install it again:"
            f" pip install --force-reinstall {package}"
        )
        self.row = row


# ---- engines that do not load


_set_aside: set[str] = set()
"""Names of engines that did not load in this process, and that ``auto`` passes over."""


def set_aside(error: NotLoadingError, *, tell: bool = True) -> None:
    """Let ``auto`` take other engines from now on; a line in the log says so, once."""
    if tell and error.row.name not in _set_aside:
        log.warning("%s. Another engine is used.", error)
    _set_aside.add(error.row.name)


def is_set_aside(row: BackendRow) -> bool:
    """Whether the engine did not load in this process."""
    return row.name in _set_aside


# ---- what the engines' files hold


def local_devices(row: BackendRow) -> Mapping[str, tuple[Precision, ...]]:
    """Devices of this machine and the precisions that each computes in.

    Raises:
        BackendError: the engine is installed, but does not load.
    """
    try:
        # Only the table's rows say which module this is, hence the cast.
        module = cast("BackendModule", importlib.import_module(row.module))
        return module.devices()
    except (ImportError, OSError, RuntimeError) as error:
        raise NotLoadingError(row, error) from error


def local_facts(row: BackendRow) -> Mapping[str, str]:
    """What else ``rtmpose doctor`` shows: from a function ``facts()`` in the file, if any.

    Raises:
        BackendError: the engine is installed, but does not load.
    """
    try:
        facts = getattr(importlib.import_module(row.module), "facts", dict)  # `facts` is optional
        return cast("Mapping[str, str]", facts())
    except (ImportError, OSError, RuntimeError) as error:
        raise NotLoadingError(row, error) from error


def trusted_precisions(
    row: BackendRow, path: Path, card: ModelCard, threads: int
) -> tuple[Precision, ...]:
    """The precisions that a network can run in on this CPU without losing accuracy, the fastest
    first: from a function of that name in the engine's file, if any.

    A network that was not judged yet is judged, which may take seconds.

    Raises:
        BackendError: the engine is installed, but does not load.
        ModelError: the file cannot be read.
    """
    try:
        module = importlib.import_module(row.module)
        find = getattr(module, "trusted_precisions", None)
        found = (row.native_precision,) if find is None else find(path, card, threads)
    except ImportError as error:
        raise NotLoadingError(row, error) from error
    return cast("tuple[Precision, ...]", found)


def card_of_file(path: Path) -> ModelCard | None:
    """The card of a file that has none, from what the engine of its format finds in it: from a
    function ``card_of_file()`` in the engine's file, if any.

    Raises:
        MissingDependencyError: the engine is not installed.
        ModelError: the file cannot be read, or is of no known form.
    """
    rows = rows_for_file(path)
    if len(rows) != 1:
        return None
    try:
        find = getattr(importlib.import_module(rows[0].module), "card_of_file", None)
    except ImportError:
        return None  # opening the file says what is missing
    return None if find is None else cast("ModelCard", find(path))


def open_with(row: BackendRow, path: Path, card: ModelCard, options: BackendOptions) -> Backend:
    """A model file opened with that engine; ``options.device`` is no longer ``auto``.

    Raises:
        BackendError: the engine does not load, or cannot run the network as asked.
        MissingDependencyError: it is not installed.
        ModelError: the file cannot be read.
    """
    # A class by name: nothing here imports an engine that is not asked for.
    backend: BackendClass = getattr(importlib.import_module(row.module), row.class_name)
    try:
        return backend(path, card, options)
    # Already says how to install it.
    except MissingDependencyError:
        raise
    except ImportError as error:
        raise NotLoadingError(row, error) from error
