"""``rtmpose models``: what models there are, and their files on this machine."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import typer

from rtmpose import zoo
from rtmpose.cli import model_output
from rtmpose.cli.prepare import prepare
from rtmpose.cli.tables import print_lines, print_table
from rtmpose.errors import InputError, MissingDependencyError, ModelError
from rtmpose.model_card import ModelCard
from rtmpose.ranges import COUNT
from rtmpose.text_files import to_json
from rtmpose.zoo.cache import accepts_digest, is_bundled, read_record, sha256_of
from rtmpose.zoo.catalog import find_file

app = typer.Typer(
    no_args_is_help=True,
    help="""List, describe, download and check the published models.

Wherever a command asks for a model, a name from this list, the path of an .onnx file or its URL
will do. Downloads are kept in the cache folder (RTMPOSE_HOME moves it) and checked before use.""",
)


# ---- list


class ModelFormat(str, Enum):
    """The formats a model is published in."""

    onnx = "onnx"
    pth = "pth"


@app.command("list")
def list_models(
    task: Annotated[
        str | None,
        typer.Option(
            help=(
                "Only this task: body, body-feet, wholebody, face, hand, animal, 'person"
                " detection' ..."
            ),
            show_default=False,
        ),
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(
            help=(
                "Only this keypoint set: coco17, halpe26, coco-wholebody133, ap10k17, lapa106,"
                " hand21."
            ),
            show_default=False,
        ),
    ] = None,
    keypoints: Annotated[
        int | None,
        COUNT,
        typer.Option(help="Only models with this number of keypoints.", show_default=False),
    ] = None,
    available: Annotated[
        bool,
        typer.Option(
            "--available",
            help="Only models whose ONNX can be downloaded, so that they run at once.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything that is known of them, as JSON.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table of docs/model-zoo.md.")
    ] = False,
) -> None:
    """List the published models.

    Examples:
      rtmpose models list --available

      rtmpose models list --task body-feet

      rtmpose models list --keypoints 17 --json
    """
    # The same selection in three forms: for programs, for the docs, for people.
    cards = select(task=task, skeleton=skeleton, keypoints=keypoints, available=available)
    if as_json:
        rows = [model_output.to_dict(card) for card in cards]
        typer.echo(to_json(rows, indent=2, ensure_ascii=False))
    elif markdown:
        typer.echo(model_output.markdown_table(cards))
    else:
        model_output.print_models(cards)
        print_lines(
            f"\n{len(cards)} of {len(zoo.load_zoo())} models. 'bundled' is in the package, "
            "'onnx' can be downloaded and run; of 'pth' no ONNX is published.\n"
            "`rtmpose models info NAME` tells more of one."
        )


def select(
    *,
    task: str | None = None,
    skeleton: str | None = None,
    keypoints: int | None = None,
    available: bool = False,
) -> tuple[ModelCard, ...]:
    """The cards of the zoo that fit.

    Args:
        task: Only this task.
        skeleton: Only this keypoint set.
        keypoints: Only this number of keypoints.
        available: Only models with an ONNX file.

    Raises:
        InputError: no model has that task, keypoint set or number of keypoints.
    """
    # Filters narrow down one after the other.
    cards = zoo.load_zoo()
    if task is not None:
        cards = _with(cards, "task", task, lambda card: card.task)
    if skeleton is not None:
        cards = _with(cards, "skeleton", skeleton, lambda card: card.skeleton)
    if keypoints is not None:
        cards = _with(cards, "number of keypoints", keypoints, model_output.keypoint_count)
    return tuple(card for card in cards if card.file("onnx") or not available)


def _with(
    cards: tuple[ModelCard, ...],
    name: str,
    value: str | int,
    value_of: Callable[[ModelCard], str | int | None],
) -> tuple[ModelCard, ...]:
    """The cards with a value, which some card of the zoo must have."""
    # Compared with the whole zoo: a combination may be empty, but a value must exist.
    existing = dict.fromkeys(value_of(card) for card in zoo.load_zoo())
    if value not in existing:
        values = ", ".join(str(v) for v in existing if v is not None)
        raise InputError(f"no model has the {name} {value!r}; there are: {values}")
    return tuple(card for card in cards if value_of(card) == value)


# ---- info


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="Id or short name of a model, such as rtmpose-s.")],
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Tell all that is known of one model: input, output, accuracy, files and where they come from.

    Examples:
      rtmpose models info rtmpose-s

      rtmpose models info rtmpose-m-wholebody --json
    """
    card = zoo.find(name)
    if as_json:
        typer.echo(to_json(model_output.to_dict(card), indent=2, ensure_ascii=False))
    else:
        typer.echo(model_output.describe(card))


# ---- table


