"""The engine as a model for the tracker: a stream or a video of one client, whose people share
network calls with those of the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rtmpose.backends import Backend
from rtmpose.detector import Detector
from rtmpose.families import Network, OneStage
from rtmpose.pose_estimator import Boxes, PoseEstimator, as_detections
from rtmpose.serve.engine import ImageEngine
from rtmpose.serve.faults import ServiceError
from rtmpose.serve.tickets import Estimated, ImageTask
from rtmpose.types import Detections, Image, Poses, Skeleton

PAUSE_S = 0.05
"""Before a video asks again for a place in a full queue."""


class EngineModel:
    """A :class:`rtmpose.families.PoseModel` that asks an engine. Its calls wait for their results.

    Args:
        engine: Does the work.
        client: For whom.
        patient: Wait for a place where the queue is full; else that is an error.
    """

    networks: Sequence[Network] = ()

    def __init__(self, engine: ImageEngine, client: str, *, patient: bool = False) -> None:
        self._engine = engine
        self._client = client
        self._patient = patient

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""
        return self._engine.skeleton

    @property
    def needs_boxes(self) -> bool:
        """As of the engine's model."""
        return self._engine.model.needs_boxes

    @property
    def finds_people(self) -> bool:
        """As of the engine's model."""
        return self._engine.model.finds_people

    @property
    def whole_image(self) -> bool:
        """As of the engine's model."""
        return self._engine.model.whole_image

    @property
    def score_by_box(self) -> bool:
        """As of the engine's model."""
        return self._engine.model.score_by_box

    @property
    def detector(self) -> Detector | None:
        """That of the engine's model."""
        return self._engine.model.detector

    @property
    def pose(self) -> PoseEstimator | OneStage:
        """That of the engine's model."""
        return self._engine.model.pose

    def describe(self) -> dict[str, object]:
        """Models and engine."""
        return self._engine.model.describe()

    def detect(
        self, image: Image, *, box_thr: float | None = None, max_people: int | None = None
    ) -> Detections:
        """The boxes of the people in one image, highest score first."""
        task = ImageTask(image, box_thr=box_thr, max_people=max_people, boxes_only=True)
        boxes = self._wait_for([task])[0].boxes
        return Detections.empty() if boxes is None else boxes

    def estimate(
        self,
        images: Sequence[Image],
        boxes: Sequence[Boxes] | None = None,
        *,
        box_thr: float | None = None,
        max_people: int | None = None,
        flip_test: bool = False,
    ) -> list[Poses]:
        """The poses in each image."""
        given = [None] * len(images) if boxes is None else [as_detections(b) for b in boxes]
        tasks = [
            ImageTask(image, found, box_thr=box_thr, max_people=max_people)
            for image, found in zip(images, given, strict=True)
        ]
        return [estimated.poses for estimated in self._wait_for(tasks)]

    def with_backends(self, choose: Callable[[Network], Backend]) -> EngineModel:
        """Itself: its networks are not exchanged."""
        return self

    def _wait_for(self, tasks: Sequence[ImageTask]) -> list[Estimated]:
        while True:
            try:
                if len(tasks) == 1:
                    return [self._engine.answer(tasks[0], self._client)]
                futures = self._engine.submit(tasks, self._client)
            except ServiceError as error:
                if not self._patient or error.status != 429:
                    raise
                time.sleep(PAUSE_S)
                continue
            return [future.result() for future in futures]
