"""Accuracy on annotated sets. Evaluation choices (flip test, source of boxes) are made here, not in
models.
"""

from rtmpose.datasets.detection_results import load_boxes
from rtmpose.datasets.keypoint_dataset import KeypointDataset
from rtmpose.evaluation.coco import coco_box_ap, coco_keypoint_ap, crowdpose_ap, wholebody_ap
from rtmpose.evaluation.pose import Evaluation, evaluate

__all__ = [
    "Evaluation",
    "KeypointDataset",
    "coco_box_ap",
    "coco_keypoint_ap",
    "crowdpose_ap",
    "evaluate",
    "load_boxes",
    "wholebody_ap",
]
