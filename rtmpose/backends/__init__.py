"""Inference engines, one file and one row of :mod:`rtmpose.backend_table` each.

No engine's name appears outside this package and the help of the command line.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from rtmpose import backend_table as table
from rtmpose.backend_table import Precision
from rtmpose.backends.automatic import resolve_auto
from rtmpose.backends.base import Backend, BackendOptions, TensorSpec
from rtmpose.backends.heap import trim_heap
from rtmpose.backends.loading import NotLoadingError, open_with, set_aside
from rtmpose.backends.parallel import calls_at_once
from rtmpose.backends.selection import BackendChoice, choose, has_substitute, installed
from rtmpose.model_card import ModelCard
from rtmpose.usable_cores import threads_within_quota, usable_cpus

__all__ = [
    "Backend",
    "BackendChoice",
    "BackendOptions",
    "Precision",
    "TensorSpec",
    "calls_at_once",
    "choose",
    "installed",
    "open_backend",
    "usable_cpus",
]

log = logging.getLogger(__name__)


def open_backend(path: Path, card: ModelCard, options: BackendOptions | None = None) -> Backend:
    """Open a model file.

    Args:
        path: The model file; its suffix says which backends run it.
        card: Its description: normalization, and what reduced precision may be judged by.
        options: Backend, device, threads, precision; all of them ``auto`` by default.

    Raises:
        BackendError: backend, device or precision are not available here; nothing is chosen in
            their place.
        MissingDependencyError: the backend is not installed.
        ModelError: the file cannot be read.
    """
    backend, reason = _open_chosen(path, card, options or BackendOptions())
    trim_heap()
    log.info(
        "%s: %s on %s, %s (%s)",
        path.name,
        backend.engine,
        backend.device,
        backend.precision,
        reason,
    )
    return backend


def _open_chosen(path: Path, card: ModelCard, asked: BackendOptions) -> tuple[Backend, str]:
    """The file opened with what the options mean here, and why that was chosen."""
    options, reason = resolve_auto(path, asked)

    # Engines count the cores of the machine, not those that a container may use.
    if not options.threads:
        options = replace(options, threads=threads_within_quota())

    # The engine sees what was chosen, never "auto".
    row = table.row(options.backend)
    try:
        return open_with(row, path, card, options), reason
    except NotLoadingError as error:
        # A damaged installation of one engine is no reason to find nobody.
        if not has_substitute(row, path, asked):
            raise
        set_aside(error)
    return _open_chosen(path, card, asked)
