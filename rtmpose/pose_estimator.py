"""Keypoints of the people in given boxes, all of them in one call of the network."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.errors import InputError, ModelError
from rtmpose.model_card import Codec, ModelCard, Normalization
from rtmpose.ops import crop, heatmap, simcc
from rtmpose.skeletons import generic_skeleton, skeleton_for_count, skeleton_of
from rtmpose.types import Detections, FloatArray, Image, Poses, Skeleton, check_image
from rtmpose.zoo import resolve

DEFAULT_POSE_MODEL = "rtmpose-s-finetuned"
LARGEST_BATCH = 64
"""People per network call; more go in turns, so that a crowd does not exhaust the memory."""

RTMPOSE_PIXELS = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")

Outputs = tuple[NDArray[Any], ...]


class PoseEstimator:
    """A top-down pose network with its cropping and decoding.

    Calling it is the three steps ``crop``, ``network`` and ``decode`` one after the other.

    Args:
        model: Name from the zoo, path or URL of an ``.onnx`` file, or a card. SimCC and heat-map
            networks of any keypoint count, with dynamic or fixed batch.
        options: Engine, device, threads, precision.
        card: Describes a file the zoo does not know; without it the RTMPose conventions are
            assumed.
        skeleton: Keypoint set of a file the zoo does not know; without it the one with that many
            points.
        antialias: Cut people who are larger than their crops without aliasing: for photographs,
            where it is worth a little accuracy (docs/evaluation.md); in videos the time is better
            spent otherwise.

    Raises:
        ModelError: the model cannot be had, is damaged, or is not a pose network.
        BackendError: engine or device are not available.
    """

    def __init__(
        self,
        model: str | Path | ModelCard = DEFAULT_POSE_MODEL,
        *,
        options: BackendOptions | None = None,
        card: ModelCard | None = None,
        skeleton: Skeleton | None = None,
        antialias: bool = False,
    ) -> None:
        path, known = resolve(model)
        card = card or known or _assumed_card(path)
        if not card.is_pose:
            raise ModelError(
                f"{card.id} is for {card.task}, not a pose model; `rtmpose models list` shows those"
            )
        self.path, self.antialias = path, antialias
        self.options = options or BackendOptions()
        self.backend: Backend = open_backend(path, card, self.options)
        self.card = _with_real_size(card, self.backend, path)
        self._local = threading.local()  # a buffer for crops per thread
        self.skeleton = self._check_outputs(skeleton)

    def __call__(self, image: Image, boxes: Detections | Any, *, flip_test: bool = False) -> Poses:
        """Estimate the pose in each box.

        Args:
            image: BGR uint8 ``(H, W, 3)``.
            boxes: ``(N, 4)`` xyxy in image pixels, or detections. They may reach past the image.
            flip_test: Average with the mirrored crop: a little more accurate, twice the time.

        Raises:
            InputError: the image or a box is not usable.
        """
        return self.estimate_batch([image], [boxes], flip_test=flip_test)[0]

    def with_backend(self, backend: Backend) -> PoseEstimator:
        """The same estimator, its network run by another backend."""
        other = copy(self)
        other.backend = backend
        return other

    def estimate_batch(
        self, images: Sequence[Image], boxes: Sequence[Detections | Any], *, flip_test: bool = False
    ) -> list[Poses]:
        """The same for several images at once: the people of all of them share the network's
        batches.
        """
        if len(images) != len(boxes):
            raise InputError(f"{len(images)} images need as many sets of boxes, not {len(boxes)}")
        detections = [b if isinstance(b, Detections) else Detections.from_boxes(b) for b in boxes]
        crops, matrices = self.crop(images, detections)
        outputs = self.infer(crops)
        if flip_test:
            if self._decoded:
                raise InputError(
                    f"{self.path.name} decodes inside, so its outputs cannot be averaged: no flip"
                    " test"
                )
            outputs = self._average(outputs, self.infer(np.ascontiguousarray(crops[:, :, ::-1])))
        return self.decode(outputs, matrices, detections)

    def crop(
        self, images: Sequence[Image], detections: Sequence[Detections]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Crops ``(N, h, w, 3)`` of all people, in a buffer that this thread's next call
        overwrites, and their maps.
        """
        total, (width, height) = sum(map(len, detections)), self.card.input_wh
        buffer = getattr(self._local, "crops", None)
        if buffer is None or len(buffer) < total:
            buffer = self._local.crops = np.empty((total, height, width, 3), np.uint8)
        maps, start = [np.zeros((0, 2, 3))], 0
        for image, found in zip(images, detections, strict=True):
            check_image(image)
            out = buffer[start : start + len(found)]
            _, own = crop.crop_people(
                image, found.boxes, self.card.input_wh, out, udp=self._udp, antialias=self.antialias
            )
            maps.append(own)
            start += len(found)
        return buffer[:total], np.concatenate(maps)

    def infer(self, crops: NDArray[np.uint8]) -> Outputs:
        """Raw outputs for crops ``(N, h, w, 3)``; a fixed batch size of the file is met by filling
        up.
        """
        fixed = self.backend.input.shape[0]
        step = fixed or LARGEST_BATCH
        if not len(crops):
            return ()
        if fixed is None and len(crops) <= step:
            return self.backend(crops)
        parts = []
        for start in range(0, len(crops), step):
            part = crops[start : start + step]
            if fixed and len(part) < fixed:
                part = np.concatenate(
                    [part, np.zeros((fixed - len(part), *part.shape[1:]), np.uint8)]
                )
            parts.append(self.backend(part))
        return tuple(np.concatenate(column)[: len(crops)] for column in zip(*parts, strict=True))

    def decode(
        self, outputs: Outputs, matrices: NDArray[np.float64], detections: Sequence[Detections]
    ) -> list[Poses]:
        """Network outputs as poses in image pixels, one ``Poses`` per image."""
        if not outputs:
            return [Poses.empty(self.skeleton, self.card.calibration) for _ in detections]
        keypoints, scores = self._locate(outputs)
        keypoints = crop.uncrop(keypoints, matrices)
        poses, start, calibration = [], 0, self.card.calibration
        for found in detections:
            rows = slice(start, start + len(found))
            points = (keypoints[rows], scores[rows])
            poses.append(
                Poses(found.boxes, found.scores, *points, self.skeleton, calibration=calibration)
            )
            start = rows.stop
        return poses

    @property
    def _decoded(self) -> bool:
        """Whether the file decodes itself: keypoints ``(N, K, 2)`` in crop pixels and scores ``(N,
        K)`` come out.
        """
        return [o.name for o in self.backend.outputs] == ["keypoints", "scores"]

    @property
    def _udp(self) -> bool:
        return self.card.codec.kind == "heatmap"

    def _locate(self, outputs: Outputs) -> tuple[FloatArray, FloatArray]:
        if self._decoded:
            return outputs[0].astype(np.float32, copy=False), outputs[1].astype(
                np.float32, copy=False
            )
        if self._udp:
            blur = 17 if self.card.codec.sigma and self.card.codec.sigma[0] >= 3 else 11
            return heatmap.decode(
                outputs[0].astype(np.float32, copy=False), self.card.input_wh, blur
            )
        x, y = (o.astype(np.float32, copy=False) for o in outputs)
        return simcc.decode(x, y, self.card.codec.split_ratio)

    def _average(self, outputs: Outputs, mirrored: Outputs) -> Outputs:
        if not outputs:
            return outputs
        flip = self.skeleton.flip_indices
        back = (
            (heatmap.flip_back(mirrored[0], flip),)
            if self._udp
            else simcc.flip_back(mirrored[0], mirrored[1], flip)
        )
        return tuple((a + b) * 0.5 for a, b in zip(outputs, back, strict=True))

    def _check_outputs(self, skeleton: Skeleton | None) -> Skeleton:
        """Run one black crop: warms the engine up and shows what the network really returns."""
        width, height = self.card.input_wh
        shapes = [o.shape for o in self.infer(np.zeros((1, height, width, 3), np.uint8))]
        problem = (
            f"{self.path} is not a pose model of this kind: it returns arrays of shape {shapes}, "
        )
        if self._decoded:
            if len(shapes) != 2 or shapes[0] != (*shapes[1], 2):
                raise ModelError(
                    problem + "where keypoints (N, K, 2) and scores (N, K) were expected"
                )
        elif self._udp:
            if len(shapes) != 1 or len(shapes[0]) != 4:
                raise ModelError(problem + "where one heat map (N, K, h, w) was expected")
        else:
            ratio = self.card.codec.split_ratio
            bins = [round(width * ratio), round(height * ratio)]
            if (
                len(shapes) != 2
                or any(len(s) != 3 for s in shapes)
                or [s[2] for s in shapes] != bins
            ):
                raise ModelError(
                    problem
                    + f"where SimCC vectors (N, K, {bins[0]}) and (N, K, {bins[1]}) were expected"
                )
        count = shapes[0][1]
        if skeleton is None:
            named = skeleton_of(self.card) or skeleton_for_count(count)
            skeleton = named or generic_skeleton(count)
        if len(skeleton) != count:
            raise ModelError(
                f"{self.path} returns {count} keypoints, but {skeleton.name} has {len(skeleton)}"
            )
        if self.card.calibration is not None and len(self.card.calibration.slope) not in (1, count):
            raise ModelError(
                f"the calibration in the card of {self.path} is of"
                f" {len(self.card.calibration.slope)} keypoints, not {count}; make a new one with"
                " rtmpose eval --calibrate"
            )
        return skeleton


