"""``rtmpose data``: look at annotated data, find its faults, bring it into one form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from rtmpose.datasets.check_report import Report

app = typer.Typer(
    no_args_is_help=True,
    help="""Look at annotated data, find what would ruin a training, and bring it into one form.

A typical way: look, check, convert, train.

rtmpose data show mydata/annotations.json --sheet sheet.jpg

rtmpose data check mydata/train.json --against mydata/val.json

rtmpose data convert mydata/train.json --to halpe26 --out train.json""",
)

DataPath = Annotated[
    Path, typer.Argument(help="Annotation file, or its folder.", show_default=False)
]
From = Annotated[
    str,
    typer.Option(
        "--from", help="Annotation format; auto recognizes most. `rtmpose data formats` lists them."
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        help="Folder that the file names start from; looked for around the file unless told."
    ),
]
Points = Annotated[
    str | None,
    typer.Option(
        "--skeleton",
        help="The keypoints, where the file does not say: a set's name or a TOML file.",
    ),
]
Split = Annotated[str, typer.Option(help="Of YOLO labels: train, val or test.")]
ERRORS_FOUND = 1


@app.command("check")
def check_data(
    data: DataPath,
    format: From = "auto",
    images: Images = None,
    skeleton: Points = None,
    split: Split = "",
    against: Annotated[
        Path | None,
        typer.Option(
            help="Another split (annotations): no photo should be in both.", show_default=False
        ),
    ] = None,
    against_images: Annotated[
        Path | None, typer.Option(help="Its pictures, where they are not found.")
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            help="Open every picture: is it there, whole, of the right size, a duplicate?"
        ),
    ] = True,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Draw a contact sheet (.jpg, .png), instances with faults first."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the whole report.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read pictures.")] = 2,
) -> int:
    """Find what would ruin a training.

    Ids that do not fit, missing and damaged pictures, boxes outside or without area, wrong numbers
    of keypoints, NaN, points far from their box, instances whose left and right look exchanged,
    duplicates within and between splits, keypoints and classes without labels.

    Exit status: 0 when there is nothing or only notes, 1 when there are errors.

    Examples:
    rtmpose data check coco/annotations/person_keypoints_val2017.json

    rtmpose data check mydata --skeleton mouse.toml --sheet sheet.jpg --json report.json

    rtmpose data check train.json --against val.json
    """
    from rich.console import Console
    from rich.progress import Progress

    from rtmpose.cli.terminal import stderr_console
    from rtmpose.datasets.check import check
    from rtmpose.datasets.formats import read_annotations
    from rtmpose.files import write_text

    annotations = read_annotations(data, format, images, skeleton, split)
    other = read_annotations(against, "auto", against_images, skeleton) if against else None
    with Progress(console=stderr_console(), transient=True) as progress:
        task = progress.add_task("pictures", total=None)
        report = check(
            annotations,
            against=other,
            pictures=pictures,
            workers=workers,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if json_file:
        write_text(json_file, json.dumps(report.to_dict(), indent=2) + "\n")
    if sheet:
        _draw_sheet(annotations, report, sheet)
    console = Console()
    if report.faults:
        console.print(_fault_table(report))
    typer.echo(_summary(report))
    for path in (json_file, sheet):
        if path:
            typer.echo(f"wrote {path}")
    return ERRORS_FOUND if report.errors else 0


@app.command("convert")
def convert_data(
    data: Annotated[
        Path,
        typer.Argument(
            help="Annotation file or folder, or a mixture (.toml, see docs/datasets.md).",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The COCO JSON to write.", show_default=False)],
    to: Annotated[
        str | None,
        typer.Option(
            help=(
                "Keypoint set to bring it to: coco17, halpe26, lapa106, hand21, ..., or a TOML file"
                " whose point names "
                "are matched; left out, the points stay as they are."
            )
        ),
    ] = None,
    format: From = "auto",
    images: Images = None,
    skeleton: Points = None,
    split: Split = "",
) -> None:
    """Write any known format as COCO JSON, in another keypoint set if you like.

    Points are matched by name; what the source does not label has v = 0 in the result. File names
    are relative to the new file. Faces and hands are cut out of whole-body sets as instances of
    their own.

    Examples:
    rtmpose data convert mpii/train.json --images mpii/images --to halpe26 --out mpii-halpe26.json

    rtmpose data convert coco_wholebody_val_v1.0.json --to hand21 --out hands.json

    rtmpose data convert yolo/data.yaml --split val --skeleton mouse.toml --out val.json
    """
    from rtmpose.datasets import convert, load_mixture, merge, open_mixture, read
    from rtmpose.datasets.coco import save_coco
    from rtmpose.datasets.formats import find_skeleton

    if data.suffix == ".toml":
        mixture, folder = load_mixture(data)
        dataset = merge([d for d, _ in open_mixture(mixture, folder)])
    else:
        dataset = read(data, format, images, skeleton, split)
    if to is not None:
        dataset = convert(dataset, find_skeleton(to) if to.endswith(".toml") else to)  # type: ignore[arg-type]
    save_coco(dataset, out)
    count = sum(len(dataset.labeled(i)) for i in dataset.images)
    points = (
        dataset.skeleton.name if dataset.skeleton else f"{len(dataset.keypoint_names)} keypoints"
    )
    typer.echo(
        f"wrote {out}: {len(dataset.images)} images, {count} instances with keypoints, {points}"
    )


@app.command("show")
def show_data(
    data: DataPath,
    sheet: Annotated[
        Path | None,
        typer.Option(
            help="Contact sheet to draw (.jpg, .png); sheet.jpg if --save is not given either."
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Folder for whole pictures with their annotations.")
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, help="Instances on the sheet, or pictures to save.")
    ] = 48,
    seed: Annotated[int, typer.Option(help="Of the choice for the sheet.")] = 0,
    to: Annotated[str | None, typer.Option(help="Show it converted to this keypoint set.")] = None,
    format: From = "auto",
    images: Images = None,
    skeleton: Points = None,
    split: Split = "",
) -> int:
    """Draw annotated instances side by side, or whole pictures.

    Left limbs are blue and right ones orange (the subject's own left and right), so that exchanged
    sides stand out.

    Examples:
    rtmpose data show lapa/lapa_test.json --sheet sheet.jpg

    rtmpose data show mpii_val.json --images mpii/images --to halpe26 --save out --count 20
    """
    from rtmpose.datasets import convert, read
    from rtmpose.datasets.contact_sheet import contact_sheet, draw_annotated, save_picture
    from rtmpose.errors import InputError

    dataset = read(data, format, images, skeleton, split)
    dataset = convert(dataset, to) if to else dataset
    skipped = 0
    if save is not None:
        for image_id in [i for i in dataset.images if dataset.labeled(i)][:count]:
            target = save / f"{image_id}_{dataset.images[image_id].stem}.jpg"
            try:
                save_picture(target, draw_annotated(dataset, image_id))
            except InputError as error:
                typer.echo(f"skipped: {error}", err=True)
                skipped += 1
        typer.echo(f"wrote pictures to {save}")
    if sheet is not None or save is None:
        sheet = sheet or Path("sheet.jpg")
        save_picture(sheet, contact_sheet(dataset, count=count, seed=seed))
        typer.echo(f"wrote {sheet}")
    return 1 if skipped else 0


@app.command("formats")
def list_formats() -> None:
    """List annotation formats, keypoint sets and the conversions between them."""
    from rich.console import Console
    from rich.table import Table

    from rtmpose.datasets import FORMATS, MIXTURES
    from rtmpose.datasets.convert import conversions
    from rtmpose.errors import InputError
    from rtmpose.skeletons import get_skeleton, skeleton_names

    table = Table(title="Annotation formats (--from)")
    table.add_column("format", no_wrap=True)
    table.add_column("what it is")
    for name, text in FORMATS.items():
        table.add_row(name, text)
    sets = Table(title="Keypoint sets (--skeleton, --to)")
    sets.add_column("set", no_wrap=True)
    sets.add_column("what it is")
    sets.add_column("converts to")
    for name in skeleton_names():
        targets = []
        for other in skeleton_names():
            try:
                conversions(name, other)
            except InputError:
                continue
            targets.append(other)
        sets.add_row(
            name, get_skeleton(name).description, ", ".join(t for t in targets if t != name)
        )
    mixtures = Table(title="Published mixtures")
    mixtures.add_column("mixture", no_wrap=True)
    mixtures.add_column("keypoint set")
    mixtures.add_column("data sets")
    for mixture in MIXTURES.values():
        parts = (f"{p.name} (scored on only)" if p.test_only else p.name for p in mixture.parts)
        mixtures.add_row(mixture.name, mixture.target, ", ".join(parts))
    console = Console()
    for part in (table, sets, mixtures):
        console.print(part)


def _draw_sheet(annotations: object, report: Report, path: Path) -> None:
    """Draw the sheet of a set that may have faults: what cannot be drawn is left out."""
    from rtmpose.datasets.check import drawable
    from rtmpose.datasets.coco_content import Annotations
    from rtmpose.datasets.contact_sheet import contact_sheet, save_picture

    assert isinstance(annotations, Annotations)
    shown = [f for f in report.faults if f.kind not in ("without-keypoints", "box-over-edge")]
    marked = {number: fault.kind for fault in reversed(shown) for number in fault.ids}
    save_picture(path, contact_sheet(drawable(annotations), marked=marked))


def _fault_table(report: Report) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{Path(report.path).name}", show_lines=True)
    table.add_column("", no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("what, and what to do")
    table.add_column("first examples", overflow="fold")
    for fault in report.faults:
        mark = "[red]error[/red]" if fault.severity == "error" else "[yellow]note[/yellow]"
        examples = "\n".join(escape(e) for e in fault.examples[:3])
        table.add_row(mark, str(fault.count), f"{fault.what}; {fault.advice}", examples)
    return table


def _summary(report: Report) -> str:
    labels = [n for n in report.points.values() if n]
    points = report.keypoint_set or f"{len(report.points)} keypoints"
    lines = [
        (
            f"{report.images} images, {report.annotations} annotations, {report.labeled} instances"
            f" with keypoints ({points}; {min(labels, default=0)} to {max(labels, default=0)}"
            " labels per point)"
        ),
    ]
    if report.left_right is not None:
        lines.append(
            f"left and right are told apart in {100 * report.left_right:.0f} % of the instances"
        )
    notes = len(report.faults) - report.errors
    lines.append(f"{report.errors} kinds of errors, {notes} of notes")
    return "\n".join(lines)
