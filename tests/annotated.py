"""Tiny annotated sets for the tests of data."""

import json
from pathlib import Path

import cv2
import numpy as np

from rtmpose.skeletons import get_skeleton


def write_image(path: Path, width=64, height=48, seed=0) -> Path:
    """An image with its own pattern (so that no two look alike)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
    return path


def write(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def person(k=17, left=5.0, top=4.0, width=30.0, height=36.0, seed=0):
    """Flat x, y, v triples inside a box."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform((left, top), (left + width, top + height), (k, 2)).round(2)
    return [float(c) for x, y in xy for c in (x, y, 2)]


def coco_content(n=3, skeleton="coco17", **image):
    """One instance in each of ``n`` images of 64 x 48."""
    names = list(get_skeleton(skeleton).keypoints)
    return {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": 64, "height": 48, **image}
            for i in range(1, n + 1)
        ],
        "annotations": [
            {
                "id": 10 * i,
                "image_id": i,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [5.0, 4.0, 30.0, 36.0],
                "area": 500.0,
                "num_keypoints": len(names),
                "keypoints": person(len(names), seed=i),
            }
            for i in range(1, n + 1)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": names, "skeleton": []}],
    }


def coco_folder(folder: Path, n=3, skeleton="coco17", seed=0) -> Path:
    """A whole set on disk: ``annotations.json`` and ``images/``."""
    content = coco_content(n, skeleton)
    for image in content["images"]:
        write_image(folder / "images" / image["file_name"], seed=seed + image["id"])
    return write(folder / "annotations.json", content)
