"""Options that several commands share, under one name and with one meaning everywhere."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose import backend_table as table
from rtmpose.ranges import (
    FPS,
    FRACTION,
    FRAMES,
    IMAGE_SIDE,
    KEYPOINT_SCORE,
    SECONDS,
    SEQUENCE_FPS,
    THREADS,
)

if TYPE_CHECKING:
    from rtmpose.backends import BackendOptions
    from rtmpose.detector import Detector
    from rtmpose.draw import DrawStyle
    from rtmpose.model_card import ModelCard
    from rtmpose.sources.cameras import CameraSettings
    from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

# ---- defaults and panels

POSE = "rtmpose-s-finetuned"
"""The default; :data:`rtmpose.pipeline.DEFAULT_POSE_MODEL`, which would load the engines for
``--help``.
"""
DETECTOR = "rtmdet-nano-finetuned"
"""Likewise :data:`rtmpose.pipeline.DEFAULT_DETECTOR`."""

MODELS = "Models"
INPUT = "Input"
OUTPUT = "Output"
DRAWING = "Drawing"
SPEED = "Speed"
DATA = "Annotated data"
HARDWARE = "Hardware"

# ---- single options

Sources = Annotated[
    list[str],
    typer.Argument(
        help=(
            "Images, videos, folders, glob patterns, frame_%04d.png, - (standard input), cameras"
            " (0, /dev/video0), URLs (HTTP, RTSP, UDP, ...)."
        )
    ),
]
Pose = Annotated[
    str,
    typer.Option(
        help="Pose model: a name from `rtmpose models list`, a model file or a URL.",
        rich_help_panel=MODELS,
    ),
]
DetectorName = Annotated[
    str,
    typer.Option(
        help=(
            "Detector: a name, a model file or a URL, or 'none' to take each whole image as one"
            " person."
        ),
        rich_help_panel=MODELS,
    ),
]
KeypointSet = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help=(
            "Keypoint set to use instead of the model's, with as many points: its name or a TOML"
            " file."
        ),
        rich_help_panel=MODELS,
    ),
]
DetectorLabel = Annotated[
    str | None,
    typer.Option(
        "--det-label",
        metavar="NAME",
        help="Class of the detector to take, by its name or number, or 'all'; people by default.",
        rich_help_panel=MODELS,
    ),
]
CardName = Annotated[
    str | None,
    typer.Option(
        "--card",
        metavar="NAME|FILE",
        help=(
            "What the file of the pose model is, where it does not say: a name from `rtmpose models"
            " list`, or a .card.json file."
        ),
        rich_help_panel=MODELS,
    ),
]
DetectorCardName = Annotated[
    str | None,
    typer.Option(
        "--detector-card",
        metavar="NAME|FILE",
        help="The same for the file of the detector.",
        rich_help_panel=MODELS,
    ),
]
PersonThr = Annotated[
    float | None,
    FRACTION,
    typer.Option(
        help=(
            "Lowest score of a person: box score times keypoint scores; by default 0.12, and 0"
            " where the keypoints are not those of whole people. Not for given boxes; people who"
            " are tracked already are kept below it."
        ),
        show_default=False,
        rich_help_panel=MODELS,
    ),
]
BoxesFile = Annotated[
    Path | None,
    typer.Option(
        help=(
            "Boxes to use instead of a detector: COCO results JSON with image (or image_id), bbox"
            " (x, y, w, h) and, for videos, frame."
        ),
        rich_help_panel=MODELS,
    ),
]

# The engines, their devices and precisions are rows of a table, which imports none of them.
_ENGINES = ", ".join(("auto", *table.names()))
_DEVICES = ", ".join(("auto", *table.device_kinds()))
_PRECISIONS = ", ".join(table.PRECISIONS)

Backend = Annotated[str, typer.Option(help=f"Engine: {_ENGINES}.", rich_help_panel=SPEED)]
Device = Annotated[
    str,
    typer.Option(
        help=f"{_DEVICES}; with a number for one of several (cuda:1). Never falls back.",
        rich_help_panel=SPEED,
    ),
]
Threads = Annotated[
    int, THREADS, typer.Option(help="CPU threads; 0 takes all cores.", rich_help_panel=SPEED)
]
AllowSpinning = Annotated[
    bool,
    typer.Option(
        "--allow-spinning",
        help=(
            "Let idle threads of the engine busy-wait, where it can: rarely faster; far slower with"
            " a detector beside the pose network, or when other programs need the CPU."
        ),
        rich_help_panel=SPEED,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help=(
            f"{_PRECISIONS}, as far as engine and device compute in it (`rtmpose doctor` tells);"
            " for bf16 and int8 on a CPU the model is prepared once."
        ),
        rich_help_panel=SPEED,
    ),
]


# ---- groups of options


class Background(str, Enum):
    """What poses are drawn on."""

    image = "image"
    black = "black"


class Color(str, Enum):
    """What colors tell, as :data:`rtmpose.draw.COLORS` names it."""

    side = "side"
    person = "person"
    id = "id"


class OpenPoseFormat(str, Enum):
    """Orders of OpenPose's points, as :mod:`rtmpose.writers.openpose_layouts` names them."""

    auto = "auto"
    body25 = "body25"
    coco18 = "coco18"
    halpe26 = "halpe26"
    native = "native"
    pose2sim = "pose2sim"


