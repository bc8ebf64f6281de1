"""Annotated data: readers of the published formats, conversions between keypoint sets, checks. Torch-free."""

from rtmpose.datasets.dataset import KeypointDataset, load_boxes
from rtmpose.datasets.formats import FORMATS, read
from rtmpose.datasets.imagenet import ImageFolder, read_image_folder

__all__ = ["FORMATS", "ImageFolder", "KeypointDataset", "load_boxes", "read", "read_image_folder"]
