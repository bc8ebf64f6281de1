"""Options of the commands that read annotated data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli.options import DATA
from rtmpose.errors import InputError

if TYPE_CHECKING:
    from rtmpose.datasets import KeypointDataset
    from rtmpose.datasets.coco_content import Annotations


AnnotationsPath = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Annotation file in any of the known formats, or its folder.",
        show_default=False,
    ),
]
CategoryName = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Of a COCO file: take the instances of this category only.",
        show_default=False,
        rich_help_panel=DATA,
    ),
]

HOLD_OUT = "Holding out"


@dataclass(frozen=True)
class HoldOutOptions:
    """Which part of a set is written to a file of its own."""

    hold_out: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|GROUPS",
            help="Share of the images to hold out (0.2), or names of groups (clip3,clip7).",
            show_default=False,
            rich_help_panel=HOLD_OUT,
        ),
    ] = None
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="folder|REGEX",
            help=(
                "Images that stay together: of one folder, or with the same match in their path"
                " ('subject(\\d+)'). Trainings of the result keep to it."
            ),
            show_default="each image by itself",
            rich_help_panel=HOLD_OUT,
        ),
    ] = None
    held_output: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Where the part that is held out goes.",
            show_default="OUTPUT with -val",
            rich_help_panel=HOLD_OUT,
        ),
    ] = None

    def outputs(self, output: Path) -> list[Path]:
        """The files to write: one, or that of the part to train on and that of the rest.

        Raises:
            InputError: both are the same, or a file is named for a rest that there is not.
        """
        if self.hold_out is None:
            if self.held_output is not None:
                raise InputError("--held-output goes with --hold-out")
            return [output]
        held = self.held_output or output.with_name(f"{output.stem}-val{output.suffix}")
        if held.absolute() == output.absolute():
            raise InputError("--output and --held-output are the same file")
        return [output, held]


@dataclass(frozen=True)
class DataOptions:
    """How annotations are read."""

    annotation_format: Annotated[
        str,
        typer.Option(
            help=(
                "Format of the annotations; auto recognizes almost all. `rtmpose data formats`"
                " lists them."
            ),
            rich_help_panel=DATA,
        ),
    ] = "auto"
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder that the file names start from; looked for around the annotations.",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Keypoint set, where the annotations do not say: its name or a TOML file.",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None
    split: Annotated[
        str,
        typer.Option(
            help="Of YOLO labels: train, val or test.",
            show_default="train; in eval val, else test",
            rich_help_panel=DATA,
        ),
    ] = ""
    category: CategoryName = ""

    def read(self, data: Path) -> KeypointDataset:
        """The set, checked and repaired."""
        # Imported late: reading data sets needs more than `--help` should load.
        from rtmpose.datasets import read

        return read(
            data, self.annotation_format, self.images, self.skeleton, self.split, self.category
        )

    def read_to_score(self, data: Path) -> KeypointDataset:
        """The set to evaluate on: of a set with splits the validation, else the test split."""
        from rtmpose.datasets import SCORING_SPLITS, read

        split = self.split or SCORING_SPLITS
        return read(data, self.annotation_format, self.images, self.skeleton, split, self.category)

    def read_unchecked(self, data: Path) -> Annotations:
        """The set with its errors still in it."""
        from rtmpose.datasets.formats import read_annotations

        return read_annotations(
            data, self.annotation_format, self.images, self.skeleton, self.split, self.category
        )