@dataclass(frozen=True)
class ModelOptions:
    """Which networks find the people and their keypoints."""

    pose: Pose = POSE
    detector: DetectorName = DETECTOR
    skeleton: KeypointSet = None
    det_label: DetectorLabel = None
    card: CardName = None
    detector_card: DetectorCardName = None

    def opened_detector(self, speed: SpeedOptions, num_images: int = 0) -> str | Detector:
        """The detector: its name, or opened where a class of it or its card was given.

        Args:
            speed: What it runs on.
            num_images: See :class:`rtmpose.BackendOptions`.
        """
        if self.det_label is None and self.detector_card is None:
            return self.detector
        from rtmpose.cli.named_models import named_card
        from rtmpose.detector import Detector

        engine = speed.backend_options(num_images)
        label: int | str | None = self.det_label or "auto"
        if label == "all":
            label = None
        elif isinstance(label, str) and label.isdigit():
            label = int(label)
        return Detector(
            self.detector, options=engine, card=named_card(self.detector_card), label=label
        )

    def keypoint_set(self) -> Skeleton | None:
        """The keypoint set of ``--skeleton``; None without it."""
        from rtmpose.cli.named_models import named_skeleton

        return named_skeleton(self.skeleton)

    def pose_card(self) -> ModelCard | None:
        """The card of ``--card``; None without it."""
        from rtmpose.cli.named_models import named_card

        return named_card(self.card)


@dataclass(frozen=True)
class SpeedOptions:
    """What the networks run on."""

    device: Device = "auto"
    backend: Backend = "auto"
    threads: Threads = 0
    precision: Precision = "auto"
    allow_spinning: AllowSpinning = False

    def backend_options(self, num_images: int = 0) -> BackendOptions:
        """The same for a network; ``num_images``: see :class:`rtmpose.BackendOptions`."""
        from rtmpose.backends import BackendOptions

        return BackendOptions(
            self.backend,
            self.device,
            self.threads,
            self.allow_spinning,
            self.precision,  # type: ignore[arg-type]
            num_images=num_images,
        )


