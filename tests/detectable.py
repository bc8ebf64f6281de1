"""A small detector, its recipe, and sets of images with boxes to train it on."""

import json

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtmpose.datasets import KeypointDataset  # noqa: E402
from rtmpose.model_card import Codec, ModelCard, Normalization  # noqa: E402
from rtmpose.networks.cspnext import CSPNeXtConfig  # noqa: E402
from rtmpose.networks.rtmdet import RTMDet, RTMDetConfig  # noqa: E402
from rtmpose.training.data import mosaic  # noqa: E402
from rtmpose.training.recipes import DetectorSettings, Recipe, override  # noqa: E402

PIXELS = Normalization((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), "bgr")
CARD = ModelCard("tiny-detector", "person detection", "tiny", (96, 96), PIXELS, Codec("rtmdet"))
SMALL = override(
    Recipe("small"),
    kind="detector",
    epochs=2,
    batch_size=4,
    lr=2e-3,
    base_batch_size=0,
    warmup_steps=5,
    grad_clip_norm=35,
    momentum=0,
    val_fraction=0,
    precision="fp32",
    workers=0,
    detector=DetectorSettings(mosaic.MosaicConfig(mosaic=0.5), category="blob"),
)


def tiny():
    torch.manual_seed(5)
    return RTMDet(RTMDetConfig(CSPNeXtConfig(0.167, 0.125), 32, 1))


def write_set(folder, n=12, seed=0, size=(120, 90)):
    """Gray noise with one to three bright upright ellipses, and their boxes."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(1, n + 1):
        width, height = size if i % 3 else size[::-1]
        inputs = rng.integers(0, 90, (height, width, 3), np.uint8)
        for _ in range(int(rng.integers(1, 4))):
            w, h = rng.uniform(10, 24), rng.uniform(20, 48)
            x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
            color = tuple(int(c) for c in rng.integers(150, 256, 3))
            cv2.ellipse(
                inputs,
                (round(x + w / 2), round(y + h / 2)),
                (round(w / 2), round(h / 2)),
                0,
                0,
                360,
                color,
                -1,
            )
            box = [round(float(v), 2) for v in (x, y, w, h)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": box,
                    "area": w * h,
                }
            )
        cv2.imwrite(str(folder / "images" / f"{i}.png"), inputs)
        images.append({"id": i, "file_name": f"{i}.png", "width": width, "height": height})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "blob"}],
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder


def edit(folder, change):
    path = folder / "boxes.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return KeypointDataset.load(folder)
