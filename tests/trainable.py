"""A made-up keypoint set and networks small enough to train in tests."""

import json

import cv2
import numpy as np

from rtmpose.datasets import KeypointDataset
from rtmpose.model_card import Codec, ModelCard, Normalization
from rtmpose.types import Skeleton

WH = (64, 64)
NAMES = ("nose", "left_eye", "right_eye")
SKELETON = Skeleton(
    "dots3",
    NAMES,
    (0, 2, 1),
    ((0, 1), (0, 2)),
    ("center", "left", "right"),
    ((0, 0, 255),) * 2,
    ((0, 0, 255),) * 3,
    (0.05, 0.05, 0.05),
)
COLORS = ((60, 60, 255), (60, 255, 60), (255, 60, 60))


def write_set(folder, n=24, seed=0):
    """Photos with a red, a green and a blue dot, and where they are."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(1, n + 1):
        picture = rng.integers(0, 60, (80, 80, 3), np.uint8)
        points = rng.uniform(24, 56, (3, 2))
        for (x, y), color in zip(points, COLORS, strict=True):
            cv2.circle(picture, (round(x), round(y)), 4, color, -1)
        cv2.imwrite(str(folder / "images" / f"{i}.png"), picture)
        images.append({"id": i, "file_name": f"{i}.png", "width": 80, "height": 80})
        annotations.append(
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [16, 16, 48, 48],
                "area": 1200,
                "num_keypoints": 3,
                "keypoints": [float(v) for x, y in points for v in (x, y, 2)],
            }
        )
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "dots", "keypoints": list(NAMES), "skeleton": []}],
    }
    (folder / "keypoints.json").write_text(json.dumps(content))
    return folder


def card(kind="simcc"):
    codec = (
        Codec("simcc", 2.0, (3.0, 3.0))
        if kind == "simcc"
        else Codec("heatmap", sigma=(1.5,), heatmap_wh=(16, 16))
    )
    scaling = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")
    return ModelCard(f"tiny-{kind}", "test", "tiny", WH, scaling, codec)


def network(kind="simcc"):
    import torch

    from rtmpose.networks.cspnext import CSPNeXtConfig
    from rtmpose.networks.heatmap import HeatmapConfig, HeatmapPose
    from rtmpose.networks.rtmpose import RTMPose, RTMPoseConfig

    torch.manual_seed(3)
    backbone = CSPNeXtConfig(0.167, 0.125)
    if kind == "heatmap":
        return HeatmapPose(HeatmapConfig(backbone, 3, WH))
    return RTMPose(RTMPoseConfig(backbone, 3, WH, hidden=64))


def task(folder, recipe, kind="simcc", **options):
    from rtmpose.training.pose.task import PoseTask

    dataset = KeypointDataset.load(folder)
    return PoseTask(network(kind), card(kind), SKELETON, [dataset], recipe, **options)
