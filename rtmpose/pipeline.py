"""The way of a frame: source -> detect -> crop -> network -> decode -> draw or write. This file
shows all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, overload

from rtmpose.array_checks import check_in_pixels
from rtmpose.backends import BackendOptions
from rtmpose.detector import DEFAULT_BOX_THR, DEFAULT_DETECTOR, Detector
from rtmpose.families import BoxModel, CropModel, ModelName, PoseModel, open_model
from rtmpose.image_inputs import as_image, as_sources, checked_selection
from rtmpose.keywords import check_keywords, checked_keywords, keywords_of
from rtmpose.model_card import ModelCard
from rtmpose.one_stage import OneStage
from rtmpose.people import people_of, person_thr_for
from rtmpose.pose_estimator import DEFAULT_POSE_MODEL, Boxes, PoseEstimator, as_detections
from rtmpose.ranges import FRACTION, check_count, check_flag, check_number
from rtmpose.sources import CameraSettings, SourceItem, expand_sources, iterate
from rtmpose.types import Detections, Frame, Image, Poses, Skeleton
from rtmpose.value_types import one_process

__all__ = ["DEFAULT_DETECTOR", "DEFAULT_POSE_MODEL", "Pipeline", "Result", "predict"]


AnyImage = Image | str | Path | bytes | object
"""What :func:`rtmpose.image_inputs.as_image` takes; PIL images among the objects."""


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

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write the drawn image; its suffix says the format, options are those of :meth:`draw`.

        Raises:
            OutputError: it cannot be written.
        """
        from rtmpose import drawn

        return drawn.save(path, self.draw(**options))

    def show(self, **options: Any) -> None:
        """Open the drawn image in this machine's viewer; options as in :meth:`draw`.

        Raises:
            MissingDependencyError: Pillow is not installed.
        """
        from rtmpose import drawn

        drawn.show(self.draw(**options))

    def __repr__(self) -> str:
        return f"Result({self.frame!r}, {self.poses!r})"

    def _repr_png_(self) -> bytes:
        """The drawn image, which notebooks show."""
        from rtmpose import drawn

        return drawn.png(self.draw())


