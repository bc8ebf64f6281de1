"""``rtmpose data``: look at annotated data, find its issues, bring it into one form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli.data_options import AnnotationsPath, DataOptions, HoldOutOptions
from rtmpose.cli.groups import expand_groups
from rtmpose.errors import InputError
from rtmpose.ranges import COUNT, SEED, WORKERS
from rtmpose.text_files import to_json

if TYPE_CHECKING:
    from rtmpose.datasets import KeypointDataset

app = typer.Typer(
    no_args_is_help=True,
    help="""Look at annotated data, find what would ruin a training, and bring it into one form.

A typical way: look, check, convert, train.

rtmpose data show mydata/annotations.json --sheet sheet.jpg

rtmpose data check mydata/train.json --against mydata/val.json

rtmpose data convert mydata/train.json --to halpe26 -o train.json""",
)

# ---- options that only the check has


OtherSplit = Annotated[
    Path | None,
    typer.Option(
        help="Another split (annotations): no image should be in both.", show_default=False
    ),
]
OtherImages = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the other split's images, where they are not found.", show_default=False
    ),
]

# ---- exit statuses and defaults


ERRORS_FOUND = 1
IMAGES_SKIPPED = 1
DEFAULT_SHEET = Path("sheet.jpg")
SHEET_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".pdf")


# ---- check


@app.command("check")
@expand_groups
def check_data(
    data: AnnotationsPath,
    reading: DataOptions,
    against: OtherSplit = None,
    against_images: OtherImages = None,
    check_images: Annotated[
        bool,
        typer.Option(help="Open every image: is it there, whole, of the right size, a duplicate?"),
    ] = True,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Draw a contact sheet (.jpg, .png), instances with issues first.",
            show_default=False,
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="PATH", help="Write the report.", show_default=False),
    ] = None,
    workers: Annotated[int, WORKERS, typer.Option(help="Threads that read images.")] = 2,
) -> int:
    """Find what would ruin a training.

    Ids that do not fit, missing and damaged images, boxes outside or without area, wrong numbers of
    keypoints, NaN, points far from their box, instances whose left and right look swapped,
    duplicates within and between splits, keypoints and categories without labels.

    Exit status: 0 when there is nothing or only notes, 1 when there are errors.

    Examples:
      rtmpose data check coco/val2017.json

      rtmpose data check mydata --skeleton mouse.toml --sheet sheet.jpg --json report.json

      rtmpose data check train.json --against val.json
    """
    from rich.progress import Progress

    from rtmpose.cli import data_output
    from rtmpose.cli.terminal import stderr_console
    from rtmpose.datasets.check import check
    from rtmpose.datasets.formats import read_annotations
    from rtmpose.files import write_text

    # Errors are what the check looks for, so nothing is repaired while reading.
    with data_output.reading(data):
        annotations = reading.read_unchecked(data)
    other = None
    if against:
        other = read_annotations(against, "auto", against_images, reading.skeleton)
    with Progress(console=stderr_console(), transient=True) as progress:
        task = progress.add_task("images", total=None)
        report = check(
            annotations,
            against=other,
            open_images=check_images,
            workers=workers,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )

    # The terminal first, then the files that were asked for.
    data_output.show_report(report)
    if json_file:
        write_text(json_file, to_json(report.to_dict(), indent=2) + "\n")
        typer.echo(f"wrote {json_file}")
    if sheet:
        data_output.draw_issues(annotations, report, sheet)
        typer.echo(f"wrote {sheet}")
    return ERRORS_FOUND if report.errors else 0


# ---- convert


@app.command("convert")
@expand_groups
def convert_data(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Annotation file or folder, or a mixture (.toml, see docs/datasets.md).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            "--out",
            metavar="PATH",
            help="The COCO JSON to write.",
            show_default=False,
        ),
    ],
    reading: DataOptions,
    holding: HoldOutOptions,
    to: Annotated[
        str | None,
        typer.Option(
            help=(
                "Keypoint set to convert to: coco17, halpe26, lapa106, hand21, ..., or a TOML file"
                " whose point names are matched; left out, the points stay as they are."
            ),
            show_default=False,
        ),
    ] = None,
) -> int:
    r"""Write any known format as COCO JSON, in another keypoint set if you like.

    Points are matched by name; what the source does not label has v = 0 in the result. File names
    are relative to the new file. Faces and hands are cut out of whole-body sets as separate
    instances. Labeled frames of SLEAP's videos are written as images next to the new file.

    Examples:
      rtmpose data convert mpii/train.json --images mpii/images --to halpe26 -o mpii-halpe26.json

      rtmpose data convert coco_wholebody_val_v1.0.json --to hand21 -o hands.json

      rtmpose data convert yolo/data.yaml --split val --skeleton mouse.toml -o val.json

      rtmpose data convert labelme_folder -o all.json --hold-out 0.2 --group-by folder

      rtmpose data convert deeplabcut_project -o train.json --hold-out m3-v1 --group-by 'm\d-v\d'
    """
    from rtmpose.cli import data_output

    # The source must survive a slip in the name of the output.
    outputs = holding.outputs(output)
    for path in outputs:
        data_output.check_replaceable(path, data)
    with data_output.reading(data):
        dataset = _read_to_convert(data, reading, output)
    data_output.count_missing_images(dataset)
    for path in outputs:
        data_output.check_replaceable(path, dataset.path)
    data_output.write_parts(_converted(dataset, to), outputs, holding.hold_out, holding.group_by)
    return 0


def _read_to_convert(data: Path, reading: DataOptions, output: Path) -> KeypointDataset:
    """The set, or the sets of a mixture as one.

    Raises:
        InputError: it cannot be read, or a mixture has options of single sets.
    """
    from dataclasses import replace

    from rtmpose.datasets import load_mixture, merge, open_mixture

    # A mixture says itself how its parts are read.
    if data.suffix == ".toml":
        if reading != DataOptions():
            raise InputError(
                f"formats, images and keypoint sets of a mixture are written in {data} itself"
            )
        mixture, folder = load_mixture(data)
        return merge([part for part, _ in open_mixture(mixture, folder)])

    # Frames of videos become images first.
    is_sleap = reading.annotation_format == "sleap" or data.suffix.lower() == ".slp"
    if is_sleap and reading.images is None:
        from rtmpose.datasets.sleap import save_frames

        frames = output.with_name(f"{output.stem}_frames")
        if save_frames(data, frames):
            typer.echo(f"frames of videos are in {frames}")
            reading = replace(reading, images=frames)
    return reading.read(data)


# ---- show


@app.command("show")
@expand_groups
def show_data(
    data: AnnotationsPath,
    reading: DataOptions,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help=("Contact sheet to draw (.jpg, .png); sheet.jpg if --output is not given either."),
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            "--save",
            metavar="FOLDER",
            help="Folder for whole images with their annotations.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int, COUNT, typer.Option(help="Largest number of instances or images to draw.")
    ] = 48,
    seed: Annotated[int, SEED, typer.Option(help="Of the choice for the sheet.")] = 0,
    to: Annotated[
        str | None,
        typer.Option(
            help="Convert to this keypoint set first: a name or a TOML file.", show_default=False
        ),
    ] = None,
) -> int:
    """Draw annotated instances as a contact sheet, or whole images.

    Left limbs are blue and right ones orange (the subject's left and right), so that swapped sides
    stand out.

    Examples:
      rtmpose data show lapa/lapa_test.json --sheet sheet.jpg

      rtmpose data show mpii_val.json --images mpii/images --to halpe26 -o drawn --count 20
    """
    from rtmpose.cli import data_output
    from rtmpose.datasets.contact_sheet import contact_sheet, save_image

    if output is not None and output.suffix.lower() in SHEET_SUFFIXES and not output.is_dir():
        raise InputError(f"-o {output} is a folder of drawn images: --sheet {output} draws one")

    # Converted first, so that the drawing shows what training would get.
    with data_output.reading(data):
        dataset = reading.read(data)
    data_output.count_missing_images(dataset)
    dataset = _converted(dataset, to)
    skipped = 0

    # Whole images, a sheet, or both; a sheet where nothing was asked for.
    if output is not None:
        skipped = data_output.draw_images(dataset, output, count)
        typer.echo(f"wrote images to {output}")
    if sheet is not None or output is None:
        sheet = sheet or DEFAULT_SHEET
        save_image(sheet, contact_sheet(dataset, count=count, seed=seed))
        typer.echo(f"wrote {sheet}")
    return IMAGES_SKIPPED if skipped else 0


# ---- formats


@app.command("formats")
def list_formats() -> None:
    """List annotation formats, keypoint sets and the conversions between them.

    Example: rtmpose data formats
    """
    from rtmpose.cli import data_output

    data_output.show_formats()


def _converted(dataset: KeypointDataset, target: str | None) -> KeypointDataset:
    """The set in another keypoint set: a name, a TOML file, or None for no conversion."""
    from rtmpose.datasets import convert
    from rtmpose.skeletons import load_skeleton

    if target is None:
        return dataset
    return convert(dataset, load_skeleton(target) if target.endswith(".toml") else target)
