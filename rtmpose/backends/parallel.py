"""The same network for more images per second: a core for each call, and calls in parallel."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from rtmpose import backend_table as table
from rtmpose.backends.base import Backend, BackendOptions, Outputs, TensorSpec
from rtmpose.backends.cpu import usable_cpus

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


class ParallelBackend:
    """Batches spread over calls that run in parallel. See :class:`rtmpose.backends.base.Backend`.

    Args:
        single: The network with all cores for one call; it takes batches of fewer images than
            ``calls``.
        streams: The same network, opened with ``num_streams=calls``.
        calls: Number of parallel calls.
        workers: An executor with as many threads.
    """

    def __init__(self, single: Backend, streams: Backend, calls: int, workers: Executor) -> None:
        self._single = single
        self._streams = streams
        self._calls = calls
        self._workers = workers

        # To the caller it is the same network.
        self.engine = single.engine
        self.device = single.device
        self.precision = single.precision
        self.input: TensorSpec = single.input
        self.outputs: tuple[TensorSpec, ...] = single.outputs
        self.flexible = single.flexible
        self.metadata: Mapping[str, str] = single.metadata

    def __call__(self, images: NDArray[np.uint8]) -> Outputs:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        # Small batches are faster with all cores on one call.
        if self.input.shape[0] is not None or len(images) < self._calls:
            return self._single(images)
        parts = list(self._workers.map(self._streams, np.array_split(images, self._calls)))
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