@one_process
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
        allow_spinning: Let idle threads of ONNX Runtime burn CPU: rarely faster, and far slower
            with two networks or next to other busy processes.
        box_thr: Lowest box score taken.
        max_people: At most this many people per frame, those of the highest box scores.
        person_thr: Lowest person score (:attr:`rtmpose.Poses.instance_scores`) of those who are
            found; of several poses of one person the best is kept. 0 keeps them all. By default
            0.12 for keypoint sets of whole people, else 0. Given boxes and whole images always
            have their poses.
        whole_image: Without a detector, take the whole image as the box of one person.
        skeleton: Keypoint set to use instead of the pose model's, with as many points; for a model
            that is not open yet.
        card: Describes a pose model's file that the zoo does not know.
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
        person_thr: float | None = None,
        whole_image: bool = False,
        skeleton: Skeleton | None = None,
        card: ModelCard | None = None,
        antialias: bool = False,
    ) -> None:
        # Checked before a model is opened, which takes seconds.
        check_flag("whole_image", whole_image)
        check_flag("antialias", antialias)
        self.box_thr = check_number("box_thr", box_thr, FRACTION)
        self.max_people = None if max_people is None else check_count("max_people", max_people)
        if person_thr is not None:
            person_thr = check_number("person_thr", person_thr, FRACTION)
        self.model: PoseModel = open_model(
            detector,
            pose,
            options=BackendOptions(backend, device, threads, allow_spinning, precision),  # type: ignore[arg-type]
            skeleton=skeleton,
            card=card,
            antialias=antialias,
            whole_image=whole_image,
        )
        self.person_thr = person_thr_for(self.model.skeleton, person_thr)

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

    @overload
    def __call__(
        self, image: AnyImage, boxes: Boxes | None = None, *, color: str = "bgr"
    ) -> Poses: ...

    @overload
    def __call__(
        self, image: list[AnyImage], boxes: Sequence[Boxes] | None = None, *, color: str = "bgr"
    ) -> list[Poses]: ...

    @checked_keywords
    def __call__(
        self,
        image: AnyImage | list[AnyImage],
        boxes: Boxes | Sequence[Boxes] | None = None,
        *,
        color: str = "bgr",
    ) -> Poses | list[Poses]:
        """The poses in one image, or in each of a list.

        Args:
            image: A uint8 array as OpenCV reads it (BGR, BGRA or gray), a PIL image, the path of an
                image file, its bytes, or the file opened with ``"rb"``; or a list of those.
            boxes: ``(N, 4)`` xyxy in image pixels or detections, to use instead of the detector;
                of a list of images, as many.
            color: ``bgr`` or ``rgb``: order of the channels of arrays.

        Returns:
            Poses, highest box score first; if nobody is found, an empty ``Poses``, not an error.
            Of a list of images, a list.

        Raises:
            InputError: the image or a box is not usable, there are neither boxes nor a detector, or
                boxes are given to a one-stage model.
        """
        # One image is a batch of one.
        if not isinstance(image, list):
            given = None if boxes is None else [cast(Boxes, boxes)]
            return self._estimate([as_image(image, color)], given)[0]
        return self._estimate(
            [as_image(one, color) for one in image], cast(Sequence[Boxes] | None, boxes)
        )

    def _estimate(self, images: Sequence[Image], boxes: Sequence[Boxes] | None) -> list[Poses]:
        if boxes is not None:
            checked = [as_detections(given) for given in boxes]
            # The model says where there are more of one than of the other.
            for image, given in zip(images, checked, strict=False):
                check_in_pixels(given.boxes, image)
            boxes = checked
        poses = self.model.estimate(images, boxes, box_thr=self.box_thr, max_people=self.max_people)
        return poses if boxes is not None else [self.people_of(found) for found in poses]

    def people_of(self, poses: Poses) -> Poses:
        """Those of the poses that a model found who are shown: each person once, without the
        doubtful ones.
        """
        return poses if self.model.whole_image else people_of(poses, self.person_thr)

    def detect(self, image: AnyImage, *, color: str = "bgr") -> Detections:
        """The boxes of the people, highest score first; arguments as in a call."""
        return self.model.detect(
            as_image(image, color), box_thr=self.box_thr, max_people=self.max_people
        )

    def __repr__(self) -> str:
        return f"Pipeline({', '.join(f'{k} {v}' for k, v in self.model.describe().items())})"

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
        items = expand_sources(as_sources(sources))
        for item, frame in iterate(items, on_error=on_error):
            found = boxes(item, frame.index) if boxes else None
            given = None if found is None else [found]
            yield Result(frame, self._estimate([frame.image], given)[0])


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
    color: str = "bgr",
    **options: Any,
) -> Iterator[Result]:
    """Find people and their keypoints in images, videos, folders, cameras or streams.

    Args:
        source: An image or video file, a folder, a glob pattern, a camera (its index or device), a
            URL (HTTP, RTSP, UDP, ...), an array, a PIL image, the bytes of an image file, or such
            a file opened with ``"rb"``, an iterator of images, a ``cv2.VideoCapture``, or a list
            of those.
        detector: See :class:`Pipeline`.
        pose: See :class:`Pipeline`.
        start_s: Seconds skipped at the start of each video.
        end_s: Second at which each video stops.
        limit: At most this many frames of each source.
        flip: Mirror the frames first (a selfie view).
        camera: Size, rate and pixel format asked of a camera.
        color: ``bgr`` or ``rgb``: order of the channels of arrays.
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
    selection = checked_selection(start_s, end_s, limit, flip)
    items = expand_sources(as_sources(source, color, selection), **selection, camera=camera)
    pipeline = Pipeline(detector, pose, **options)
    return pipeline.run(items)
