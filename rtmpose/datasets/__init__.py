"""Annotated data: readers of the published formats, conversions between keypoint sets, checks.
Torch-free.
"""

from rtmpose.datasets.conversion_table import conversion
from rtmpose.datasets.convert import convert
from rtmpose.datasets.detection_results import load_boxes
from rtmpose.datasets.formats import FORMATS, read
from rtmpose.datasets.imagenet import ImageFolder, read_image_folder
from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.datasets.mixtures import MIXTURES, load_mixture, merge, open_mixture
from rtmpose.datasets.yolo_layout import SCORING_SPLITS

__all__ = [
    "FORMATS",
    "MIXTURES",
    "SCORING_SPLITS",
    "ImageFolder",
    "KeypointDataset",
    "conversion",
    "convert",
    "load_boxes",
    "load_mixture",
    "merge",
    "open_mixture",
    "read",
    "read_image_folder",
]
