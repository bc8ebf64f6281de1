"""``rtmpose models``: what models there are, and their files on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rtmpose import zoo
from rtmpose.errors import InputError, MissingDependencyError, ModelError
from rtmpose.model_card import ModelCard, ModelFile
from rtmpose.zoo.cache import accepts_digest, is_bundled, read_record, sha256_of
from rtmpose.zoo.catalog import find_file
from rtmpose.zoo.fetch import label

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    no_args_is_help=True,
    help="""List, describe, download and check the published models.

Wherever a command asks for a model, a name from this list, the path of an .onnx file or its URL will do.
Downloads are kept in the cache folder (RTMPOSE_HOME moves it) and checked before use.""",
)


JSON_KEYS = ("id", "published_params_m", "params_m", "published_gflops", "gflops")


class Format(str, Enum):
    """The forms a model is published in."""

    onnx = "onnx"
    pth = "pth"


# ---- list
# -------------------------------------------------------------------------------------------------


@app.command("list")
def list_models(
    task: Annotated[
        str | None,
        typer.Option(
            help=(
                "Only this task: body, body-feet, wholebody, face, hand, animal, 'person"
                " detection' ..."
            )
        ),
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(
            help=(
                "Only this keypoint set: coco17, halpe26, coco-wholebody133, ap10k17, lapa106,"
                " hand21."
            )
        ),
    ] = None,
    keypoints: Annotated[
        int | None, typer.Option(help="Only models of that many keypoints.")
    ] = None,
    available: Annotated[
        bool,
        typer.Option(
            "--available",
            help="Only models whose ONNX can be downloaded, so that they run at once.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything that is known of them, as JSON.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The table of docs/model-zoo.md.")
    ] = False,
) -> None:
    """List the published models.

    For example:

      rtmpose models list --available

      rtmpose models list --task body-feet

      rtmpose models list --keypoints 17 --json
    """
    cards = select(task=task, skeleton=skeleton, keypoints=keypoints, available=available)
    if as_json:
        typer.echo(json.dumps([_as_dict(card) for card in cards], indent=2, ensure_ascii=False))
    elif markdown:
        typer.echo(markdown_table(cards))
    else:
        _show(cards)
        typer.echo(
            f"\n{len(cards)} of {len(zoo.load_zoo())} models. 'bundled' is in the package, "
            "'onnx' can be downloaded and run; of 'pth' no ONNX is published.\n"
            "`rtmpose models info NAME` tells more of one."
        )


@app.command()
def table(
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Compare the published parameters and multiply-adds with those of our networks (needs torch).

    Example: rtmpose models table
    """
    try:
        from rtmpose.networks import build, config_for, count_multiply_adds, count_parameters
    except ImportError as error:
        raise MissingDependencyError(
            "counting needs torch: pip install 'rtmpose[export]'"
        ) from error
    from rich.progress import track

    from rtmpose.cli.terminal import stderr_console

    rows = []
    cards = [
        c
        for c in zoo.load_zoo()
        if c.codec.kind != "yolox" and not c.architecture.endswith("-pruned")
    ]
    for card in track(cards, "counting", console=stderr_console(), transient=True):
        network = build(config_for(card))
        ours = (count_parameters(network) / 1e6, count_multiply_adds(network, card.input_wh) / 1e9)
        rows.append((card.id, card.params_m, round(ours[0], 2), card.gflops, round(ours[1], 3)))
    head = ("model", "published M parameters", "ours", "published G multiply-adds", "ours")
    if as_json:
        typer.echo(json.dumps([dict(zip(JSON_KEYS, row, strict=True)) for row in rows], indent=2))
        return
    texts = [tuple("" if v is None else str(v) for v in row) for row in rows]
    if markdown:
        for line in (head, ("---", *["---:"] * 4), *texts):
            typer.echo("| " + " | ".join(line) + " |")
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(*head)
    for line in texts:
        shown.add_row(*line)
    Console().print(shown)


def select(
    *,
    task: str | None = None,
    skeleton: str | None = None,
    keypoints: int | None = None,
    available: bool = False,
) -> tuple[ModelCard, ...]:
    """The cards that fit.

    Raises:
        InputError: no model has that task, keypoint set or number of keypoints.
    """
    cards = zoo.load_zoo()
    tests: tuple[tuple[str, str | int | None, Callable[[ModelCard], str | int | None]], ...] = (
        ("task", task, lambda card: card.task),
        ("skeleton", skeleton, lambda card: card.skeleton),
        ("number of keypoints", keypoints, keypoint_count),
    )
    for what, wanted, of in tests:
        known = dict.fromkeys(of(card) for card in zoo.load_zoo() if of(card) is not None)
        if wanted is not None and wanted not in known:
            raise InputError(
                f"no model has the {what} {wanted!r}; there are: {', '.join(map(str, known))}"
            )
        cards = tuple(card for card in cards if wanted is None or of(card) == wanted)
    return tuple(card for card in cards if card.file("onnx") or not available)


