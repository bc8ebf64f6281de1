"""The same network for more answers per second: a core for each call, and calls side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.base import Backend, BackendOptions, TensorSpec

STREAM_ENGINES = ("onnxruntime", "openvino")
"""Engines that know ``BackendOptions.num_streams``."""
MOST_CALLS = 8
"""Each going call holds the memory of a batch; where there are more cores, each has several."""


def calls_at_once(backend: Backend, options: BackendOptions) -> int:
    """How many calls of a network can go side by side to advantage: 1 on GPUs, and with engines
    that cannot.
    """
    if backend.device != "cpu" or backend.engine not in STREAM_ENGINES:
        return 1
    return min(MOST_CALLS, options.threads or usable_cpus())


def usable_cpus() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ParallelBackend:
    """Batches spread over calls that go side by side. See :class:`rtmpose.backends.base.Backend`.

    Args:
        wide: The network with all cores for a call; takes the batches that have less than an image
            for each call.
        narrow: The same, opened with ``num_streams``.
        calls: That number.
        workers: Has as many threads.
    """

    def __init__(self, wide: Backend, narrow: Backend, calls: int, workers: Executor) -> None:
        self._wide, self._narrow, self._calls, self._workers = wide, narrow, calls, workers
        self.engine, self.device, self.precision = wide.engine, wide.device, wide.precision
        self.input: TensorSpec = wide.input
        self.outputs: tuple[TensorSpec, ...] = wide.outputs
        self.flexible = wide.flexible
        self.metadata: Mapping[str, str] = wide.metadata

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.generic], ...]:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        if self.input.shape[0] is not None or len(images) < self._calls:
            return self._wide(images)
        parts = list(self._workers.map(self._narrow, np.array_split(images, self._calls)))
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
