"""The kinds of faults that ``benchmarks/faults.py`` tries, one concern per file."""

from fault_kinds import (
    command_line,
    disks,
    documents,
    interruptions,
    long_runs,
    meddling,
    media,
    models,
    more_signals,
    servers,
    sharing,
)
from fault_kinds.engine import Kind

MODULES = (
    media,
    documents,
    models,
    command_line,
    interruptions,
    more_signals,
    long_runs,
    meddling,
    disks,
    servers,
    sharing,
)


def all_kinds() -> list[Kind]:
    """All rows of the table, in its order."""
    return [kind for module in MODULES for kind in module.KINDS]
