"""Annotated data: readers of the published formats, conversions between keypoint sets, checks. Torch-free."""

from rtmpose.datasets.dataset import KeypointDataset, load_boxes

__all__ = ["KeypointDataset", "load_boxes"]
