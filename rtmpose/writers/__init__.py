"""Where results go: one file per format, the table of them, and the job that writes them.

``table.py`` lists the formats, ``job.py`` runs a pipeline or tracker over sources and writes what
it finds, ``journal.py`` lets an interrupted job go on.
"""

from rtmpose.writers.base import FrameRecord, Writer, WriterContext
from rtmpose.writers.table import FORMATS, Format, format_named

__all__ = ["FORMATS", "Format", "FrameRecord", "Writer", "WriterContext", "format_named"]
