"""From a row of the table to the engine: what imports it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from rtmpose.backend_table import BackendRow, Precision, rows_for_file
from rtmpose.backends.base import Backend, BackendClass, BackendModule, BackendOptions
from rtmpose.errors import BackendError, MissingDependencyError
from rtmpose.model_card import ModelCard


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
        raise _not_loading(row, error) from error


def local_facts(row: BackendRow) -> Mapping[str, str]:
    """What else ``rtmpose doctor`` shows: from a function ``facts()`` in the file, if any.

    Raises:
        BackendError: the engine is installed, but does not load.
    """
    try:
        facts = getattr(importlib.import_module(row.module), "facts", dict)  # `facts` is optional
        return cast("Mapping[str, str]", facts())
    except (ImportError, OSError, RuntimeError) as error:
        raise _not_loading(row, error) from error


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
        raise _not_loading(row, error) from error
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
        raise _not_loading(row, error) from error


def _not_loading(row: BackendRow, error: Exception) -> BackendError:
    """Says which engine it is that is broken: a shared library of it may be missing."""
    return BackendError(
        f"{row.title} is installed, but does not load: {error}. Try to install it again:"
        f" {row.install_command}"
    )
