"""Annotated sets with random people, models that find them, and stored figures of the originals."""

import gzip
import json

import cv2
import numpy as np

from rtmpose.datasets import KeypointDataset
from rtmpose.skeletons import get_skeleton
from rtmpose.types import Poses


def stored(golden, name):
    return json.loads(gzip.decompress((golden / "ops" / f"{name}.json.gz").read_bytes()))


class Shifted:
    """A pose model that finds everybody's annotated points, shifted."""

    def __init__(self, dataset, by=(0.0, 0.0), skeleton=None, score=0.9):
        self.skeleton = skeleton or dataset.skeleton
        self.points = {
            tuple(b): k
            for i in dataset.images
            for b, k in zip(dataset.boxes(i), dataset.keypoints(i), strict=True)
        }
        self.by, self.score = np.array(by, np.float32), score

    def __call__(self, image, boxes, *, flip_test=False):
        k = len(self.skeleton)
        found = np.array(
            [self.points[tuple(b)][:, :2] + self.by for b in boxes.boxes], np.float32
        ).reshape(-1, k, 2)
        return Poses(
            boxes.boxes,
            boxes.scores,
            found,
            np.full(found.shape[:2], self.score, np.float32),
            self.skeleton,
        )


def make_set(tmp_path, name, *, images=3, people=2, extra=None, image_extra=None, seed=0):
    """A set of gray images with random people; every point is labeled."""
    skeleton = get_skeleton(name)
    rng = np.random.default_rng(seed)
    folder = tmp_path / "images"
    folder.mkdir(exist_ok=True)
    content = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}],
    }
    for i in range(1, images + 1):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((120, 160, 3), 90, np.uint8))
        content["images"].append(
            {"id": i, "file_name": f"{i}.png", "width": 160, "height": 120, **(image_extra or {})}
        )
        for p in range(people):
            x, y = 10 + 70 * p, 10 + i
            points = rng.uniform((x, y), (x + 50, y + 80), (len(skeleton), 2)).round(1)
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": i,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": [x, y, 50, 80],
                    "area": 2400.0,
                    "keypoints": [v for q in points.tolist() for v in (*q, 2)],
                    "num_keypoints": len(skeleton),
                    **(extra or {}),
                }
            )
    return KeypointDataset.from_content(content, folder, tmp_path / "set.json", skeleton)
