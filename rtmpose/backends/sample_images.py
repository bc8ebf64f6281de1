"""Real inputs for networks, from the package's photographs that no evaluation set contains.

They calibrate networks for reduced precision and compare exports with their originals.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.model_card import ModelCard
from rtmpose.ops.crop import crop_people
from rtmpose.ops.decoders import keypoint_decoder
from rtmpose.ops.letterbox import letterbox
from rtmpose.paths import photos_folder
from rtmpose.text_files import read_json
from rtmpose.types import Image


def bundled_photos() -> list[Image]:
    """The photographs, BGR."""
    return [image for _, image in _photos()]


def bundled_crops(card: ModelCard) -> NDArray[np.uint8]:
    """Crops ``(N, h, w, 3)`` BGR of the annotated people, cut as a pose network of that card takes
    them.
    """
    # Annotations in COCO's format, by image id.
    annotations = read_json(photos_folder() / "person_keypoints.json")
    ids = {image["file_name"]: image["id"] for image in annotations["images"]}

    # Every usable person of each photograph, cut as the network's crops are.
    crops = []
    for name, image in _photos():
        boxes = []
        for person in annotations["annotations"]:
            usable = person.get("num_keypoints") and not person.get("iscrowd")
            if usable and person["image_id"] == ids.get(name):
                x, y, w, h = person["bbox"]  # xywh to xyxy
                boxes.append((x, y, x + w, y + h))
        if boxes:
            xyxy = np.array(boxes, np.float32)
            udp = keypoint_decoder(card).udp
            people, _ = crop_people(image, xyxy, card.input_wh, udp=udp)  # (people, h, w, 3)
            crops.append(people)
    return np.concatenate(crops)


def bundled_frames(card: ModelCard) -> NDArray[np.uint8]:
    """The whole photographs, letterboxed, and the same mirrored: ``(N, h, w, 3)`` BGR."""
    images = bundled_photos()
    images += [np.ascontiguousarray(image[:, ::-1]) for image in images]  # mirrored
    return np.stack([letterbox(image, card.input_wh)[0] for image in images])


def _photos() -> list[tuple[str, Image]]:
    """File names and pixels of the photographs that are in no evaluation set."""
    # Photographs that an evaluation set contains must not influence calibration.
    table = (photos_folder() / "ATTRIBUTION.tsv").read_text(encoding="utf-8")
    header, *rows = (line.split("\t") for line in table.splitlines())
    overlap = header.index("eval_overlap")
    names = [row[0] for row in rows if row[overlap].strip() != "in coco_val_subset"]

    photos = []
    for name in names:
        data = np.frombuffer((photos_folder() / name).read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        photos.append((name, np.ascontiguousarray(image, np.uint8)))
    return photos
