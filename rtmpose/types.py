"""The data that travels through a pipeline: one frozen dataclass per concept.

Conventions (``docs/conventions.md``): images are BGR uint8 ``(H, W, 3)``; boxes are xyxy float32 in
image pixels; keypoints are ``(N, K, 2)`` float32 x, y in image pixels; sizes carry their order in
the name, ``_wh`` or ``_hw``.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtmpose.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    import supervision

Image = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
Outputs = Sequence[NDArray[np.generic]]
"""What a network returns."""
Shapes = Sequence[tuple[int, ...]]
"""Of the arrays a network returns."""
Index = int | slice | Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]
"""Selects rows, as in numpy."""

POSE_SCORE_FLOOR = 0.2
"""Keypoints scoring at or below this do not count toward a person's score (the COCO evaluation
habit).
"""


@dataclass(frozen=True, eq=False)
class Frame:
    """One image on its way through the pipeline.

    Attributes:
        image: BGR uint8 ``(H, W, 3)``, upright (EXIF and video rotation applied).
        index: Position in its source, from 0.
        time_s: Seconds since the start of the source; 0 for a single image.
        source: The path, URL or camera the frame came from; empty for an array.
    """

    image: Image
    index: int = 0
    time_s: float = 0.0
    source: str = ""

    def __post_init__(self) -> None:
        check_image(self.image)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        place = f"{self.source!r}, " if self.source else ""
        return f"Frame({place}index {self.index}, {self.time_s:.3f} s, {width}x{height})"


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one image.

    Attributes:
        boxes: ``(N, 4)`` float32 x1, y1, x2, y2 in image pixels; may reach past the image border.
        scores: ``(N,)`` float32 in 0..1, in descending order.
        labels: ``(N,)`` int64 class indices.

    Raises:
        InputError: the lengths differ.
    """

    boxes: FloatArray
    scores: FloatArray
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,) or self.labels.shape != (n,):
            raise InputError(
                "detections need boxes (N, 4), scores (N,), labels (N,); got "
                f"{self.boxes.shape}, {self.scores.shape}, {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Index) -> Detections:
        """Select by slice, mask or index array."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        return Detections(self.boxes[rows], self.scores[rows], self.labels[rows])

    @classmethod
    def empty(cls) -> Detections:
        """No detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    @classmethod
    def from_boxes(cls, boxes: ArrayLike, scores: ArrayLike | None = None) -> Detections:
        """Given boxes (xyxy, image pixels), scored 1 unless told, in the given order.

        Raises:
            InputError: a box holds NaN or infinity, or has no positive width and height.
        """
        array = check_boxes(boxes)
        n = len(array)
        values = (
            np.ones(n, np.float32) if scores is None else np.asarray(scores, np.float32).reshape(-1)
        )
        return cls(array, values, np.zeros(n, np.int64))


@dataclass(frozen=True)
class Skeleton:
    """A keypoint set: what the K points are and how they are connected.

    Attributes:
        name: Such as ``coco17``.
        keypoints: K names.
        flip_indices: K indices; ``flip_indices[i]`` is the point that takes the place of i in a
            mirrored image.
        links: Pairs of keypoint indices drawn as limbs.
        sides: K of ``left``, ``right`` or ``center``.
        link_colors: One BGR triple per link.
        keypoint_colors: One BGR triple per keypoint.
        sigmas: K object keypoint similarity constants (COCO convention: ``k = 2 sigma``); empty
            where unpublished.
        description: One line for people.
    """

    name: str
    keypoints: tuple[str, ...]
    flip_indices: tuple[int, ...]
    links: tuple[tuple[int, int], ...]
    sides: tuple[str, ...]
    link_colors: tuple[tuple[int, int, int], ...]
    keypoint_colors: tuple[tuple[int, int, int], ...]
    sigmas: tuple[float, ...] = ()
    description: str = ""

    def __len__(self) -> int:
        return len(self.keypoints)

    def __repr__(self) -> str:
        return f"Skeleton({self.name!r}, {len(self)} keypoints)"


@dataclass(frozen=True)
class Calibration:
    """From raw keypoint scores to the probability that the keypoint is right.

    ``p = 1 / (1 + exp(-(slope * score + offset)))``, fitted to human labels (Platt, 1999). A
    keypoint is right when its own object keypoint similarity with the label is at least ``oks``.
    Says nothing of whether it can be seen.

    Attributes:
        slope: One number for all keypoints, or one per keypoint.
        offset: One number for all keypoints, or one per keypoint.
        oks: Similarity from which a keypoint counts as right.
        data: What it was fitted on.
        ece: Expected calibration error found in cross-validation, as a fraction.

    Raises:
        InputError: slope and offset differ in number, or one is not finite.
    """

    slope: tuple[float, ...]
    offset: tuple[float, ...]
    oks: float = 0.5
    data: str = ""
    ece: float | None = None

    def __post_init__(self) -> None:
        if (
            not self.slope
            or len(self.slope) != len(self.offset)
            or not np.isfinite([*self.slope, *self.offset]).all()
        ):
            raise InputError(
                f"a calibration needs as many slopes as offsets, all finite: {self.slope},"
                f" {self.offset}"
            )

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """Probabilities ``(N, K)`` float32 for raw scores ``(N, K)``.

        Raises:
            InputError: the calibration is of another number of keypoints.
        """
        if len(self.slope) > 1 and scores.shape[-1] != len(self.slope):
            raise InputError(
                f"a calibration of {len(self.slope)} keypoints does not fit {scores.shape[-1]} of"
                " them"
            )
        logits = np.asarray(self.slope) * scores + np.asarray(self.offset)
        return np.asarray(
            0.5 * (1 + np.tanh(logits / 2)), np.float32
        )  # the logistic, without overflow


@dataclass(frozen=True, eq=False)
class Poses:
    """The people (hands, faces, animals) of one image.

    Attributes:
        boxes: ``(N, 4)`` float32 xyxy in image pixels: the boxes the keypoints were estimated in.
        box_scores: ``(N,)`` float32 detector confidence; 1 for given boxes.
        keypoints: ``(N, K, 2)`` float32 x, y in image pixels. Points may lie outside the image.
        scores: ``(N, K)`` float32. For SimCC models the smaller of the x and y peak: a confidence
            of about 0 to 1.25, higher is better, not a probability.
        skeleton: What the K keypoints are.
        ids: ``(N,)`` int64, one number per tracked person from 1 on; None without tracking.
        calibration: How scores become :attr:`probabilities`; None for models that were never
            calibrated.

    Raises:
        InputError: the shapes do not agree.
    """

    boxes: FloatArray
    box_scores: FloatArray
    keypoints: FloatArray
    scores: FloatArray
    skeleton: Skeleton
    ids: NDArray[np.int64] | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        n, k = len(self.boxes), len(self.skeleton)
        if self.ids is not None and self.ids.shape != (n,):
            raise InputError(f"{n} instances need as many ids, not {self.ids.shape}")
        got = (self.boxes.shape, self.box_scores.shape, self.keypoints.shape, self.scores.shape)
        if got != ((n, 4), (n,), (n, k, 2), (n, k)):
            raise InputError(f"poses of {n} instances with {k} keypoints have wrong shapes: {got}")

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Index) -> Poses:
        """Select instances by index, slice, mask or index array; always returns ``Poses``."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        return replace(
            self,
            boxes=self.boxes[rows],
            box_scores=self.box_scores[rows],
            keypoints=self.keypoints[rows],
            scores=self.scores[rows],
            ids=None if self.ids is None else self.ids[rows],
        )

    @classmethod
    def empty(cls, skeleton: Skeleton, calibration: Calibration | None = None) -> Poses:
        """Nobody."""
        k = len(skeleton)
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, k, 2), np.float32),
            np.zeros((0, k), np.float32),
            skeleton,
            calibration=calibration,
        )

    @cached_property
    def instance_scores(self) -> FloatArray:
        """``(N,)`` score of each instance: box score times the mean of its keypoint scores above
        0.2, else 0.
        """
        counted = self.scores > POSE_SCORE_FLOOR
        total = np.where(counted, self.scores, 0).sum(axis=1)
        number = np.maximum(counted.sum(axis=1), 1)
        return np.asarray(self.box_scores * total / number, np.float32)

    @cached_property
    def probabilities(self) -> FloatArray | None:
        """``(N, K)`` float32: how likely each keypoint is right (see :class:`Calibration`); None
        without one.

        Visibility is another question: hidden joints that are guessed well are right too.
        """
        return None if self.calibration is None else self.calibration.probabilities(self.scores)

    def to_coco(self, image_id: int | str = 0, category_id: int = 1) -> list[dict[str, Any]]:
        """COCO result dicts: ``image_id``, ``category_id``, ``bbox`` (xywh), ``score``,
        ``box_score``, ``keypoints`` (x, y, score).

        Where people are tracked there is a ``track_id`` too.

        Plain Python numbers, ready for ``json.dump``.
        """
        # All numbers as rows of x, y, score; sizes instead of the second corners.
        rows = np.concatenate([self.keypoints, self.scores[..., None]], axis=2).reshape(
            len(self), 3 * len(self.skeleton)
        )
        sizes = self.boxes[:, 2:] - self.boxes[:, :2]
        return [
            {
                "image_id": image_id,
                "category_id": category_id,
                "bbox": [round(float(v), 2) for v in (*self.boxes[i, :2], *sizes[i])],
                "score": round(float(self.instance_scores[i]), 5),
                "box_score": round(float(self.box_scores[i]), 5),
                "keypoints": [round(float(v), 4) for v in rows[i]],
                **({} if self.ids is None else {"track_id": int(self.ids[i])}),
            }
            for i in range(len(self))
        ]

    def to_supervision(self) -> supervision.KeyPoints:
        """The same as a ``supervision.KeyPoints``.

        Raises:
            MissingDependencyError: supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise MissingDependencyError(
                "Poses.to_supervision needs the supervision package: pip install"
                " 'rtmpose[supervision]'"
            ) from error
        # The argument was renamed in supervision 0.29.
        parameters = inspect.signature(supervision.KeyPoints).parameters
        name = "keypoint_confidence" if "keypoint_confidence" in parameters else "confidence"
        return supervision.KeyPoints(xy=self.keypoints, **{name: self.scores})

    def __repr__(self) -> str:
        head = f"Poses({len(self)} x {self.skeleton.name}, {len(self.skeleton)} keypoints"
        if not len(self):
            return head + ")"
        lines = [
            f"  {i}: score {self.instance_scores[i]:.2f}, box"
            f" ({', '.join(f'{v:.0f}' for v in self.boxes[i])}),"
            f" {int((self.scores[i] > 0.3).sum())} keypoints above 0.3"
            for i in range(min(len(self), 10))
        ]
        more = [f"  ... and {len(self) - 10} more"] if len(self) > 10 else []
        return "\n".join([head, *lines, *more]) + ")"


