"""``--to`` of ``predict`` and ``track``: formats of labs, made of the results as in ``convert``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli.options import OUTPUT
from rtmpose.errors import InputError
from rtmpose.files import is_special
from rtmpose.ranges import FINITE, METERS_PER_PIXEL
from rtmpose.writers.lab_table import LAB_FORMATS, Holds, LabFormat, lab_format
from rtmpose.writers.table import format_named

if TYPE_CHECKING:
    from rtmpose.sources import SourceItem
    from rtmpose.writers.lab_options import LabOptions
    from rtmpose.writers.report import JobReport

RESULTS = "jsonl"
"""Format of the results that the others are made of: it has all frames and says all of a clip."""


@dataclass(frozen=True)
class LabFormatOptions:
    """Which formats of labs are written."""

    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT[=PATH]",
            help=(
                f"Formats of labs: {', '.join(row.name for row in LAB_FORMATS)}; may be given"
                " again. Left out, PATH is the folder of --output or a default one. The results"
                " are kept as .jsonl: `rtmpose convert` makes other formats of them, with more"
                " options."
            ),
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None
    meters_per_pixel: Annotated[
        float | None,
        METERS_PER_PIXEL,
        typer.Option(
            help="Length of a pixel in meters, for --to trc, c3d and bids-motion.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None
    floor_y: Annotated[
        float | None,
        FINITE,
        typer.Option(
            help="Row of the image that is height 0 in meters; left out: its lower border.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None


@dataclass(frozen=True)
class LabOutputs:
    """What is made of the results of a job.

    Attributes:
        formats: Format of results to its path, that of the results among them.
        targets: Formats of labs and where they go.
        options: What results do not say.
        sources: Files that must not be written over.
        names: Names of the files of single sources.
    """

    formats: Mapping[str, Path]
    targets: Sequence[tuple[LabFormat, Path]] = ()
    options: LabOptions | None = None
    sources: Sequence[Path] = ()
    names: Sequence[str] = ()

    def write(self, report: JobReport) -> None:
        """Make them, when the job is done; what cannot be made is a failure in its report.

        Raises:
            OutputError: the disk is full or gone; the results stay.
        """
        files = self._results(report)
        if not files or not self.targets:
            return
        # Readers of results need much that other runs do without.
        from rtmpose.results import Results
        from rtmpose.writers.convert import convert_clips

        for row, path in self.targets:
            options = self.options if row.in_meters else None
            try:
                convert_clips(
                    Results(*files),
                    row,
                    path,
                    options,
                    sources=[*self.sources, *files],
                    on_written=report.written.append,
                )
            except InputError as error:
                report.failures.append(
                    f"--to {row.name}: {error}; the results are kept in {files[0].parent}"
                )

    def _results(self, report: JobReport) -> list[Path]:
        """The files of results of this job."""
        if not self.targets:
            return []
        path = self.formats[RESULTS]
        row = format_named(RESULTS)
        if row.is_single_file(path):
            return [path] if path in report.written else []
        # Those that an earlier run finished are there too.
        files = [row.path_for(path, name, still=False) for name in self.names]
        return [file for file in files if file.is_file()]


def lab_outputs(
    asked: LabFormatOptions,
    formats: Mapping[str, Path],
    output: Path | None,
    items: Sequence[SourceItem],
    default: Path,
) -> LabOutputs:
    """Where formats of labs go, checked before any work is done.

    Args:
        asked: From the command line.
        formats: Formats of results that were asked for, and where they go.
        output: Where drawings go; None for nowhere.
        items: The sources.
        default: Folder to take where none is named.

    Raises:
        InputError: there is no such format, or two outputs are one file.
        MissingDependencyError: a package is not installed.
    """
    if not asked.to:
        if asked.meters_per_pixel is not None or asked.floor_y is not None:
            raise InputError("--meters-per-pixel and --floor-y are for --to trc, c3d, bids-motion")
        return LabOutputs(formats)
    from rtmpose.writers.drawn import is_drawn_file
    from rtmpose.writers.lab_options import LabOptions
    from rtmpose.writers.names import output_names

    folder = output or default
    if output is not None and is_drawn_file(output, items):
        folder = output.parent
    names = list(output_names(items).values())
    stem = names[0] if len(names) == 1 else "results"
    targets = [_target(text, folder, stem) for text in asked.to]
    _check(targets, asked, formats, items)

    # Results are needed anyway; where none were asked for in this form they go next to the others.
    results = formats.get(RESULTS)
    if results is None:
        place = folder if output is not None else _place_of(*targets[0])
        results = place / f"{stem}.jsonl"
    elif is_special(results):
        raise InputError(f"--to needs the results in a file: --jsonl {results} is none")
    return LabOutputs(
        {**formats, RESULTS: results},
        targets,
        LabOptions(meters_per_pixel=asked.meters_per_pixel, floor_y=asked.floor_y),
        [item.path for item in items if item.content is None],
        names,
    )


def _target(text: str, folder: Path, stem: str) -> tuple[LabFormat, Path]:
    """The format and path of ``FORMAT`` or ``FORMAT=PATH``."""
    from rtmpose.writers.convert import check_name

    name, named, path = text.partition("=")
    row = lab_format(name.strip())
    row.check_installed()
    if named and not path.strip():
        raise InputError(f"--to {text}: name a file or folder behind the =, or leave it out")
    target = Path(path.strip()) if named else folder
    # One file or folder for all sources is called after them.
    if not named and row.holds is Holds.all:
        target = folder / f"{stem}_{row.name}{row.suffix}"
    check_name(target, row)
    return row, target


def _place_of(row: LabFormat, target: Path) -> Path:
    """The folder that a target is in, or is."""
    is_file = bool(row.suffix) and target.name.lower().endswith(row.suffix)
    return target.parent if is_file or not row.suffix else target


def _check(
    targets: Sequence[tuple[LabFormat, Path]],
    asked: LabFormatOptions,
    formats: Mapping[str, Path],
    items: Sequence[SourceItem],
) -> None:
    """Refuse what would fail when the work is done."""
    if asked.meters_per_pixel is not None and not any(row.in_meters for row, _ in targets):
        raise InputError(f"--to {targets[0][0].name} has pixels; leave --meters-per-pixel out")
    if asked.floor_y is not None and asked.meters_per_pixel is None:
        raise InputError("--floor-y is for meters, with --meters-per-pixel; leave it out")
    places: dict[tuple[Path, str], str] = {}
    for name, path in formats.items():
        format_row = format_named(name)
        if not format_row.is_single_file(path):
            places[path.absolute(), format_row.suffix] = f"--{name}"
    for row, path in targets:
        if row.needs_ids and all(item.still for item in items):
            raise InputError(
                f"--to {row.name} holds movement, and the sources are photos; for these there are"
                " coco, yolo-pose, cvat, label-studio and fiftyone"
            )
        is_file = bool(row.suffix) and path.name.lower().endswith(row.suffix)
        if row.holds is Holds.clip and is_file and len(items) > 1:
            raise InputError(
                f"--to {row.name}={path} is one file, and there are {len(items)} sources: name a"
                " folder"
            )
        first = places.setdefault((path.absolute(), row.suffix), f"--to {row.name}")
        if first != f"--to {row.name}":
            raise InputError(
                f"{first} and --to {row.name} would both write NAME{row.suffix} in {path}; name"
                f" another folder: --to {row.name}=FOLDER"
            )
