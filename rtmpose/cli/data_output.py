"""What the ``rtmpose data`` commands print and draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rtmpose.cli.tables import print_lines, print_table
from rtmpose.errors import InputError
from rtmpose.paths import is_existing_file

if TYPE_CHECKING:
    from rich.table import Table

    from rtmpose.datasets import KeypointDataset
    from rtmpose.datasets.check_report import Report
    from rtmpose.datasets.coco_content import Annotations

SHOWN_EXAMPLES = 3
SHOWN_MISSING = 10
SHOWN_GROUPS = 6
CHUNK = 1024 * 1024
"""Bytes that are read at a time."""
NOT_ON_SHEET = ("without-keypoints", "box-past-edge")
"""Issues that an instance is not put on the contact sheet for."""


# ---- check


def show_report(report: Report) -> None:
    """Print what a check found."""
    # A table only where there is something to list.
    if report.issues:
        print_table(_issue_table(report))
    print_lines(_summary(report))


def _issue_table(report: Report) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(Path(report.path).name), show_lines=True)
    table.add_column("", no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("what, and what to do")
    table.add_column("first examples", overflow="fold")
    # Worst first, as the report has them.
    for issue in report.issues:
        severity = "[red]error[/red]" if issue.severity == "error" else "[yellow]note[/yellow]"
        examples = "\n".join(escape(example) for example in issue.examples[:SHOWN_EXAMPLES])
        table.add_row(severity, str(issue.count), f"{issue.description}; {issue.advice}", examples)
    return table


def _summary(report: Report) -> str:
    # Points without any label are reported as issues; here the range of the others counts.
    labels = [count for count in report.points.values() if count]
    points = report.keypoint_set or f"{len(report.points)} keypoints"
    lines = [
        f"{report.images} images, {report.annotations} annotations, {report.labeled} instances"
        f" with keypoints ({points}; {min(labels, default=0)} to {max(labels, default=0)}"
        " labels per point)"
    ]
    if report.left_right is not None:
        lines.append(
            f"left and right are told apart in {100 * report.left_right:.0f} % of the instances"
        )
    notes = len(report.issues) - report.errors
    lines.append(f"{report.errors} kinds of errors, {notes} of notes")
    return "\n".join(lines)


# ---- convert


def check_replaceable(output: Path, source: Path) -> None:
    """Refuse to replace annotations that somebody made; those of an earlier run may go.

    Raises:
        InputError: the output is the source, a file that this package did not write, or no .json.
    """
    if output.suffix.lower() != ".json":
        raise InputError(f"{output} should be a .json file: COCO annotations are written to it")
    if not output.exists():
        return
    if source.exists() and output.samefile(source):
        raise InputError(f"-o {output} would replace the source; choose another name")
    if not output.is_file() or _is_ours(output):
        return
    raise InputError(
        f"{output} exists and was not written by rtmpose; remove it or choose another name"
    )


def _is_ours(path: Path) -> bool:
    """Whether a file has the mark of this package."""
    from rtmpose.datasets.coco_content import WRITTEN_BY_US

    mark = f'"{WRITTEN_BY_US}"'.encode()
    tail = b""
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            if mark in tail + block:
                return True
            tail = block[-len(mark) :]
    return False


def count_missing_images(dataset: KeypointDataset) -> None:
    """Say how many images are nowhere, and which."""
    images = dataset.images
    missing = [str(path) for path in images.values() if not is_existing_file(path)]
    if missing:
        shown = "".join(f"\n  {path}" for path in missing[:SHOWN_MISSING])
        more = (
            f"\n  and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
        )
        typer.echo(f"{len(missing)} of {len(images)} images are missing:{shown}{more}", err=True)


@contextmanager
def reading(data: Path) -> Iterator[None]:
    """Show in a terminal that something is being read."""
    from rtmpose.cli.terminal import stderr_console

    console = stderr_console()
    if not console.is_terminal:
        yield
        return
    with console.status(f"reading {data.name}"):
        yield


def write_parts(
    dataset: KeypointDataset, outputs: Sequence[Path], what: str | None, group_by: str | None
) -> None:
    """Write a set to one file, or its two parts that share no group to two.

    Args:
        dataset: The set.
        outputs: One file, or two where something is held out.
        what: What to hold out; None for nothing.
        group_by: Which images stay together; None for each by itself.

    Raises:
        InputError: the set cannot be split so.
        OutputError: a file cannot be written.
    """
    from rtmpose.datasets.coco import save_coco
    from rtmpose.datasets.hold_out import BY_IMAGE, hold_out, marked

    # Without a split, the groups are kept for trainings.
    if what is None:
        dataset = marked(dataset, group_by) if group_by else dataset
        save_coco(dataset, outputs[0])
        show_written(dataset, outputs[0])
        return
    parts = hold_out(dataset, what, group_by or BY_IMAGE)
    for part, path in zip(parts, outputs, strict=True):
        save_coco(part.dataset, path)
        show_written(part.dataset, path, part.groups if group_by else ())


def show_written(dataset: KeypointDataset, path: Path, groups: Sequence[str] = ()) -> None:
    """Print what a converted file holds: numbers that a typo in ``--to`` would change.

    Args:
        dataset: What was written.
        path: Where to.
        groups: Names of the groups of a part of a set.
    """
    instances = sum(len(dataset.labeled(i)) for i in dataset.images)
    points = f"{len(dataset.keypoint_names)} keypoints"
    if dataset.skeleton:
        points = dataset.skeleton.name
    of_groups = ""
    if groups:
        more = ", ..." if len(groups) > SHOWN_GROUPS else ""
        of_groups = f" of {len(groups)} groups ({', '.join(groups[:SHOWN_GROUPS])}{more})"
    typer.echo(
        f"wrote {path}: {len(dataset.images)} images{of_groups}, {instances} instances with"
        f" keypoints, {points}"
    )


# ---- show


def draw_issues(annotations: Annotations, report: Report, path: Path) -> None:
    """Draw the contact sheet of a set that may have issues: what cannot be drawn is left out.

    Raises:
        InputError: nothing can be drawn.
        OutputError: the sheet cannot be written.
    """
    from rtmpose.datasets.check import drawable
    from rtmpose.datasets.contact_sheet import contact_sheet, save_image

    # Of several issues of an instance, the first of the report is named.
    highlighted: dict[int, str] = {}
    for issue in report.issues:
        if issue.kind not in NOT_ON_SHEET:
            for annotation_id in issue.ids:
                highlighted.setdefault(annotation_id, issue.kind)
    save_image(path, contact_sheet(drawable(annotations), highlighted=highlighted))


def draw_images(dataset: KeypointDataset, folder: Path, count: int) -> int:
    """Draw whole images with their annotations.

    Returns:
        The number of images that could not be read; each is named on standard error.
    """
    from rtmpose.datasets.contact_sheet import draw_annotations, save_image

    # Images without labeled instances show nothing.
    annotated = [i for i in dataset.images if dataset.labeled(i)]
    skipped = 0
    for image_id in annotated[:count]:
        try:
            image = draw_annotations(dataset, image_id)
        except InputError as error:
            typer.echo(f"skipped: {error}", err=True)
            skipped += 1
            continue
        save_image(folder / f"{image_id}_{dataset.images[image_id].stem}.jpg", image)
    return skipped


# ---- formats


def show_formats() -> None:
    """Print annotation formats, keypoint sets and mixtures."""
    for table in (_format_table(), _keypoint_set_table(), _mixture_table()):
        print_table(table)


def _format_table() -> Table:
    from rich.markup import escape
    from rich.table import Table

    from rtmpose.datasets import FORMATS

    table = Table(title="Annotation formats (--annotation-format)")
    table.add_column("format", no_wrap=True)
    table.add_column("what it is")
    for name, text in FORMATS.items():
        table.add_row(name, escape(text))
    return table


def _keypoint_set_table() -> Table:
    from rich.markup import escape
    from rich.table import Table

    from rtmpose.skeletons import get_skeleton, skeleton_names

    table = Table(title="Keypoint sets (--skeleton, --to)")
    table.add_column("set", no_wrap=True)
    table.add_column("what it is")
    table.add_column("converts to")
    for name in skeleton_names():
        table.add_row(name, escape(get_skeleton(name).description), ", ".join(_targets(name)))
    return table


def _targets(source: str) -> list[str]:
    """Keypoint sets that a set can be converted to."""
    from rtmpose.datasets.conversion_table import conversions
    from rtmpose.skeletons import skeleton_names

    # Tried one by one: the table of conversions knows what is possible.
    targets = []
    for target in skeleton_names():
        if target == source:
            continue
        try:
            conversions(source, target)
        except InputError:
            continue
        targets.append(target)
    return targets


def _mixture_table() -> Table:
    from rich.table import Table

    from rtmpose.datasets import MIXTURES

    table = Table(title="Published mixtures")
    table.add_column("mixture", no_wrap=True)
    table.add_column("keypoint set")
    table.add_column("data sets")
    for mixture in MIXTURES.values():
        # Parts that must not be trained on are marked.
        parts = [f"{p.name} (test only)" if p.test_only else p.name for p in mixture.parts]
        table.add_row(mixture.name, mixture.target, ", ".join(parts))
    return table