def check_image(image: object) -> Image:
    """Return the image if it is BGR uint8 ``(H, W, 3)`` and not empty.

    Raises:
        InputError: it is something else; the message says how to convert.
    """
    if isinstance(image, str | Path):
        raise InputError(
            f"an image must be a numpy array, not a path: read it with"
            f" rtmpose.read_image({str(image)!r}), or give the path to rtmpose.predict"
        )
    if not isinstance(image, np.ndarray):
        raise InputError(
            f"an image must be a numpy array (H, W, 3) of BGR uint8, not {type(image).__name__}"
        )
    if image.ndim != 3 or image.shape[2] != 3:
        hint = {
            2: "for gray images use cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)",
            3: "for BGRA images use cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)",
            4: "give the images of a batch one at a time, or as a list",
        }
        raise InputError(
            f"an image must have shape (H, W, 3), not {image.shape};"
            f" {hint.get(image.ndim, 'give one image at a time')}"
        )
    if image.dtype != np.uint8:
        raise InputError(
            f"an image must hold uint8 values 0..255, not {image.dtype}; scale and convert it first"
        )
    if image.size == 0:
        raise InputError(f"an image must not be empty; this one has shape {image.shape}")
    return image


def check_boxes(boxes: ArrayLike) -> FloatArray:
    """Return boxes as ``(N, 4)`` float32 xyxy.

    Raises:
        InputError: the shape is wrong, a value is NaN or infinite, or a box has no positive width
            and height.
    """
    try:
        array = np.asarray(boxes, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"boxes must be numbers in rows of x1, y1, x2, y2: {error}") from error
    if array.size == 0:
        return np.zeros((0, 4), np.float32)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != 4:
        raise InputError(
            f"boxes must have shape (N, 4), x1, y1, x2, y2 in image pixels; got {array.shape}"
        )

    # Name the first box that cannot be used.
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InputError(f"box {i} holds NaN or infinity: {array[i].tolist()}")
    flat = (array[:, 2:] <= array[:, :2]).any(axis=1)
    if flat.any():
        i = int(np.flatnonzero(flat)[0])
        raise InputError(
            f"box {i} has no positive width and height: {array[i].tolist()}; "
            "boxes are x1, y1, x2, y2 (corners), not x, y, width, height"
        )
    return array
