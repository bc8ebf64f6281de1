"""Where results go: a journal that becomes COCO JSON and CSV, annotated pictures and videos, a window."""

from rtmpose.sinks.journal import ResultWriter
from rtmpose.sinks.pictures import PictureSink, Window

__all__ = ["PictureSink", "ResultWriter", "Window"]
