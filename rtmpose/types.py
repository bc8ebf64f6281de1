"""The data that travels through a pipeline: one frozen dataclass per concept.

Conventions (``docs/conventions.md``): images are BGR uint8 ``(H, W, 3)``; boxes are xyxy float32 in
image pixels; keypoints are ``(N, K, 2)`` float32 x, y in image pixels; sizes carry their order in
the name, ``_wh`` or ``_hw``.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtmpose.array_checks import (
    FARTHEST_FOUND,
    as_float32,
    as_int64,
    check_box_values,
    check_boxes,
    check_finite,
    check_image,
)
from rtmpose.errors import InputError
from rtmpose.ranges import FINITE, FRACTION, INDEX, Range, check_fields, check_row, shown
from rtmpose.value_types import value_type

if TYPE_CHECKING:
    import pandas as pd
    import supervision

__all__ = [
    "Calibration",
    "Detections",
    "FloatArray",
    "Frame",
    "Image",
    "Index",
    "Outputs",
    "Poses",
    "Shapes",
    "Skeleton",
    "check_boxes",
    "check_image",
]

Image = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
Outputs = Sequence[NDArray[np.generic]]
"""What a network returns."""
Shapes = Sequence[tuple[int, ...]]
"""Of the arrays a network returns."""
Index = int | slice | Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]
"""Selects rows, as in numpy."""

SIGMA = Range(0, 10, above=True)
MOST_NAMES = 30
"""Of keypoints listed in an error."""

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
        check_fields(self, index=INDEX, time_s=FINITE)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        place = f"{self.source!r}, " if self.source else ""
        return f"Frame({place}index {self.index}, {self.time_s:.3f} s, {width}x{height})"


@value_type
@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one image.

    Attributes:
        boxes: ``(N, 4)`` float32 x1, y1, x2, y2 in image pixels; may reach past the image border.
        scores: ``(N,)`` float32 in 0..1, in descending order.
        labels: ``(N,)`` int64 class indices.

    Lists and arrays of other numbers are converted.

    Raises:
        InputError: the lengths differ, or a value is NaN or infinite.
    """

    boxes: FloatArray
    scores: FloatArray
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes", as_float32("boxes", self.boxes))
        object.__setattr__(self, "scores", as_float32("scores", self.scores))
        object.__setattr__(self, "labels", as_int64("labels", self.labels))
        n = len(self.boxes) if self.boxes.ndim else -1
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,) or self.labels.shape != (n,):
            raise InputError(
                "detections need boxes (N, 4), scores (N,), labels (N,); got "
                f"{self.boxes.shape}, {self.scores.shape}, {self.labels.shape}"
            )
        check_box_values(self.boxes, FARTHEST_FOUND)
        check_finite("scores", self.scores)

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"Detections({len(self)} {'box' if len(self) == 1 else 'boxes'})"

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
        if scores is None:
            values = np.ones(n, np.float32)
        else:
            values = as_float32("scores", scores).reshape(-1)
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

    Raises:
        InputError: the parts do not fit together, or a number is out of its range.
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

    def __post_init__(self) -> None:
        # Indices are those of keypoints; colors are 0..255.
        index = Range(0, len(self.keypoints) - 1, whole=True)
        check_fields(self, flip_indices=index, sigmas=SIGMA)
        for name in ("flip_indices", "sides", "keypoint_colors", "sigmas"):
            given = len(getattr(self, name))
            if given != len(self) and (given or name != "sigmas"):
                raise InputError(f"{len(self)} keypoints need as many {name}, not {given}")
        for link in self.links:
            check_row("links", link, index, 2)

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def links_from_1(self) -> list[tuple[int, int]]:
        """The links counted from 1, as ``supervision.EdgeAnnotator(edges=...)`` takes them."""
        return [(a + 1, b + 1) for a, b in self.links]

    def __repr__(self) -> str:
        return f"Skeleton({self.name!r}, {len(self)} keypoints)"

    def index(self, name: str) -> int:
        """The place of a keypoint, by its name such as ``nose`` or ``left_wrist``.

        Raises:
            InputError: there is none of that name; the message has those like it.
        """
        if name in self.keypoints:
            return self.keypoints.index(name)
        # Names like it, whatever their case and the marks between the words.
        wanted = str(name).lower().replace("-", "_").replace(" ", "_")
        near = difflib.get_close_matches(wanted, self.keypoints, n=3, cutoff=0.6)
        known = ", ".join(self.keypoints[:MOST_NAMES]) + ", ..." * (len(self) > MOST_NAMES)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {known}"
        raise InputError(f"{self.name} has no keypoint {name!r}; {hint}")


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
        check_fields(self, slope=FINITE, offset=FINITE, oks=FRACTION, ece=FRACTION.optional())
        if not self.slope or len(self.slope) != len(self.offset):
            raise InputError(
                f"a calibration needs as many slopes as offsets, not {len(self.slope)} and"
                f" {len(self.offset)}"
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


@value_type
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

    ``poses[0]``, slices and masks select people; ``poses["nose"]`` is a keypoint of all of them.
    Lists and arrays of other numbers are converted.

    Raises:
        InputError: the shapes do not agree, or a box or score is NaN or infinite. Keypoints may be
            NaN.
    """

    boxes: FloatArray
    box_scores: FloatArray
    keypoints: FloatArray
    scores: FloatArray
    skeleton: Skeleton
    ids: NDArray[np.int64] | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        for name in ("boxes", "box_scores", "keypoints", "scores"):
            object.__setattr__(self, name, as_float32(name, getattr(self, name)))
        if self.ids is not None:
            object.__setattr__(self, "ids", as_int64("ids", self.ids))
        n, k = len(self.boxes) if self.boxes.ndim else -1, len(self.skeleton)
        if self.ids is not None and self.ids.shape != (n,):
            raise InputError(f"{n} instances need as many ids, not {self.ids.shape}")
        got = (self.boxes.shape, self.box_scores.shape, self.keypoints.shape, self.scores.shape)
        if got != ((n, 4), (n,), (n, k, 2), (n, k)):
            raise InputError(f"poses of {n} instances with {k} keypoints have wrong shapes: {got}")
        check_box_values(self.boxes, FARTHEST_FOUND)
        check_finite("box_scores", self.box_scores)
        check_finite("scores", self.scores)

    def __len__(self) -> int:
        return len(self.boxes)

    @overload
    def __getitem__(self, index: Index) -> Poses: ...

    @overload
    def __getitem__(self, index: str) -> FloatArray: ...

    def __getitem__(self, index: Index | str) -> Poses | FloatArray:
        """Select people by index, slice, mask or index array: always ``Poses``. The name of a
        keypoint gives that of all people: ``(N, 2)`` float32 x, y.

        Raises:
            InputError: no keypoint has that name; see :meth:`Skeleton.index`.
        """
        if isinstance(index, str):
            return self.keypoints[:, self.skeleton.index(index)]
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
        from rtmpose.pose_tables import coco_results

        return coco_results(self, image_id, category_id)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python data with named keypoints, ready for ``json.dump``.

        ``skeleton``, and ``people`` with ``id`` (where tracked), ``box`` (xyxy), ``box_score``,
        ``score`` and ``keypoints``: name to ``[x, y, score]``. NaN becomes None.
        """
        from rtmpose.pose_tables import plain

        return plain(self)

    def to_pandas(self) -> pd.DataFrame:
        """A table with one row per person and keypoint: ``person``, ``id`` (where tracked),
        ``box_score``, ``keypoint``, ``x``, ``y``, ``score``.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        from rtmpose.pose_tables import data_frame

        return data_frame(self)

    def to_supervision(self) -> supervision.KeyPoints:
        """The same as a ``supervision.KeyPoints``, with ``detection_confidence`` (the box scores),
        ``class_id`` 0, and ``data["tracker_id"]`` where tracked.

        Raises:
            MissingDependencyError: supervision is not installed.
        """
        from rtmpose.pose_tables import supervision_keypoints

        return supervision_keypoints(self)

    def __repr__(self) -> str:
        tracked = "" if self.ids is None else f", ids {shown(self.ids.tolist())}"
        return f"Poses({len(self)} x {self.skeleton.name}, {len(self.skeleton)} keypoints{tracked})"

    def __str__(self) -> str:
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
