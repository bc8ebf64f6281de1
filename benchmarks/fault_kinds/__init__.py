"""The kinds of faults that ``benchmarks/faults.py`` tries, one concern per file."""

from fault_kinds import command_line, documents, media, models
from fault_kinds.engine import Kind


def all_kinds() -> list[Kind]:
    """All rows of the table, in its order."""
    return [*media.KINDS, *documents.KINDS, *models.KINDS, *command_line.KINDS]
