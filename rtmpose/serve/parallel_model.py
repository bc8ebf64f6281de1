"""A model for several calls at the same time, each with a share of the cores.

Two calls on one core each do more than one call on two: a network's operations are too short to be
worth sharing, and its threads wait for each other after every one of them. An image that is alone
is still done sooner with all cores.
"""

from __future__ import annotations

from functools import partial

from rtmpose.backends.parallel import calls_at_once
from rtmpose.families import PoseModel, open_share
from rtmpose.usable_cores import usable_cpus

CORES_PER_CALL = 4
"""With more cores than twice as many, a single call still gets this many, so that nobody who is
alone waits long.
"""


def calls_of(model: PoseModel) -> int:
    """How many calls of a model to make at the same time: 1 on GPUs and on a single core."""
    networks = model.networks
    if not networks:
        return 1
    most = min(calls_at_once(network.backend, network.options) for network in networks)
    cores = min(network.options.threads or usable_cpus() for network in networks)
    return max(1, min(most, cores, max(2, cores // CORES_PER_CALL)))


def for_calls(model: PoseModel, calls: int) -> PoseModel:
    """The same model for so many calls at the same time, its networks opened once more."""
    return model if calls == 1 else model.with_backends(partial(open_share, calls=calls))
