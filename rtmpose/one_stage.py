"""One-stage models: people and their keypoints from whole frames, without a detector."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.errors import InputError, ModelError
from rtmpose.keywords import checked_keywords
from rtmpose.model_card import Codec, ModelCard
from rtmpose.ops.boxes import box_area, oks_nms
from rtmpose.ops.decoders import people_decoder
from rtmpose.ops.letterbox import (
    letterbox,
    letterbox_centered,
    unletterbox_centered,
)
from rtmpose.ranges import FRACTION, check_number, check_optional
from rtmpose.recognize import RAW_PIXELS, recognize_one_stage
from rtmpose.skeletons import skeleton_of_outputs
from rtmpose.types import Detections, Image, Outputs, Poses, Skeleton, check_image
from rtmpose.value_types import one_process
from rtmpose.zoo import resolve

DEFAULT_BOX_THR = 0.3
SAME_PERSON_OKS = 0.9
"""Similarity above which the lower-scoring of two poses is a duplicate; the published evaluation of
top-down models uses it.
"""
Placement = tuple[float, tuple[float, float]]
"""The factor from image to canvas pixels, and where the image's corner lies on the canvas."""


@one_process
class OneStage:
    """A one-stage network (RTMO, YOLO pose models) with its letterbox and decoding: a model family
    like :class:`rtmpose.families.TopDown`.

    Calling it is the three steps :meth:`letterbox`, :meth:`infer` and :meth:`decode`.

    Args:
        model: Name from the zoo, path or URL of an ``.onnx`` file, or a card.
        options: Engine, device, threads, precision.
        card: Describes a file the zoo does not know; without it RTMO's conventions are assumed: BGR
            values 0..255, the frame centered on gray 114.
        skeleton: Keypoint set of a file the zoo does not know; without it the one with that many
            points.
        box_thr: Lowest box score returned unless a call says otherwise. The published files return
            nobody below 0.15 or so.

    May be called from several threads.

    Raises:
        ModelError: the model is not available, is damaged, or is not a one-stage model.
        BackendError: engine or device are not available.
    """

    needs_boxes = False
    finds_people = True
    whole_image = False
    score_by_box = True
    detector = None

    @checked_keywords
    def __init__(
        self,
        model: str | Path | ModelCard,
        *,
        options: BackendOptions | None = None,
        card: ModelCard | None = None,
        skeleton: Skeleton | None = None,
        box_thr: float = DEFAULT_BOX_THR,
    ) -> None:
        self.box_thr = check_number("box_thr", box_thr, FRACTION)

        # As for other families: what the zoo knows, else the conventions.
        path, zoo_card = resolve(model)
        card = card or zoo_card or recognize_one_stage(path) or assumed_card(path)
        self._decoder = people_decoder(card)
        self.path = path
        self.options = options or BackendOptions()
        self.backend: Backend = open_backend(path, card, self.options)
        self.card = _with_real_size(card, self.backend, path)
        self._local = threading.local()  # a canvas per thread
        self.skeleton = self._check_outputs(skeleton)

    def __repr__(self) -> str:
        return f"OneStage({self.card.id!r}, {self.backend.engine} on {self.backend.device})"

    @property
    def pose(self) -> OneStage:
        """The network that finds keypoints: this one."""
        return self

    @property
    def networks(self) -> tuple[OneStage, ...]:
        """The networks of the model."""
        return (self,)

    def __call__(self, image: Image, *, box_thr: float | None = None) -> Poses:
        """The people in one image.

        Args:
            image: BGR uint8 ``(H, W, 3)``.
            box_thr: Lowest box score to return, 0..1.

        Returns:
            Poses in image pixels, highest box score first.

        Raises:
            InputError: the image is not usable.
        """
        check_optional("box_thr", box_thr, FRACTION)
        canvas, placement = self.letterbox(image)
        return self.decode(self.infer(canvas), placement, box_thr=box_thr)

    def estimate(
        self,
        images: Sequence[Image],
        boxes: Sequence[object] | None = None,
        *,
        box_thr: float | None = None,
        max_people: int | None = None,
        flip_test: bool = False,
    ) -> list[Poses]:
        """The people in each image. See :class:`rtmpose.families.PoseModel`.

        Images are run one by one: in a batch the published files mix up the rows of its images.

        Raises:
            InputError: an image is not usable, or boxes or a flip test were asked for.
        """
        if boxes is not None:
            raise InputError(
                f"{self.card.id} is a one-stage model, which finds people by itself: it takes no"
                " boxes"
            )
        if flip_test:
            raise InputError(
                f"{self.card.id} is a one-stage model: its outputs cannot be averaged with those of"
                " the mirrored image, so there is no flip test"
            )
        return [self(image, box_thr=box_thr)[:max_people] for image in images]

    def detect(
        self, image: Image, *, box_thr: float | None = None, max_people: int | None = None
    ) -> Detections:
        """The boxes of the people in one image, highest score first."""
        # Poses are found anyway: the boxes come with them.
        poses = self(image, box_thr=box_thr)[:max_people]
        return Detections(poses.boxes, poses.box_scores, np.zeros(len(poses), np.int64))

    def describe(self) -> dict[str, object]:
        """Models and engine, for the settings stored with results."""
        return {
            "pose": self.card.id,
            "detector": None,
            "engine": self.backend.engine,
            "device": self.backend.device,
            "precision": self.backend.precision,
        }

    def with_backends(self, choose: Callable[[OneStage], Backend]) -> OneStage:
        """The same model, its network run by another backend."""
        other = copy(self)
        other.backend = choose(self)
        return other

    # ---- the three steps of a frame

    def letterbox(self, image: Image) -> tuple[NDArray[np.uint8], Placement]:
        """The image as a network batch ``(1, h, w, 3)``, overwritten by this thread's next call,
        and its placement.
        """
        check_image(image)
        # A canvas per thread; the size never changes.
        width, height = self.card.input_wh
        canvas: NDArray[np.uint8] | None = getattr(self._local, "canvas", None)
        if canvas is None:
            canvas = self._local.canvas = np.empty((1, height, width, 3), np.uint8)

        # Centered, as the model was trained last, or in the top left corner.
        if self._decoder.centered:
            _, ratio, offset = letterbox_centered(image, self.card.input_wh, canvas[0])
            return canvas, (ratio, offset)
        _, factors = letterbox(image, self.card.input_wh, canvas[0], truncate=True)
        return canvas, (factors[0], (0.0, 0.0))

    def infer(self, canvas: NDArray[np.uint8]) -> Outputs:
        """Raw outputs for a batch ``(1, h, w, 3)``; where the file fixes the batch size, the image
        is repeated.
        """
        fixed = self.backend.input.shape[0] or 1
        # With a fixed batch the image fills all its places; the first result counts.
        if fixed == 1:
            return self.backend(canvas)
        outputs = self.backend(np.repeat(canvas, fixed, axis=0))
        return tuple(output[:1] for output in outputs)

    def decode(
        self, outputs: Outputs, placement: Placement, *, box_thr: float | None = None
    ) -> Poses:
        """Network outputs as poses in image pixels."""
        thr = self.box_thr if box_thr is None else box_thr
        people = self._decoder.decode(outputs, thr, str(self.path))

        # Two poses of one person may differ in their boxes.
        rows = np.arange(len(people))
        if len(people) > 1 and self.skeleton.sigmas:
            # (N, K, 3)
            points = np.concatenate([people.keypoints, people.scores[..., None]], axis=2)
            areas = box_area(people.boxes)
            sigmas = self.skeleton.sigmas
            rows = np.sort(oks_nms(points, people.box_scores, areas, sigmas, SAME_PERSON_OKS))

        # Corners are points too: (N, 4) as (N, 2, 2), and back.
        ratio, offset = placement
        corners = people.boxes[rows].reshape(-1, 2, 2)
        return Poses(
            unletterbox_centered(corners, ratio, offset).reshape(-1, 4),
            people.box_scores[rows],
            unletterbox_centered(people.keypoints[rows], ratio, offset),
            people.scores[rows],
            self.skeleton,
            calibration=self.card.calibration,
        )

    def _check_outputs(self, skeleton: Skeleton | None) -> Skeleton:
        """Run one black frame: it warms the engine up and shows what the network really returns."""
        width, height = self.card.input_wh
        outputs = self.infer(np.zeros((1, height, width, 3), np.uint8))
        people = self._decoder.decode(outputs, 0.0, str(self.path))  # raises for another layout
        count = people.keypoints.shape[1]
        if skeleton is None:
            skeleton = skeleton_of_outputs(self.card, count, self.path)
        if len(skeleton) != count:
            raise ModelError(
                f"{self.path} returns {count} keypoints, but {skeleton.name} has {len(skeleton)}"
            )
        return skeleton


def assumed_card(path: Path) -> ModelCard:
    """The card of a file of which only the layout is known."""
    return ModelCard(path.name, "body", "rtmo", (0, 0), RAW_PIXELS, Codec("rtmo"))


def _with_real_size(card: ModelCard, backend: Backend, path: Path) -> ModelCard:
    """The card with the input size of the file itself."""
    # The file's own size goes before the card's.
    height, width = backend.input.shape[2:]
    size = (width or card.input_wh[0], height or card.input_wh[1])
    if 0 in size:
        raise ModelError(f"{path} does not say its input size; pass a ModelCard that does")
    return replace(card, input_wh=size)
