"""Real inputs for networks, from the package's photographs that no evaluation set contains.

They calibrate networks for reduced precision and compare exports with their originals.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.model_card import ModelCard
from rtmpose.ops.crop import crop_people
from rtmpose.ops.decoders import keypoint_decoder
from rtmpose.ops.letterbox import letterbox
from rtmpose.paths import photos_folder
from rtmpose.text_files import read_json
from rtmpose.types import FloatArray, Image

BOX_SCALES = (0.8, 1.0, 1.3)
"""Of boxes in varied crops."""
SHRUNK = 3
"""By how much the side of a crop is shrunk, for one of low resolution."""


def bundled_photos() -> list[Image]:
    """The photographs, BGR."""
    return [image for _, image in _photos()]


def bundled_crops(card: ModelCard) -> NDArray[np.uint8]:
    """Crops ``(N, h, w, 3)`` BGR of the annotated people, cut as a pose network of that card takes
    them.
    """
    return np.concatenate([_cut(image, boxes, card) for image, boxes in _people()])


def varied_crops(card: ModelCard) -> NDArray[np.uint8]:
    """The same people as other photographs may have them, ``(N, h, w, 3)`` BGR: nearer and farther,
    mirrored, and half of them of low resolution too.
    """
    crops = []
    for image, boxes in _people():
        mirrored = np.ascontiguousarray(image[:, ::-1])
        mirrored_boxes = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (image.shape[1], 0) * 2
        for view, xyxy in ((image, boxes), (mirrored, mirrored_boxes)):
            crops += [_cut(view, _resized(xyxy, scale), card) for scale in BOX_SCALES]
    sharp = np.concatenate(crops)

    # Shrunk and enlarged again, as people far away are.
    height, width = sharp.shape[1:3]
    small_wh = (width // SHRUNK, height // SHRUNK)
    blurred = [
        cv2.resize(cv2.resize(crop, small_wh, interpolation=cv2.INTER_AREA), (width, height))
        for crop in sharp[::2]
    ]
    return np.concatenate([sharp, np.stack(blurred).astype(np.uint8)])


def bundled_frames(card: ModelCard) -> NDArray[np.uint8]:
    """The whole photographs, letterboxed, and the same mirrored: ``(N, h, w, 3)`` BGR."""
    images = bundled_photos()
    images += [np.ascontiguousarray(image[:, ::-1]) for image in images]  # mirrored
    return np.stack([letterbox(image, card.input_wh)[0] for image in images])


def _people() -> Iterator[tuple[Image, FloatArray]]:
    """Each photograph with its annotated people, boxes xyxy ``(people, 4)``."""
    # Annotations in COCO's format, by image id.
    annotations = read_json(photos_folder() / "person_keypoints.json")
    ids = {image["file_name"]: image["id"] for image in annotations["images"]}

    for name, image in _photos():
        boxes = []
        for person in annotations["annotations"]:
            usable = person.get("num_keypoints") and not person.get("iscrowd")
            if usable and person["image_id"] == ids.get(name):
                x, y, w, h = person["bbox"]  # xywh to xyxy
                boxes.append((x, y, x + w, y + h))
        if boxes:
            yield image, np.array(boxes, np.float32)


def _cut(image: Image, boxes: FloatArray, card: ModelCard) -> NDArray[np.uint8]:
    """The crops ``(people, h, w, 3)`` of boxes in an image."""
    udp = keypoint_decoder(card).udp
    return crop_people(image, boxes.astype(np.float32), card.input_wh, udp=udp)[0]


def _resized(boxes: FloatArray, scale: float) -> FloatArray:
    """Boxes xyxy around the same centers."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * scale
    return np.concatenate([centers - halves, centers + halves], axis=1)


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
