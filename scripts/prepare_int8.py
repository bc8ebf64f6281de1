r"""Prepare bundled models for int8 and put the ranges next to their files.

    python scripts/prepare_int8.py rtmpose-s_finetuned-halpe26_256x192 --data DATA [--data DATA ...]

Each DATA is a folder in COCO form that no evaluation uses. The ranges are measured on crops of
their people (or their frames), and judged on those of other images. Users then need not prepare
anything. Run it again after a change of a model or of the method.
"""

import argparse
from pathlib import Path

import numpy as np

from rtmpose.backends import int8_preparation
from rtmpose.datasets import KeypointDataset
from rtmpose.model_card import ModelCard
from rtmpose.ops.crop import crop_people
from rtmpose.ops.decoders import keypoint_decoder
from rtmpose.ops.letterbox import letterbox
from rtmpose.paths import bundled_folder
from rtmpose.sources import read_image
from rtmpose.types import Image
from rtmpose.zoo import find

SMALLEST_PERSON = 48
"""Height in pixels: smaller people are no crops worth looking at."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="+", help="ids in the zoo, also the files' names")
    parser.add_argument(
        "--data", type=Path, required=True, action="append", help="folder in COCO form"
    )
    parser.add_argument(
        "--images", type=int, default=100, help="of each folder, to measure on, and to judge on"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    datasets = [KeypointDataset.load(folder) for folder in arguments.data]
    count = arguments.images
    for name in arguments.ids:
        card = find(name)
        path = bundled_folder() / f"{name}.onnx"
        learning = np.concatenate([inputs_of(d, list(d.images)[:count], card) for d in datasets])
        judging = np.concatenate([inputs_of(d, list(d.images)[-count:], card) for d in datasets])
        ranges = int8_preparation.measure_ranges(path, card, learning)
        record = int8_preparation.judge_ranges(path, card, ranges, judging)
        file = int8_preparation.prepared_file(record.sha256, int8_preparation.ENDING)
        int8_preparation.keep_ranges(path.parent / file.name, ranges, record)
        print(record)


def inputs_of(dataset: KeypointDataset, ids: list[int], card: ModelCard) -> np.ndarray:
    """Inputs ``(N, h, w, 3)`` of a network from images of a set."""
    parts = []
    for image_id in ids:
        image = read_image(dataset.images[image_id])
        if card.is_pose:
            parts += crops_of(dataset, image_id, image, card)
        else:
            parts.append(letterbox(image, card.input_wh)[0][None].copy())
    return np.concatenate(parts)


def crops_of(
    dataset: KeypointDataset, image_id: int, image: Image, card: ModelCard
) -> list[np.ndarray]:
    """Crops of the annotated people of an image."""
    boxes = []
    for person in dataset.annotations[image_id]:
        x, y, w, h = person["bbox"]  # xywh to xyxy
        if h >= SMALLEST_PERSON and person.get("num_keypoints") and not person.get("iscrowd"):
            boxes.append((x, y, x + w, y + h))
    if not boxes:
        return []
    xyxy = np.array(boxes, np.float32)
    return [crop_people(image, xyxy, card.input_wh, udp=keypoint_decoder(card).udp)[0].copy()]


if __name__ == "__main__":
    main()
