"""The way of a frame: source -> detect -> crop -> network -> decode -> draw or write. This file
shows all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rtmpose.backends import BackendOptions
from rtmpose.detector import DEFAULT_BOX_THR, DEFAULT_DETECTOR, Detector
from rtmpose.families import BoxModel, CropModel, ModelName, PoseModel, open_model
from rtmpose.keywords import check_keywords, checked_keywords, keywords_of
from rtmpose.one_stage import OneStage
from rtmpose.pose_estimator import DEFAULT_POSE_MODEL, Boxes, PoseEstimator
from rtmpose.ranges import FRACTION, check_count, check_flag, check_number
from rtmpose.sources import CameraSettings, SourceItem, expand_sources, iterate
from rtmpose.types import Detections, Frame, Image, Poses, Skeleton

__all__ = ["DEFAULT_DETECTOR", "DEFAULT_POSE_MODEL", "Pipeline", "Result", "predict"]


@dataclass(frozen=True, eq=False)
class Result:
    """A frame and the poses found in it: what :func:`rtmpose.predict` yields.

    Iterating gives ``frame, poses``, so ``for frame, poses in predict(...)`` works too.
    """

    frame: Frame
    poses: Poses

    def __iter__(self) -> Iterator[Any]:
        # For unpacking: frame, poses = result.
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
            given with each call, unless ``whole_image``. One-stage models need none.
        pose: A zoo name, path or URL, an opened :class:`PoseEstimator` or :class:`OneStage`, or a
            model of any family (:class:`rtmpose.families.PoseModel`).
        backend: ``auto``, or an engine such as ``onnxruntime`` or ``openvino``.
        device: ``auto``, ``cpu``, ``cuda``, ...; one that is not available is an error.
        threads: CPU threads; 0 for all cores.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``, where the engine has it.
        allow_spinning: Let idle threads of ONNX Runtime burn CPU: a little faster alone, far slower
            next to other busy processes.
        box_thr: Lowest box score taken.
        max_people: At most this many people per frame, those of the highest box scores.
        whole_image: Without a detector, take the whole image as the box of one person.
        skeleton: Keypoint set to use instead of the pose model's, with as many points; for a model
            that is not open yet.
        antialias: See :class:`PoseEstimator`.

    Raises:
        InputError: a number is out of its range.
        ModelError: a model is not available or is of the wrong kind.
        BackendError: engine or device are not available.
    """

    @checked_keywords
    def __init__(
        self,
        detector: ModelName | BoxModel | None = DEFAULT_DETECTOR,
        pose: ModelName | CropModel | PoseModel = DEFAULT_POSE_MODEL,
        *,
        backend: str = "auto",
        device: str = "auto",
        threads: int = 0,
        precision: str = "auto",
        allow_spinning: bool = False,
        box_thr: float = DEFAULT_BOX_THR,
        max_people: int | None = None,
        whole_image: bool = False,
        skeleton: Skeleton | None = None,
        antialias: bool = False,
    ) -> None:
        # Checked before a model is opened, which takes seconds.
        check_flag("whole_image", whole_image)
        check_flag("antialias", antialias)
        self.box_thr = check_number("box_thr", box_thr, FRACTION)
        self.max_people = None if max_people is None else check_count("max_people", max_people)
        self.model: PoseModel = open_model(
            detector,
            pose,
            options=BackendOptions(backend, device, threads, allow_spinning, precision),  # type: ignore[arg-type]
            skeleton=skeleton,
            antialias=antialias,
            whole_image=whole_image,
        )

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of the poses."""
        return self.model.skeleton

    @property
    def detector(self) -> Detector | None:
        """The opened detector; None without one, and for one-stage models."""
        return self.model.detector

    @property
    def pose(self) -> PoseEstimator | OneStage:
        """The opened network that finds keypoints."""
        return self.model.pose

    @checked_keywords
    def __call__(self, image: Image, boxes: Boxes | None = None) -> Poses:
        """The poses in one image.

        Args:
            image: BGR uint8 ``(H, W, 3)``, as OpenCV reads it.
            boxes: ``(N, 4)`` xyxy in image pixels or detections, to use instead of the detector.

        Returns:
            Poses, highest box score first; if nobody is found, an empty ``Poses``, not an error.

        Raises:
            InputError: the image or a box is not usable, there are neither boxes nor a detector, or
                boxes are given to a one-stage model.
        """
        # One image is a batch of one.
        return self.model.estimate(
            [image],
            None if boxes is None else [boxes],
            box_thr=self.box_thr,
            max_people=self.max_people,
        )[0]

    def detect(self, image: Image) -> Detections:
        """The boxes of the people, highest score first."""
        return self.model.detect(image, box_thr=self.box_thr, max_people=self.max_people)

    def run(
        self,
        sources: object,
        *,
        boxes: Callable[[SourceItem, int], Boxes | None] | None = None,
        on_error: Callable[[SourceItem, Exception], None] | None = None,
    ) -> Iterator[Result]:
        """Work through sources frame by frame; see :func:`predict` for the arguments.

        Args:
            sources: As in :func:`predict`, or items of :func:`rtmpose.sources.expand_sources`,
                which hold the range of frames to take.
            boxes: Gives the boxes for a source and frame index; None from it means: detect.
            on_error: Called with a source that fails; the next one is taken. Without it the error
                is raised.
        """
        # A frame without given boxes is detected in as usual.
        items = expand_sources(as_list(sources))
        for item, frame in iterate(items, on_error=on_error):
            given = boxes(item, frame.index) if boxes else None
            yield Result(frame, self(frame.image, given))


def predict(
    source: object,
    *,
    detector: ModelName | BoxModel | None = DEFAULT_DETECTOR,
    pose: ModelName | CropModel | PoseModel = DEFAULT_POSE_MODEL,
    start_s: float = 0.0,
    end_s: float | None = None,
    limit: int | None = None,
    flip: bool = False,
    camera: CameraSettings | None = None,
    **options: Any,
) -> Iterator[Result]:
    """Find people and their keypoints in images, videos, folders, cameras or streams.

    Args:
        source: An image or video file, a folder, a glob pattern, a camera (its index or device), a
            URL (HTTP, RTSP, UDP, ...), a BGR array, or a list of those.
        detector: See :class:`Pipeline`.
        pose: See :class:`Pipeline`.
        start_s: Seconds skipped at the start of each video.
        end_s: Second at which each video stops.
        limit: At most this many frames of each source.
        flip: Mirror the frames first (a selfie view).
        camera: Size, rate and pixel format asked of a camera.
        **options: Further arguments of :class:`Pipeline`.

    Returns:
        An iterator of :class:`Result`, one per frame, computed as it is consumed. The models are
        opened, and the sources looked up, before it returns.

    Raises:
        InputError: a source does not exist or cannot be read, or an option is unknown.
        ModelError: a model is not available.
    """
    # Unknown names fail here, and sources are looked up before models are opened.
    check_keywords("predict", options, [*keywords_of(predict), *keywords_of(Pipeline.__init__)])
    items = expand_sources(
        as_list(source), start_s=start_s, end_s=end_s, limit=limit, flip=flip, camera=camera
    )
    pipeline = Pipeline(detector, pose, **options)
    return pipeline.run(items)


def as_list(sources: object) -> Sequence[object]:
    """One source, or several, as a sequence."""
    # Arrays are sources too, and are not to be iterated.
    return sources if isinstance(sources, list | tuple) else [sources]