def keypoint_count(card: ModelCard) -> int | None:
    """How many keypoints a model finds, the number its keypoint set ends in; None for other models."""
    digits = re.search(r"\d+$", card.skeleton or "")
    return int(digits[0]) if digits else None


def markdown_table(cards: tuple[ModelCard, ...]) -> str:
    """The models as a Markdown table, as in ``docs/model-zoo.md``."""
    head = (
        "model",
        "short names",
        "task",
        "keypoints",
        "input (w x h)",
        "Mparam",
        "GFLOPs",
        "published",
        "files",
    )
    rows = [head, ("---",) * len(head), *(_cells(card) for card in cards)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cells(card: ModelCard) -> tuple[str, ...]:
    return (
        f"`{card.id}`",
        ", ".join(f"`{alias}`" for alias in card.aliases),
        card.task,
        card.skeleton or "",
        "x".join(map(str, card.input_wh)),
        _number(card.params_m),
        _number(card.gflops),
        _accuracy(card),
        _kept_in(card),
    )


def _table(cards: tuple[ModelCard, ...], wide: bool) -> Table:
    """The models under headings of their tasks; without room, only what is needed to choose a name."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    # Ids are what commands take: where there is no room, short names are cut.
    table.add_column(
        "model", no_wrap=True, min_width=1 + max((len(card.id) for card in cards), default=0)
    )
    table.add_column("short name", no_wrap=True)
    for name in ("kpts", *(("Mparam", "GFLOPs") if wide else ("Mpar",))):
        table.add_column(name, justify="right", no_wrap=True, min_width=max(5, len(name)))
    if wide:
        table.add_column("published", overflow="fold")
    table.add_column("files", no_wrap=True, min_width=len("bundled"))
    task = ""
    tasks = list(dict.fromkeys(card.task for card in cards))
    for card in sorted(cards, key=lambda card: tasks.index(card.task)):
        if card.task != task:
            task = card.task
            table.add_row(f"[bold]{task}[/]")
        short = card.aliases[0] if card.aliases else ""
        cells = [card.id, short, str(keypoint_count(card) or ""), _number(card.params_m)]
        cells += [_number(card.gflops), _accuracy(card)] if wide else []
        table.add_row(
            " " + cells[0],
            *cells[1:],
            _short_form(card),
            style=None if card.file("onnx") else "dim",
        )
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _accuracy(card: ModelCard) -> str:
    return ", ".join(
        f"{metric.replace('_', ' ')} {value:g}" for metric, value in card.published.items()
    )


def _kept_in(card: ModelCard) -> str:
    if _short_form(card) == "bundled":
        return "in the package"
    return "onnx, pth" if card.file("onnx") else "pth only"


def _short_form(card: ModelCard) -> str:
    file = card.file("onnx")
    return "pth" if file is None else "bundled" if is_bundled(file) else "onnx"


def _as_dict(card: ModelCard) -> dict[str, Any]:
    known = {**asdict(card), "keypoints": keypoint_count(card)}
    for file, form in zip(known["files"], card.files, strict=True):
        file["cached"] = zoo.cached_state(form)
        file["path"] = str(zoo.cached_path(form))
    return known


# ---- info
# -------------------------------------------------------------------------------------------------


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="Id or short name of a model, such as rtmpose-s.")],
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Tell all that is known of one model: input, output, accuracy, files and where they come from.

    For example:

      rtmpose models info rtmpose-s

      rtmpose models info rtmpose-m-wholebody --json
    """
    card = zoo.find(name)
    typer.echo(
        json.dumps(_as_dict(card), indent=2, ensure_ascii=False) if as_json else describe(card)
    )


def describe(card: ModelCard) -> str:
    """The card as text for people."""
    scaling, codec = card.normalization, card.codec
    width, height = card.input_wh
    facts = {
        "short names": ", ".join(card.aliases),
        "task": card.task,
        "architecture": card.architecture,
        "keypoints": card.skeleton or "",
        "input": (
            f"{width} wide, {height} high, {scaling.color.upper()}, "
            f"minus {_row(scaling.mean)}, over {_row(scaling.std)}"
        ),
        "output": (
            codec.kind
            + (f", {codec.split_ratio:g} bins per pixel" if codec.kind == "simcc" else "")
            + (f", map {codec.heatmap_wh[0]} x {codec.heatmap_wh[1]}" if codec.heatmap_wh else "")
        ),
        "trained on": card.trained_on,
        "license": card.license,
        "published": _accuracy(card),
        "size": (
            f"{_number(card.params_m) or '?'} million parameters, {_number(card.gflops) or '?'}"
            " GFLOPs"
        ),
        "notes": card.notes,
    }
    lines = [card.id, *(f"  {key + ':':<14}{value}" for key, value in facts.items() if value)]
    for file in card.files:
        lines += ["", *_file_lines(file)]
    return "\n".join([*lines, "", _how_to_use(card)])


def _row(values: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"


def _file_lines(file: ModelFile) -> list[str]:
    state = zoo.cached_state(file)
    here = {"good": "in the cache", "bad": "in the cache, DAMAGED", "absent": "not downloaded"}[
        state
    ]
    if is_bundled(file):
        here = (
            "part of this package"
            if state == "good"
            else "MISSING from the package; install rtmpose anew"
        )
    lines = [f"  {file.format}: {file.name}", f"    {here}: {zoo.cached_path(file)}"]
    lines += [f"    sha256 {file.sha256 or 'not published; recorded at the first download'}"]
    return lines + [f"    source {n}: {label(source)}" for n, source in enumerate(file.sources, 1)]


def _how_to_use(card: ModelCard) -> str:
    if not card.file("onnx"):
        return (
            "No ONNX export of this model is published, only the PyTorch checkpoint (.pth). Make"
            f" one of it:\n  pip install 'rtmpose[export]' && rtmpose export {card.id} --to onnx"
        )
    short = card.aliases[0] if card.aliases else card.id
    if card.is_detector or card.is_pose:
        return (
            f"Use it:  rtmpose predict photo.jpg --{'detector' if card.is_detector else 'pose'}"
            f" {short}"
        )
    return f"Download it:  rtmpose models download {short}"


# ---- download, verify
# -------------------------------------------------------------------------------------


@app.command()
def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Ids, short names or URLs.", show_default=False),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All that are published in that format.")
    ] = False,
    format: Annotated[
        Format, typer.Option(help="onnx to run, pth for the checkpoint.")
    ] = Format.onnx,
) -> None:
    """Download models into the cache, so that they run without a network later.

    A source that fails is passed over for the next; an interrupted download goes on where it
    stopped.

    For example:

      rtmpose models download rtmpose-s yolox-tiny

      RTMPOSE_HOME=/data/rtmpose rtmpose models download --all
    """
    wanted = list(names or [])
    if every:
        files = [(card, card.file(format.value)) for card in zoo.load_zoo()]
        wanted += [card.id for card, file in files if file is not None and not is_bundled(file)]
    if not wanted:
        raise InputError(
            "say which models to download, such as `rtmpose models download rtmpose-s`, or --all"
        )
    failures: list[ModelError] = []
    for name in wanted:
        try:
            path, _ = zoo.resolve(name, format=format.value)
        except ModelError as error:
            failures.append(error)
        else:
            typer.echo(f"{name}: {path}")
    if failures:
        head = (
            f"{len(failures)} of {len(wanted)} could not be downloaded.\n"
            if len(wanted) > 1
            else ""
        )
        raise ModelError(head + "\n".join(map(str, failures)))


