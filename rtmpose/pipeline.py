"""The way of a frame: source -> detect -> crop -> network -> decode -> draw or write. This file
shows all of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtmpose.backends import BackendOptions
from rtmpose.detector import DEFAULT_DETECTOR, DEFAULT_SCORE_THR, Detector
from rtmpose.errors import InputError
from rtmpose.model_card import ModelCard
from rtmpose.pose_estimator import DEFAULT_POSE_MODEL, PoseEstimator
from rtmpose.sources import SourceItem, expand_sources, iterate
from rtmpose.types import Detections, Frame, Image, Poses, Skeleton, check_image

__all__ = ["DEFAULT_DETECTOR", "DEFAULT_POSE_MODEL", "Pipeline", "predict"]

log = logging.getLogger(__name__)

AnyModel = str | Path | ModelCard


@dataclass(frozen=True, eq=False)
class Result:
    """A frame and the poses found in it: what :func:`rtmpose.predict` yields.

    Iterating gives ``frame, poses``, so ``for frame, poses in predict(...)`` works too.
    """

    frame: Frame
    poses: Poses

    def __iter__(self) -> Iterator[Any]:
        return iter((self.frame, self.poses))

    def draw(self, **options: Any) -> Image:
        """A copy of the image with the skeletons drawn on it; options as in
        :func:`rtmpose.draw_poses`.
        """
        from rtmpose.draw import draw_poses

        return draw_poses(self.frame.image, self.poses, **options)


class Pipeline:
    """Finds the people of an image and their keypoints. Holds the opened networks; use it for many
    images.

    Args:
        detector: A zoo name, path or URL, an opened :class:`Detector`, or None: then boxes must be
            given with each call, unless ``whole_image``.
        pose: A zoo name, path or URL, or an opened :class:`PoseEstimator`.
        backend: ``auto``, ``onnxruntime`` or ``openvino``.
        device: ``auto``, ``cpu``, ``cuda``, ...; one that is not there is an error.
        threads: CPU threads; 0 for all cores.
        precision: ``auto``, ``fp32`` or ``bf16``.
        allow_spinning: Let idle threads of ONNX Runtime burn CPU: a little faster alone, far slower
            beside a neighbor.
        score_thr: Lowest box score taken.
        max_people: Take only the surest so many boxes of a frame.
        whole_image: Without a detector, take the whole image as the box of one person.
        antialias: See :class:`PoseEstimator`.

    Raises:
        ModelError: a model cannot be had or is of the wrong kind.
        BackendError: engine or device are not available.
    """

    def __init__(
        self,
        detector: AnyModel | Detector | None = DEFAULT_DETECTOR,
        pose: AnyModel | PoseEstimator = DEFAULT_POSE_MODEL,
        *,
        backend: str = "auto",
        device: str = "auto",
        threads: int = 0,
        precision: str = "auto",
        allow_spinning: bool = False,
        score_thr: float = DEFAULT_SCORE_THR,
        max_people: int | None = None,
        whole_image: bool = False,
        antialias: bool = False,
    ) -> None:
        if not 0 <= score_thr <= 1:
            raise InputError(f"score_thr must lie in 0..1, not {score_thr}")
        if max_people is not None and max_people < 1:
            raise InputError(f"max_people must be 1 or more, not {max_people}")
        options = BackendOptions(backend, device, threads, allow_spinning, precision)  # type: ignore[arg-type]
        if not isinstance(pose, PoseEstimator):
            pose = PoseEstimator(pose, options=options, antialias=antialias)
        self.pose = pose
        self.detector = (
            detector
            if isinstance(detector, Detector | None)
            else Detector(detector, options=options)
        )
        self.score_thr, self.max_people, self.whole_image = score_thr, max_people, whole_image

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""
        return self.pose.skeleton

    def __call__(self, image: Image, boxes: Any = None) -> Poses:
        """The poses in one image.

        Args:
            image: BGR uint8 ``(H, W, 3)``, as OpenCV reads it.
            boxes: ``(N, 4)`` xyxy in image pixels or detections, to use instead of the detector.

        Returns:
            Poses, the surest box first; nobody found is an empty ``Poses``, not an error.

        Raises:
            InputError: the image or a box is not usable, or there are neither boxes nor a detector.
        """
        return self.pose(image, self.detect(image) if boxes is None else boxes)

    def detect(self, image: Image) -> Detections:
        """The boxes in which poses would be estimated."""
        check_image(image)
        if self.detector is None:
            if not self.whole_image:
                raise InputError(
                    "this pipeline has no detector: pass boxes with each image, or whole_image=True"
                    " to take each image as the box of one person"
                )
            height, width = image.shape[:2]
            return Detections.from_boxes(np.array([[0, 0, width, height]], np.float32))
        return self.detector(image, score_thr=self.score_thr)[: self.max_people]

    def run(
        self,
        sources: Any,
        *,
        boxes: Callable[[SourceItem, int], Any] | None = None,
        limit: int | None = None,
        on_error: Callable[[SourceItem, Exception], None] | None = None,
    ) -> Iterator[Result]:
        """Work through sources frame by frame; see :func:`predict` for the arguments.

        Args:
            sources: As in :func:`predict`.
            boxes: Gives the boxes for a source and frame index; None from it means: detect.
            limit: Frames taken of each source.
            on_error: Called with a source that fails; the next one is taken. Without it the error
                is raised.
        """
        for item, frame in iterate(
            expand_sources(_as_list(sources)), limit=limit, on_error=on_error
        ):
            yield Result(frame, self(frame.image, boxes(item, frame.index) if boxes else None))


def predict(
    source: Any,
    *,
    detector: AnyModel | Detector | None = DEFAULT_DETECTOR,
    pose: AnyModel | PoseEstimator = DEFAULT_POSE_MODEL,
    limit: int | None = None,
    **options: Any,
) -> Iterator[Result]:
    """Find people and their keypoints in whatever is given.

    Args:
        source: An image or video file, a folder, a glob pattern, a camera index, an RTSP or HTTP
            URL, a BGR array, or a list of those.
        detector: See :class:`Pipeline`.
        pose: See :class:`Pipeline`.
        limit: Frames taken of each source.
        **options: Further arguments of :class:`Pipeline`.

    Returns:
        An iterator of :class:`Result`, one per frame, computed as it is consumed. The models are
        opened, and the sources looked up, before it returns.

    Raises:
        InputError: a source does not exist or cannot be read.
        ModelError: a model cannot be had.
    """
    items = expand_sources(_as_list(source))
    pipeline = Pipeline(detector, pose, **options)
    return pipeline.run(items, limit=limit)


def _as_list(sources: Any) -> Sequence[Any]:
    return sources if isinstance(sources, list | tuple) else [sources]