@app.command()
def table(
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Compare the published parameters and multiply-adds with those of our networks (needs torch).

    Example: rtmpose models table
    """
    # Counting builds every network; the forms below only print.
    rows = _counted_models()
    if as_json:
        keys = ("id", "published_params_m", "params_m", "published_gflops", "gflops")
        typer.echo(to_json([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
        return
    heading = ("model", "published M parameters", "ours", "published G multiply-adds", "ours")
    texts = [tuple("" if value is None else str(value) for value in row) for row in rows]
    if markdown:
        typer.echo(model_output.markdown_rows([heading, ("---", *["---:"] * 4), *texts]))
        return
    from rich.table import Table

    shown = Table(*heading)
    for text in texts:
        shown.add_row(*text)
    print_table(shown)


CountedModel = tuple[str, float | None, float, float | None, float]
"""Id, published and counted parameters (M), published and counted multiply-adds (G)."""


def _counted_models() -> list[CountedModel]:
    try:
        from rtmpose.networks import build, config_for, count_multiply_adds, count_parameters
    except ImportError as error:
        raise MissingDependencyError(
            "counting needs torch: pip install 'rtmpose[export]'"
        ) from error
    from rich.progress import track

    from rtmpose.cli.terminal import stderr_console

    # Pruned networks are left out: their widths are in the file, not in the name.
    cards = [c for c in zoo.load_zoo() if c.has_network and not c.architecture.endswith("-pruned")]
    rows: list[CountedModel] = []
    for card in track(cards, "counting", console=stderr_console(), transient=True):
        network = build(config_for(card))
        params_m = round(count_parameters(network) / 1e6, 2)
        gflops = round(count_multiply_adds(network, card.input_wh) / 1e9, 3)
        rows.append((card.id, card.params_m, params_m, card.gflops, gflops))
    return rows


# ---- download


@app.command()
def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Ids, short names or URLs.", show_default=False),
    ] = None,
    all_models: Annotated[
        bool, typer.Option("--all", help="All that are published in that format.")
    ] = False,
    format: Annotated[
        ModelFormat, typer.Option(help="onnx to run, pth for the checkpoint.")
    ] = ModelFormat.onnx,
) -> None:
    """Download models into the cache, so that they run without a network later.

    A source that fails is passed over for the next; an interrupted download goes on where it
    stopped.

    Examples:
      rtmpose models download rtmpose-s yolox-tiny

      RTMPOSE_HOME=/data/rtmpose rtmpose models download --all
    """
    # Names and --all add up; what is in the package needs no download.
    requested = list(names or [])
    if all_models:
        for card in zoo.load_zoo():
            file = card.file(format.value)
            if file is not None and not is_bundled(file):
                requested.append(card.id)
    if not requested:
        raise InputError(
            "say which models to download, such as `rtmpose models download rtmpose-s`, or --all"
        )

    # One that fails does not keep the others from being downloaded.
    failures: list[ModelError] = []
    for name in requested:
        try:
            path, _ = zoo.resolve(name, format=format.value)
        except ModelError as error:
            failures.append(error)
        else:
            typer.echo(f"{name}: {path}")
    if failures:
        message = "\n".join(map(str, failures))
        if len(requested) > 1:
            count = f"{len(failures)} of {len(requested)}"
            message = f"{count} could not be downloaded.\n{message}"
        raise ModelError(message)


# ---- prepare


app.command()(prepare)


# ---- verify


Verdict = Literal["good", "bad", "unknown"]
VERDICT_WORDS: dict[Verdict, str] = {
    "good": "ok",
    "bad": "DAMAGED",
    "unknown": "no digest to compare with",
}


@app.command()
def verify() -> None:
    """Read every model in the package and the cache again, compare its sha256; exit status 1 if one
    is damaged.

    Files whose digest nobody has published are compared with the digest recorded when they were
    downloaded.

    Example: rtmpose models verify
    """
    # Both places, as either may have been damaged on disk.
    folder = zoo.weights_folder()
    bundled = [zoo.cached_path(f) for card in zoo.load_zoo() for f in card.files if is_bundled(f)]
    cached = sorted(p for pattern in ("*.onnx", "*.pth") for p in folder.rglob(pattern))
    damaged = 0
    for path in bundled + cached:
        verdict = check_file(path)
        typer.echo(f"{VERDICT_WORDS[verdict]:<10} {path}")
        damaged += verdict == "bad"
    if not cached:
        typer.echo(f"nothing is in the cache yet: {folder}")
    if damaged:
        typer.echo(f"{damaged} damaged: delete them, or download them again", err=True)
        raise typer.Exit(1)


def check_file(path: Path) -> Verdict:
    """Whether a cached file still is what its publisher, or its record from the first download,
    says.
    """
    # What the publisher says counts most, then what was recorded at the first download.
    published = find_file(path.name)
    record = read_record(path)
    digest = sha256_of(path)
    if published is not None:
        _, file = published
        if not accepts_digest(file, digest):
            return "bad"
        if file.sha256:
            return "good"
    if record is None:
        return "unknown"
    return "good" if record.sha256 == digest else "bad"
