"""Top-down models: the keypoints of people in given or detected boxes, all in one network call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.backends.loading import card_of_file
from rtmpose.crowds import LARGEST_CROWD, in_parts
from rtmpose.detector import Detector
from rtmpose.errors import InputError, ModelError
from rtmpose.keywords import checked_keywords
from rtmpose.model_card import ModelCard
from rtmpose.ops import crop
from rtmpose.ops.decoders import keypoint_decoder, y_first
from rtmpose.pose_card import assumed_card, complete_card
from rtmpose.ranges import check_flag
from rtmpose.skeletons import skeleton_of_outputs
from rtmpose.types import (
    Detections,
    Image,
    Outputs,
    Poses,
    Skeleton,
    check_boxes,
    check_image,
)
from rtmpose.value_types import one_process
from rtmpose.zoo import known_card, resolve

# ---- one network


DEFAULT_POSE_MODEL = "rtmpose-s-finetuned"
LARGEST_BATCH = 64
"""People per network call; more take several calls, so that a crowd does not exhaust the memory."""

Boxes = Detections | ArrayLike
"""``(N, 4)`` xyxy in image pixels, or detections."""


def as_detections(boxes: Boxes) -> Detections:
    """Boxes as detections, scored 1 if they have no scores.

    Raises:
        InputError: a box holds NaN or infinity, or has no positive width and height.
    """
    if not isinstance(boxes, Detections):
        return Detections.from_boxes(boxes)
    # Networks give boxes of any form, which detectors sort out; people may give theirs here.
    check_boxes(boxes.boxes)
    return boxes


@one_process
class PoseEstimator:
    """A top-down pose network with its cropping and decoding.

    Calling it is the steps :meth:`crop`, :meth:`infer` and :meth:`decode` one after the other.

    Args:
        model: Name from the zoo, path or URL of an ``.onnx`` file, or a card. SimCC and heat-map
            networks of any keypoint count, with dynamic or fixed batch.
        options: Engine, device, threads, precision.
        card: Describes a file the zoo does not know; without it the RTMPose conventions are
            assumed.
        skeleton: Keypoint set of a file the zoo does not know; without it the one with that many
            points.
        antialias: Cut people who are larger than their crops without aliasing: for photographs,
            where it improves accuracy a little (docs/evaluation.md); in videos the time is better
            spent otherwise.

    Raises:
        ModelError: the model is not available, is damaged, or is not a pose network.
        BackendError: engine or device are not available.
    """

    @checked_keywords
    def __init__(
        self,
        model: str | Path | ModelCard = DEFAULT_POSE_MODEL,
        *,
        options: BackendOptions | None = None,
        card: ModelCard | None = None,
        skeleton: Skeleton | None = None,
        antialias: bool = False,
    ) -> None:
        self.antialias = check_flag("antialias", antialias)
        # A model of another kind is not worth its download.
        named = card or known_card(model)
        if named is not None:
            keypoint_decoder(named)
        path, zoo_card = resolve(model)
        card = card or zoo_card or card_of_file(path) or assumed_card(path)
        keypoint_decoder(card)  # raises for a card of another kind
        # The file is opened before the card is complete: it knows the real size.
        self.path = path
        self.options = options or BackendOptions()
        self.backend: Backend = open_backend(path, card, self.options)
        self.card, self._decoder = complete_card(card, self.backend, path)
        self._udp = keypoint_decoder(self.card).udp
        self._local = threading.local()  # a buffer for crops per thread
        self.skeleton = self._check_outputs(skeleton)

    def __call__(self, image: Image, boxes: Boxes, *, flip_test: bool = False) -> Poses:
        """Estimate the pose in each box.

        Args:
            image: BGR uint8 ``(H, W, 3)``.
            boxes: ``(N, 4)`` xyxy in image pixels, or detections. They may reach past the image.
            flip_test: Average with the mirrored crop: a little more accurate, twice the time.

        Raises:
            InputError: the image or a box is not usable.
        """
        return self.estimate_batch([image], [boxes], flip_test=flip_test)[0]

    def __repr__(self) -> str:
        return f"PoseEstimator({self.card.id!r}, {self.backend.engine} on {self.backend.device})"

    def with_backend(self, backend: Backend) -> PoseEstimator:
        """The same estimator, its network run by another backend."""
        other = copy(self)
        other.backend = backend
        return other

    def estimate_batch(
        self, images: Sequence[Image], boxes: Sequence[Boxes], *, flip_test: bool = False
    ) -> list[Poses]:
        """The same for several images at once: the people of all of them share the network's
        batches.
        """
        if len(images) != len(boxes):
            raise InputError(f"{len(images)} images need as many sets of boxes, not {len(boxes)}")
        detections = [as_detections(b) for b in boxes]
        if sum(map(len, detections)) > LARGEST_CROWD:
            return in_parts(partial(self, flip_test=flip_test), images, detections)
        crops, matrices = self.crop(images, detections)
        outputs = self.infer(crops)
        if flip_test:
            # Flipped along x.
            outputs = self._average(outputs, self.infer(np.ascontiguousarray(crops[:, :, ::-1])))
        return self.decode(outputs, matrices, detections)

    def crop(
        self, images: Sequence[Image], detections: Sequence[Detections]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Crops ``(N, h, w, 3)`` of all people, in a buffer that this thread's next call
        overwrites, and their maps.
        """
        # The buffer of this thread, grown to the largest crowd so far.
        total = sum(map(len, detections))
        width, height = self.card.input_wh
        buffer = getattr(self._local, "crops", None)
        if buffer is None or len(buffer) < total:
            buffer = self._local.crops = np.empty((total, height, width, 3), np.uint8)

        # The people of all images one after the other, as one batch.
        matrices = [np.zeros((0, 2, 3))]
        start = 0
        for image, found in zip(images, detections, strict=True):
            check_image(image)
            out = buffer[start : start + len(found)]
            _, of_image = crop.crop_people(
                image, found.boxes, self.card.input_wh, out, udp=self._udp, antialias=self.antialias
            )
            matrices.append(of_image)
            start += len(found)
        return buffer[:total], np.concatenate(matrices)

    def infer(self, crops: NDArray[np.uint8]) -> Outputs:
        """Raw outputs for crops ``(N, h, w, 3)``; where the file fixes the batch size, the batch is
        padded to it.
        """
        fixed = self.backend.input.shape[0]
        step = fixed or LARGEST_BATCH

        # The usual case takes one call and copies nothing.
        if not len(crops):
            return ()
        if fixed is None and len(crops) <= step:
            return self.backend(crops)

        # Larger crowds in steps; the last one filled up with black crops where the batch is fixed.
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
        keypoints, scores = self._decoder.decode(outputs, self.card)  # (N, K, 2), (N, K)
        keypoints = crop.uncrop(keypoints, matrices)  # image pixels

        # Back from one batch to the people of each image.
        poses = []
        start = 0
        for found in detections:
            rows = slice(start, start + len(found))
            poses.append(
                Poses(
                    found.boxes,
                    found.scores,
                    keypoints[rows],
                    scores[rows],
                    self.skeleton,
                    calibration=self.card.calibration,
                )
            )
            start = rows.stop
        return poses

    def _average(self, outputs: Outputs, mirrored: Outputs) -> Outputs:
        """The mean of outputs and of those of the mirrored crops."""
        flip_back = self._decoder.flip_back
        if flip_back is None:
            raise InputError(
                f"{self.path.name} decodes inside, so its outputs cannot be averaged: no flip test"
            )
        if not outputs:
            return outputs

        # Left and right are exchanged back before the mean is taken.
        back = flip_back(mirrored, self.skeleton.flip_indices)
        return tuple(
            (np.asarray(a, np.float32) + b) * np.float32(0.5)
            for a, b in zip(outputs, back, strict=True)
        )

    def _check_outputs(self, skeleton: Skeleton | None) -> Skeleton:
        """Run one black crop: it warms the engine up and shows what the network really returns."""
        # A batch of one, as for a single person.
        width, height = self.card.input_wh
        shapes = [o.shape for o in self.infer(np.zeros((1, height, width, 3), np.uint8))]
        expected = self._decoder.expected(shapes, self.card)
        # Where width and height differ, the lengths tell which vector is of which.
        if expected and self.card.codec.kind == "simcc" and len(shapes) == 2:
            other = y_first(self._decoder)
            if not other.expected(shapes, self.card):
                self._decoder = other
                expected = ""
        if expected:
            raise ModelError(
                f"{self.path} is not a pose model of this kind: it returns arrays of shape"
                f" {shapes}, where {expected} {'was' if expected.startswith('one') else 'were'}"
                " expected"
            )

        # The keypoint set must fit what comes out.
        count = shapes[0][1]  # keypoints
        if skeleton is None:
            skeleton = skeleton_of_outputs(self.card, count, self.path)
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


