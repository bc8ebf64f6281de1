"""How many calls of a network are worth running in parallel, each with a share of the cores."""

from __future__ import annotations

from rtmpose import backend_table as table
from rtmpose.backends.base import Backend, BackendOptions
from rtmpose.usable_cores import usable_cpus

MAX_PARALLEL_CALLS = 8
"""Each running call holds the memory of a batch; where there are more cores, each has several."""


def calls_at_once(backend: Backend, options: BackendOptions) -> int:
    """How many calls of a network are worth running in parallel: 1 on GPUs, and with backends that
    have no streams.
    """
    # One call keeps a GPU busy.
    with_streams = {row.name for row in table.BACKENDS if row.num_streams}
    if backend.device != "cpu" or backend.engine not in with_streams:
        return 1
    return min(MAX_PARALLEL_CALLS, options.threads or usable_cpus())


def release(backend: Backend) -> None:
    """Give back what an opened network holds for its next call only, where its engine can."""
    free = getattr(backend, "release", None)
    if free is not None:
        free()