@dataclass(frozen=True)
class InputOptions:
    """Which frames are read, and how."""

    start: Annotated[
        float,
        SECONDS,
        typer.Option(help="Seconds skipped at the start of a video.", rich_help_panel=INPUT),
    ] = 0.0
    end: Annotated[
        float | None,
        SECONDS,
        typer.Option(help="Second at which a video stops.", rich_help_panel=INPUT),
    ] = None
    limit: Annotated[
        int | None,
        FRAMES,
        typer.Option(help="Maximum number of frames of each source.", rich_help_panel=INPUT),
    ] = None
    flip: Annotated[
        bool,
        typer.Option("--flip", help="Mirror the frames left to right.", rich_help_panel=INPUT),
    ] = False
    recursive: Annotated[
        bool,
        typer.Option("--recursive", help="Take folders in folders too.", rich_help_panel=INPUT),
    ] = False
    sequence: Annotated[
        bool,
        typer.Option(
            "--sequence",
            help="Take the images of a folder or pattern as the frames of one clip.",
            rich_help_panel=INPUT,
        ),
    ] = False
    fps: Annotated[
        float,
        SEQUENCE_FPS,
        typer.Option(help="Frames per second of a sequence of images.", rich_help_panel=INPUT),
    ] = 30.0
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse images with damaged pixels; else they are used, with a warning.",
            rich_help_panel=INPUT,
        ),
    ] = False
    camera_size: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT",
            help="Size asked of a camera, such as 1280x720.",
            rich_help_panel=INPUT,
        ),
    ] = None
    camera_fps: Annotated[
        float | None,
        FPS,
        typer.Option(help="Frames per second asked of a camera.", rich_help_panel=INPUT),
    ] = None
    camera_fourcc: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Pixel format asked of a camera: MJPG makes most of them fast at large sizes.",
            rich_help_panel=INPUT,
        ),
    ] = None

    def camera(self) -> CameraSettings | None:
        """What is asked of cameras; None without any of these options."""
        if self.camera_size is None and self.camera_fps is None and self.camera_fourcc is None:
            return None
        from rtmpose.sources.cameras import CameraSettings, parse_size

        size_wh = None if self.camera_size is None else parse_size(self.camera_size)
        return CameraSettings(size_wh, self.camera_fps, self.camera_fourcc)


@dataclass(frozen=True)
class OutputOptions:
    """What is drawn and shown, and whether an interrupted run goes on."""

    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder for annotated images and videos; for one source also a file (out.mp4).",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    show: Annotated[
        bool,
        typer.Option("--show", help="Show a window; q or Escape stops.", rich_help_panel=OUTPUT),
    ] = False
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Skip the sources that an interrupted run has finished.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    openpose_format: Annotated[
        OpenPoseFormat,
        typer.Option(
            help="Order of the points in --openpose: auto is BODY_25 for models with feet and COCO"
            " 18 for other bodies; native keeps the model's order; pose2sim too, with the folders"
            " and numbers that Pose2Sim reads.",
            rich_help_panel=OUTPUT,
        ),
    ] = OpenPoseFormat.auto


@dataclass(frozen=True)
class DrawOptions:
    """How frames are drawn."""

    kpt_thr: Annotated[
        float,
        KEYPOINT_SCORE,
        typer.Option(help="Lowest keypoint score drawn.", rich_help_panel=DRAWING),
    ] = 0.3
    background: Annotated[
        Background,
        typer.Option(help="Draw on the image or on black.", rich_help_panel=DRAWING),
    ] = Background.image
    draw_skeleton: Annotated[
        bool, typer.Option(help="Draw keypoints and limbs.", rich_help_panel=DRAWING)
    ] = True
    draw_boxes: Annotated[
        bool,
        typer.Option("--draw-boxes", help="Draw the boxes.", rich_help_panel=DRAWING),
    ] = False
    draw_scores: Annotated[
        bool,
        typer.Option(
            "--draw-scores", help="Write the scores next to the people.", rich_help_panel=DRAWING
        ),
    ] = False
    color: Annotated[
        Color,
        typer.Option(
            help="What colors tell: left and right, one person from another, or the track id.",
            rich_help_panel=DRAWING,
        ),
    ] = Color.side
    output_size: Annotated[
        int | None,
        IMAGE_SIDE,
        typer.Option(
            help="Long edge of what is drawn, in pixels.",
            rich_help_panel=DRAWING,
        ),
    ] = None

    def style(self, *, draw_ids: bool = True, trail: int = 0) -> DrawStyle:
        """The same for :func:`rtmpose.draw.draw_frame`."""
        from rtmpose.draw import DrawStyle

        if self.kpt_thr > 1:
            log.warning(
                "--kpt-thr %g: with most models keypoints score from 0 to 1, and lower ones are not"
                " drawn",
                self.kpt_thr,
            )
        # Ids and trails belong to tracking, so the command says whether they are drawn.
        return DrawStyle(
            kpt_thr=self.kpt_thr,
            background=self.background.value,
            draw_skeleton=self.draw_skeleton,
            draw_boxes=self.draw_boxes,
            draw_scores=self.draw_scores,
            draw_ids=draw_ids,
            color=self.color.value,
            trail=trail,
            output_size=self.output_size,
        )