Verdict = Literal["good", "bad", "new"]


@app.command()
def verify() -> None:
    """Read every model in the package and the cache again, compare its sha256; exit status 1 if one
    is damaged.

    Files whose digest nobody has published are held against the digest recorded when they were
    downloaded.

    For example:

      rtmpose models verify
    """
    folder = zoo.weights_folder()
    bundled = [zoo.cached_path(f) for card in zoo.load_zoo() for f in card.files if is_bundled(f)]
    cached = sorted(p for ending in ("*.onnx", "*.pth") for p in folder.rglob(ending))
    words = {"good": "ok", "bad": "DAMAGED", "new": "no digest to compare with"}
    damaged = []
    for path in bundled + cached:
        verdict = check(path)
        typer.echo(f"{words[verdict]:<10} {path}")
        if verdict == "bad":
            damaged.append(path)
    if not cached:
        typer.echo(f"nothing is in the cache yet: {folder}")
    if damaged:
        typer.echo(f"{len(damaged)} damaged: delete them, or download them again", err=True)
        raise typer.Exit(1)


def check(path: Path) -> Verdict:
    """Whether a cached file still is what its publisher, or its record from the first download,
    says.
    """
    known = find_file(path.name)
    stamp = read_record(path)
    digest = sha256_of(path)
    if known is not None and not accepts_digest(known[1], digest):
        return "bad"
    if known is not None and known[1].sha256:
        return "good"
    if stamp is None:
        return "new"
    return "good" if stamp.sha256 == digest else "bad"


def _show(cards: tuple[ModelCard, ...]) -> None:
    from rich.console import Console

    console = Console()
    console.print(_table(cards, wide=console.width >= 130))
