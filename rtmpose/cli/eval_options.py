"""Options of the ``rtmpose eval`` commands."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli import options
from rtmpose.errors import InputError
from rtmpose.ranges import COUNT, FRACTION

if TYPE_CHECKING:
    from rtmpose.backends import BackendOptions

log = logging.getLogger(__name__)

BOXES = "Boxes"
METRICS = "Metrics"
CALIBRATION = "Calibration"

# ---- options of several kinds


Card = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help=("What a file is, where it does not say: a model of the zoo, or a .card.json file."),
        show_default=False,
        rich_help_panel=options.MODELS,
    ),
]
Limit = Annotated[
    int | None,
    COUNT,
    typer.Option(help="Evaluate at most this number of images.", show_default=False),
]
Against = Annotated[
    Path | None,
    typer.Option(
        help=(
            "Results file of another model (from --results): difference in AP, with its error over"
            " images."
        ),
        show_default=False,
        rich_help_panel=METRICS,
    ),
]


# ---- the model


@dataclass(frozen=True)
class PoseModelOptions:
    """The pose model, and how it is run."""

    pose: options.Pose = options.POSE
    card: Card = None
    flip_test: Annotated[
        bool,
        typer.Option(
            "--flip-test",
            help="Average with the mirrored image: a little better, twice the time.",
            rich_help_panel=options.MODELS,
        ),
    ] = False
    antialias: Annotated[
        bool,
        typer.Option(
            "--antialias",
            help="Crop large people without aliasing: a little better, a little slower.",
            rich_help_panel=options.MODELS,
        ),
    ] = False


# ---- boxes


@dataclass(frozen=True)
class BoxOptions:
    """Where a pose model gets its boxes from."""

    boxes: Annotated[
        str | None,
        typer.Option(
            help="gt (annotated boxes), detect, or a COCO detection results file.",
            show_default="gt; detect for one-stage models",
            rich_help_panel=BOXES,
        ),
    ] = None
    detector: Annotated[
        str | None,
        typer.Option(
            help="Detector for --boxes detect.",
            show_default=options.DETECTOR,
            rich_help_panel=BOXES,
        ),
    ] = None
    detector_card: Annotated[
        str | None,
        typer.Option(
            "--detector-card",
            metavar="NAME|FILE",
            help="What the detector's file is, where it does not say.",
            show_default=False,
            rich_help_panel=BOXES,
        ),
    ] = None
    box_thr: Annotated[
        float,
        FRACTION,
        typer.Option(help="Lowest score of a detected box.", rich_help_panel=BOXES),
    ] = 0.05

    def check(self, pose: str) -> None:
        """Point out a detector that is not used.

        Args:
            pose: The pose model.

        Raises:
            InputError: only a detector is named, as if it were to be scored.
        """
        # A detector that is named but not used is mostly a mistake.
        if not self.detector or self.boxes == "detect":
            return
        if pose == options.POSE:
            raise InputError(
                "--detector finds the boxes of --boxes detect. To score a detector by its boxes:"
                f" rtmpose eval detector DATA --detector {self.detector}"
            )
        log.warning("the detector is not used: it finds the boxes of --boxes detect")


# ---- metrics


@dataclass(frozen=True)
class MetricOptions:
    """What a pose model is scored by."""

    metric: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "coco-ap, wholebody-ap, crowdpose-ap, pck, pckh, tpck, auc, epe or nme; may be"
                " repeated."
            ),
            show_default="those the keypoint set is published with",
            rich_help_panel=METRICS,
        ),
    ] = None
    nme_points: Annotated[
        str | None,
        typer.Option(
            help="Two keypoints, such as left_eye,right_eye: NME in units of their distance.",
            show_default=False,
            rich_help_panel=METRICS,
        ),
    ] = None
    against: Against = None

    def names(self) -> list[str] | None:
        """The metrics; None for those the keypoint set is published with."""
        # Repeated or separated by commas, whichever is easier to type.
        names = [name.strip() for text in self.metric or () for name in text.split(",")]
        return names or None

    def two_points(self) -> tuple[str, str] | None:
        """The keypoints of NME.

        Raises:
            InputError: they are not two.
        """
        if self.nme_points is None:
            return None
        points = [point.strip() for point in self.nme_points.split(",")]
        if len(points) != 2 or not all(points):
            raise InputError(
                f"--nme-points must be two keypoints with a comma between, not {self.nme_points!r}"
            )
        return points[0], points[1]


# ---- calibration


@dataclass(frozen=True)
class CalibrationOptions:
    """The map from raw scores to probabilities."""

    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Fit the map from raw scores to probabilities, and test it.",
            rich_help_panel=CALIBRATION,
        ),
    ] = False
    per_keypoint: Annotated[
        bool,
        typer.Option(
            "--per-keypoint", help="One map for each keypoint.", rich_help_panel=CALIBRATION
        ),
    ] = False
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            "--out",
            metavar="MODEL",
            help="Write a copy of the .onnx or .safetensors with the map in its card.",
            show_default=False,
            rich_help_panel=CALIBRATION,
        ),
    ] = None
    write_card: Annotated[
        bool,
        typer.Option(
            "--write-card",
            help="Write the map into MODEL.card.json next to the model file.",
            rich_help_panel=CALIBRATION,
        ),
    ] = False

    def check(self, boxes: str | None) -> None:
        """Refuse what does not go together.

        Raises:
            InputError: the boxes are not the annotated ones, or nothing is to be calibrated.
        """
        # Probabilities are fitted to annotated people; detected boxes would mix in the detector.
        if self.calibrate and boxes not in (None, "gt"):
            raise InputError("--calibrate needs annotated boxes (--boxes gt)")
        if (self.write_card or self.output or self.per_keypoint) and not self.calibrate:
            raise InputError("--write-card, --output and --per-keypoint go with --calibrate")


# ---- engine and files


@dataclass(frozen=True)
class EngineOptions:
    """What the networks run on."""

    device: options.Device = "auto"
    backend: options.Backend = "auto"
    threads: options.Threads = 0
    precision: options.Precision = "fp32"

    def backend_options(self) -> BackendOptions:
        """The same for the runtime."""
        from rtmpose.backends import BackendOptions

        return BackendOptions(
            self.backend,
            self.device,
            self.threads,
            precision=self.precision,  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class ReportOptions:
    """The files that are written."""

    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="PATH",
            help="Write metrics and settings.",
            show_default=False,
            rich_help_panel=options.OUTPUT,
        ),
    ] = None
    results_file: Annotated[
        Path | None,
        typer.Option(
            "--results",
            metavar="PATH",
            help="Write the poses or boxes as COCO results.",
            show_default=False,
            rich_help_panel=options.OUTPUT,
        ),
    ] = None
