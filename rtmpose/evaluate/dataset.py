"""Where annotated sets used to live; see :mod:`rtmpose.datasets.dataset`."""

from rtmpose.datasets.dataset import KeypointDataset, load_boxes

__all__ = ["KeypointDataset", "load_boxes"]
