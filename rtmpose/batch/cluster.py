"""Where the workers of a batch are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClusterOptions:
    """Where the workers are.

    Attributes:
        address: None for one worker in this process. Else Ray's: ``local`` for this machine,
            ``auto`` for a cluster that is up, or ``HOST:PORT``.
        workers: Their number; 0 for as many as the cluster has room for.
        cpus_per_worker: Cores that each has; 0 chooses.
        gpus_per_worker: GPUs that each has, such as 0.5; None for one where there are GPUs.
    """

    address: str | None = None
    workers: int = 0
    cpus_per_worker: int = 0
    gpus_per_worker: float | None = None

    @property
    def uses_ray(self) -> bool:
        """Whether Ray is needed: for more than one worker, or if it was named."""
        return self.address is not None or self.workers > 1
