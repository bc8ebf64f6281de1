"""Where results go: a journal that becomes COCO JSON and CSV, annotated pictures and videos, a
window.
"""

from rtmpose.writers.journal import ResultWriter
from rtmpose.writers.pictures import PictureSink, Window

__all__ = ["PictureSink", "ResultWriter", "Window"]
