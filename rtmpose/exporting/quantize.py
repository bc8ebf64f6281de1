"""What static 8-bit quantization needs: calibration images, and a record.

Plain quantization ruins these networks: some channels sit far from zero and almost constant, so
that one scale for the whole tensor leaves nothing for the rest. ONNX files get ranges per channel
(:mod:`rtmpose.exporting.quantize_onnx`). For OpenVINO files
:mod:`rtmpose.exporting.equalize` comes first, which changes nothing but the ranges; then 8 bits for
convolutions alone (the gated attention is a hundredth of the work); weights scaled per channel,
biases corrected on the calibration crops. If that is not enough, the layers whose quantization does
most damage on held-out crops are kept in float.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.onnxruntime import normalization_tables
from rtmpose.detector import Detector
from rtmpose.errors import InputError
from rtmpose.exporting.verify import sample_images
from rtmpose.model_card import ModelCard
from rtmpose.ops.crop import crop_people
from rtmpose.ops.decoders import keypoint_decoder
from rtmpose.ops.letterbox import letterbox
from rtmpose.sources import read_image
from rtmpose.types import FloatArray, Image

log = logging.getLogger(__name__)

MAX_IMAGES = 300
"""Crops or frames to calibrate on."""
MAX_PEOPLE = 4
"""People taken from one image, the highest-scoring ones."""
OTHER_TASKS = ("animal", "face", "hand", "hand detection")
"""Tasks of models that crops of whole people say little about."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True)
class QuantizationRecord:
    """What a quantization did.

    Attributes:
        calibrated_on: Number of images.
        convolutions: Number of convolutions in the network.
        float_layers: Names of those kept in float.
        judged_on: Number of held-out images; 0 where nothing was tried.
        agreement: By the number of layers kept in float: agreement with the float network on those.
    """

    calibrated_on: int
    convolutions: int
    float_layers: tuple[str, ...] = ()
    judged_on: int = 0
    agreement: Mapping[int, float] = field(default_factory=dict)


def calibration_images(
    card: ModelCard, folder: Path | None, limit: int = MAX_IMAGES
) -> NDArray[np.uint8]:
    """Network inputs ``(N, h, w, 3)`` BGR from a folder's images: crops of people, or letterboxed
    frames for a detector.

    Args:
        card: Whose inputs.
        folder: Searched with all folders in it; None for the package's own photos.
        limit: At most this many inputs.

    Raises:
        InputError: there is no such folder, it has no image, or nobody is found in them.
    """
    # Without a folder the package's photos must do, which show people.
    if folder is None:
        if not is_about_people(card):
            raise InputError(
                f"{card.id} is for {card.task}, and the photos of this package show people: name a"
                " folder of images of what it is for (--calibrate FOLDER), for --precision int8"
            )
        return sample_images(card)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: nothing to calibrate on")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{folder} has no images to calibrate on ({', '.join(SUFFIXES)})")

    # Frames are spread over the folder; crops are taken until there are enough.
    takes_frames = card.output in ("boxes", "people")
    if takes_frames:
        files = files[:: max(1, len(files) // limit)]
    # Where the package's detector finds nothing of use, an image is a crop.
    detector = None if takes_frames or not is_about_people(card) else Detector()

    # Unreadable files are skipped; calibration stops at the limit.
    parts: list[NDArray[np.uint8]] = []
    for file in files:
        try:
            image = read_image(file)
        except InputError as error:
            log.warning("skipped: %s", error)
            continue
        if takes_frames:
            parts.append(letterbox(image, card.input_wh)[0][None].copy())
        elif detector is None:
            height, width = image.shape[:2]
            parts.append(_cut(image, np.array([[0, 0, width, height]], np.float32), card))
        else:
            people = detector(image)[:MAX_PEOPLE]  # the highest-scoring come first
            if len(people):
                parts.append(_cut(image, people.boxes, card))
        if sum(map(len, parts)) >= limit:
            break
    if not parts:
        raise InputError(f"nobody was found in the images of {folder}: nothing to calibrate on")
    return np.concatenate(parts)[:limit]


def is_about_people(card: ModelCard) -> bool:
    """Whether a model is for people: what the package's photos show, and its detector finds."""
    if card.classes:
        return "person" in card.classes
    return card.own_skeleton is None and card.task not in OTHER_TASKS


def _cut(image: Image, boxes: FloatArray, card: ModelCard) -> NDArray[np.uint8]:
    """Crops ``(N, h, w, 3)`` of boxes xyxy."""
    udp = card.is_pose and keypoint_decoder(card).udp
    return crop_people(image, boxes, card.input_wh, udp=udp)[0]


def normalized_inputs(card: ModelCard, images: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """One normalized ``(1, 3, h, w)`` float32 array after the other."""
    # The same look-up tables as at run time, so that the ranges are those of real inputs.
    tables = normalization_tables(card.normalization)
    order = (2, 1, 0) if card.normalization.color == "rgb" else (0, 1, 2)
    for image in images:
        # Three planes (h, w).
        planes = [table[image[..., c]] for c, table in zip(order, tables, strict=True)]
        yield np.stack(planes)[None]