def _assumed_card(path: Path) -> ModelCard:
    return ModelCard(
        path.name, "pose estimation", "unknown", (0, 0), RTMPOSE_PIXELS, Codec("simcc")
    )


def _with_real_size(card: ModelCard, backend: Backend, path: Path) -> ModelCard:
    """The card with the size and the coding that the file itself shows, where the card leaves them
    open.
    """
    height, width = backend.input.shape[2:]
    if card.input_wh != (0, 0):
        if None not in (width, height) and card.input_wh != (width, height):
            raise ModelError(
                f"{path} takes {width}x{height} pixels, but {card.id} takes {card.input_wh}"
            )
        return card
    if width is None or height is None:
        raise ModelError(f"{path} does not say its input size; pass a ModelCard that does")
    shapes = [o.shape for o in backend.outputs]
    if len(shapes) == 1 and len(shapes[0]) == 4:
        map_h, map_w = shapes[0][2] or height // 4, shapes[0][3] or width // 4
        return replace(
            card, input_wh=(width, height), codec=Codec("heatmap", heatmap_wh=(map_w, map_h))
        )
    bins = shapes[0][-1] if shapes and shapes[0] else None
    ratio = bins / width if bins else 2.0
    return replace(card, input_wh=(width, height), codec=Codec("simcc", split_ratio=ratio))