# ---- what a top-down model is made of


class Network(Protocol):
    """One opened network of a model: :class:`rtmpose.Detector`, :class:`rtmpose.PoseEstimator` or
    :class:`rtmpose.OneStage`.
    """

    path: Path
    card: ModelCard
    options: BackendOptions
    backend: Backend


BoxModel = Callable[..., Detections]
"""Called with an image and ``box_thr``: :class:`rtmpose.Detector`, or anything like it."""


class CropModel(Protocol):
    """Finds the keypoints of people in boxes: :class:`rtmpose.PoseEstimator`, or anything with
    these members.
    """

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""
        ...

    def estimate_batch(
        self, images: Sequence[Image], boxes: Sequence[Boxes], *, flip_test: bool = False
    ) -> list[Poses]:
        """One pose for each box of each image, in the same order."""
        ...


# ---- detector and pose network together


class TopDown:
    """A detector finds people, a pose network their keypoints: a model family. See
    :class:`rtmpose.families.PoseModel`.

    Args:
        detector: Opened detector; None where boxes come with each image.
        pose: Opened pose estimator, or another :class:`CropModel`.
        whole_image: Without a detector, take each whole image as the box of one person.
    """

    needs_boxes = True
    score_by_box = False

    def __init__(
        self, detector: BoxModel | None, pose: CropModel, *, whole_image: bool = False
    ) -> None:
        # Stand-ins serve as well, as long as nobody asks for their networks.
        self.detector = cast(Detector | None, detector)
        self.pose = cast(PoseEstimator, pose)
        self.whole_image = whole_image and detector is None

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""
        return self.pose.skeleton

    def __repr__(self) -> str:
        return f"TopDown({self.detector!r}, {self.pose!r})"

    @property
    def finds_people(self) -> bool:
        """Whether there is a detector."""
        return self.detector is not None

    @property
    def networks(self) -> tuple[Network, ...]:
        """Detector and pose network; empty where one of them is not of this package."""
        used: list[Detector | PoseEstimator] = [self.pose]
        if self.detector is not None:
            used.insert(0, self.detector)
        return tuple(used) if all(isinstance(n, Detector | PoseEstimator) for n in used) else ()

    def describe(self) -> dict[str, object]:
        """Models and engine, for the settings stored with results."""
        backend = getattr(self.pose, "backend", None)
        engine = {name: getattr(backend, name, None) for name in ("engine", "device", "precision")}
        return {
            "pose": _card_id(self.pose),
            "detector": _card_id(self.detector),
            **engine,
            "antialias": getattr(self.pose, "antialias", False),
        }

    def detect(
        self, image: Image, *, box_thr: float | None = None, max_people: int | None = None
    ) -> Detections:
        """The boxes of the people in one image, highest score first."""
        # With a detector, it decides; without one the caller has to want the whole image.
        check_image(image)
        if self.detector is not None:
            return self.detector(image, box_thr=box_thr)[:max_people]
        if not self.whole_image:
            raise InputError(
                "there is no detector: pass boxes with each image, or whole_image=True to take"
                " each image as the box of one person"
            )
        height, width = image.shape[:2]
        return Detections.from_boxes(np.array([[0, 0, width, height]], np.float32))

    def estimate(
        self,
        images: Sequence[Image],
        boxes: Sequence[Boxes] | None = None,
        *,
        box_thr: float | None = None,
        max_people: int | None = None,
        flip_test: bool = False,
    ) -> list[Poses]:
        """The poses in each image; those of all images share the pose network's batches."""
        # Given boxes keep their order; found ones come by score.
        if boxes is None:
            boxes = [self.detect(i, box_thr=box_thr, max_people=max_people) for i in images]
        if flip_test:
            return self.pose.estimate_batch(images, boxes, flip_test=True)
        return self.pose.estimate_batch(images, boxes)

    def with_backends(self, choose: Callable[[Network], Backend]) -> TopDown:
        """The same model, both networks run by other backends."""
        detector = self.detector
        if detector is not None:
            detector = detector.with_backend(choose(detector))
        pose = self.pose.with_backend(choose(self.pose))
        return TopDown(detector, pose, whole_image=self.whole_image)


def _card_id(model: object) -> str | None:
    return getattr(getattr(model, "card", None), "id", None)
