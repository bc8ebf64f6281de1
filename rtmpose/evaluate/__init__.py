"""Accuracy on annotated sets. Evaluation choices (flip test, whose boxes) live here, not in models."""

from rtmpose.evaluate.coco import coco_keypoint_ap
from rtmpose.evaluate.dataset import KeypointDataset, load_boxes
from rtmpose.evaluate.run import Evaluation, evaluate

__all__ = ["Evaluation", "KeypointDataset", "coco_keypoint_ap", "evaluate", "load_boxes"]
