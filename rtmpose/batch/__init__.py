"""Thousands of sources on one machine, a SLURM array or a Ray cluster: ``rtmpose batch``.

    names of sources (listing) -> units of work (units, segments) -> worker -> files and ledger

``run.py`` shows it whole. Every unit ends as files under their final names and one entry of the
ledger, so that a run that is killed goes on where it was. Nothing of the runtime imports this
folder; ``ray_engine.py`` alone imports Ray.
"""

from rtmpose.batch.cluster import ClusterOptions
from rtmpose.batch.listing import list_sources
from rtmpose.batch.report import BatchReport
from rtmpose.batch.run import BatchOptions, run_batch, status
from rtmpose.batch.settings import BatchSettings, EngineOptions

__all__ = [
    "BatchOptions",
    "BatchReport",
    "BatchSettings",
    "ClusterOptions",
    "EngineOptions",
    "list_sources",
    "run_batch",
    "status",
]
