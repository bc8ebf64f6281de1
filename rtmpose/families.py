"""Model families behind one seam: what the pipeline, the tracker, the evaluation and the benchmark
call. A new family is one class with the members of :class:`PoseModel`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeGuard, cast
from weakref import WeakKeyDictionary

from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.detector import DEFAULT_DETECTOR, Detector
from rtmpose.errors import InputError
from rtmpose.model_card import HAND_DETECTOR, NOT_PEOPLE, PERSON_DETECTION, ModelCard
from rtmpose.one_stage import OneStage
from rtmpose.pose_estimator import (
    DEFAULT_POSE_MODEL,
    Boxes,
    BoxModel,
    CropModel,
    Network,
    PoseEstimator,
    TopDown,
)
from rtmpose.recognize import recognize_one_stage
from rtmpose.types import Detections, Image, Poses, Skeleton
from rtmpose.zoo import known_card, resolve

__all__ = [
    "BoxModel",
    "CropModel",
    "ModelName",
    "Network",
    "OneStage",
    "PoseModel",
    "TopDown",
    "is_one_stage",
    "open_model",
]

log = logging.getLogger(__name__)

ModelName = str | Path | ModelCard
"""A zoo name, path or URL, or a card."""


# ---- the seam


class PoseModel(Protocol):
    """Finds the poses of the people in images: :class:`TopDown`, :class:`rtmpose.OneStage`, or
    anything with the same members.
    """

    # What it is.
    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""
        ...

    @property
    def needs_boxes(self) -> bool:
        """Whether poses are estimated in boxes: given ones, or those of a detector. A model that
        needs none takes none.
        """
        ...

    @property
    def finds_people(self) -> bool:
        """Whether it finds people where no boxes are given."""
        ...

    @property
    def whole_image(self) -> bool:
        """Whether each image without boxes is taken as the box of one person."""
        ...

    @property
    def score_by_box(self) -> bool:
        """Whether a person is ranked by the box score alone when the model is scored, as published
        for it; else by that times the mean of the keypoint scores.
        """
        ...

    @property
    def detector(self) -> Detector | None:
        """The detector; None where there is none."""
        ...

    @property
    def pose(self) -> PoseEstimator | OneStage:
        """The network that finds keypoints."""
        ...

    @property
    def networks(self) -> Sequence[Network]:
        """All opened networks, that of the keypoints last; empty if one cannot be exchanged."""
        ...

    # What it does.
    def describe(self) -> dict[str, object]:
        """Models and engine, for the settings stored with results."""
        ...

    def detect(
        self, image: Image, *, box_thr: float | None = None, max_people: int | None = None
    ) -> Detections:
        """The boxes of the people in one image, highest score first."""
        ...

    def estimate(
        self,
        images: Sequence[Image],
        boxes: Sequence[Boxes] | None = None,
        *,
        box_thr: float | None = None,
        max_people: int | None = None,
        flip_test: bool = False,
    ) -> list[Poses]:
        """The poses in each image.

        Args:
            images: BGR uint8 ``(H, W, 3)``.
            boxes: Per image ``(N, 4)`` xyxy in image pixels or detections: one pose for each, in
                their order. None finds the people first.
            box_thr: Lowest score of a person who is found.
            max_people: At most this many people are found in an image, those of the highest scores.
            flip_test: Average with the mirrored image, where the model can.

        Raises:
            InputError: an image or a box is not usable, or the model cannot do what was asked.
        """
        ...

    def with_backends(self, choose: Callable[[Network], Backend]) -> PoseModel:
        """The same model, each of its networks run by the backend that ``choose`` returns for
        it.
        """
        ...


# ---- opening


def open_model(
    detector: ModelName | BoxModel | None = DEFAULT_DETECTOR,
    pose: ModelName | CropModel | PoseModel = DEFAULT_POSE_MODEL,
    *,
    options: BackendOptions | None = None,
    card: ModelCard | None = None,
    skeleton: Skeleton | None = None,
    antialias: bool = False,
    whole_image: bool = False,
) -> PoseModel:
    """Open the networks of whichever family a pose model belongs to.

    Args:
        detector: A zoo name, path or URL, a card, an opened :class:`rtmpose.Detector`, or None.
            One-stage models need none; one that is named all the same is not opened.
        pose: A zoo name, path or URL, a card, an opened :class:`rtmpose.PoseEstimator`, or a model
            of any family.
        options: Engine, device, threads, precision, for what is not open yet.
        card: Describes a pose model that the zoo does not know.
        skeleton: Keypoint set to use instead of the model's; for a pose model that is not open yet.
        antialias: See :class:`rtmpose.PoseEstimator`.
        whole_image: Without a detector, take each whole image as the box of one person.

    Raises:
        ModelError: a model is not available, is of the wrong kind, or has another number of
            keypoints than the skeleton.
        BackendError: engine or device are not available.
        InputError: a skeleton is given for a model that is open already.
    """
    # What is opened already is taken as it is.
    opened: CropModel | PoseModel
    if not isinstance(pose, str | Path | ModelCard):
        if skeleton is not None:
            raise InputError(
                "the pose model is open already: give its skeleton where it is opened, such as"
                " PoseEstimator(..., skeleton=...)"
            )
        opened = pose
    elif is_one_stage(pose, card):
        opened = OneStage(pose, options=options, card=card, skeleton=skeleton)
    else:
        opened = PoseEstimator(
            pose, options=options, card=card, skeleton=skeleton, antialias=antialias
        )

    if _is_pose_model(opened):
        if detector not in (None, DEFAULT_DETECTOR):
            log.warning(
                "%s finds people by itself; the detector is not used", opened.describe()["pose"]
            )
        return opened

    # The detector comes last: a pose model of the wrong kind fails before it is opened.
    if isinstance(detector, str | Path | ModelCard):
        detector = Detector(detector, options=options)
    if isinstance(detector, Detector) and isinstance(opened, PoseEstimator):
        _warn_of_other_boxes(detector.card, opened.card)
    return TopDown(detector, cast(CropModel, opened), whole_image=whole_image)


def _warn_of_other_boxes(detector: ModelCard, pose: ModelCard) -> None:
    """Say it where hands, faces or animals would be looked for in the boxes of people."""
    finds_people = "person" in detector.classes or not detector.classes
    if detector.task != PERSON_DETECTION or not finds_people or pose.task not in NOT_PEOPLE:
        return
    better = f"take {HAND_DETECTOR}, which finds them; " if pose.task == "hand" else ""
    log.warning(
        "%s is for %ss, and the detector %s finds whole people: %swithout a detector"
        " (--detector none) the whole image is one %s; or give boxes",
        pose.id,
        pose.task,
        detector.id,
        better,
        pose.task,
    )


def is_one_stage(model: ModelName, card: ModelCard | None = None) -> bool:
    """Whether a model finds people by itself, by its card or by the outputs of its file."""
    # A card says it, and nothing is fetched for that; without one the outputs do.
    card = card or known_card(model)
    if card is None:
        path, zoo_card = resolve(model)
        card = zoo_card or recognize_one_stage(path)
    return card is not None and card.output == "people"


def _is_pose_model(model: CropModel | PoseModel) -> TypeGuard[PoseModel]:
    # Crop models have no such member.
    return hasattr(model, "needs_boxes")


# ---- several calls at the same time

_shares: WeakKeyDictionary[Backend, dict[int, Backend]] = WeakKeyDictionary()


def open_share(network: Network, calls: int) -> Backend:
    """A network opened for so many calls at the same time, each with a share of the cores: once, as
    long as the network itself lives.
    """
    # Weakly keyed by the network with all cores: gone when it is.
    shares = _shares.setdefault(network.backend, {})
    if calls not in shares:
        options = replace(network.options, num_streams=calls)
        shares[calls] = open_backend(network.path, network.card, options)
    return shares[calls]
