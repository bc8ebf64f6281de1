"""Models as tables and text, for ``rtmpose models``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rtmpose import zoo
from rtmpose.cli.tables import print_table
from rtmpose.model_card import HAND_DETECTOR, NOT_PEOPLE, ModelCard, ModelFile
from rtmpose.zoo.cache import is_bundled
from rtmpose.zoo.fetch import label

if TYPE_CHECKING:
    from rich.table import Table

FACTS = (
    ("short name", "kpts", "Mparam", "GFLOPs", "published", "files"),
    ("short name", "kpts", "Mparam", "files"),
    ("short name", "kpts", "files"),
    ("short name", "files"),
)
"""What the table of models shows besides their ids, in wide and in ever narrower terminals."""

MARKDOWN_COLUMNS = (
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
CACHED_STATES = {
    "good": "in the cache",
    "bad": "in the cache, DAMAGED",
    "absent": "not downloaded",
}
BUNDLED_STATES = {
    "good": "part of this package",
    "absent": "MISSING from the package; install rtmpose anew",
}


# ---- facts


def keypoint_count(card: ModelCard) -> int | None:
    """Number of keypoints of a model, which the name of its keypoint set ends in; None for other
    models.
    """
    digits = re.search(r"\d+$", card.skeleton or "")
    return int(digits[0]) if digits else None


def to_dict(card: ModelCard) -> dict[str, object]:
    """Everything that is known of a model, for JSON."""
    files = []
    # Where each file is, and in what state, which the card alone does not say.
    for file in card.files:
        path = str(zoo.cached_path(file))
        files.append({**asdict(file), "cached": zoo.cached_state(file), "path": path})
    return {**asdict(card), "files": files, "keypoints": keypoint_count(card)}


# ---- tables


def markdown_rows(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, row by row, the heading first."""
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def markdown_table(cards: Sequence[ModelCard]) -> str:
    """The models as a Markdown table, as in ``docs/model-zoo.md``."""
    ruler = ("---",) * len(MARKDOWN_COLUMNS)
    return markdown_rows([MARKDOWN_COLUMNS, ruler, *(_markdown_cells(card) for card in cards)])


def _markdown_cells(card: ModelCard) -> tuple[str, ...]:
    return (
        f"`{card.id}`",
        ", ".join(f"`{alias}`" for alias in card.aliases),
        card.task,
        card.skeleton or "",
        "x".join(map(str, card.input_wh)),
        _number(card.params_m),
        _number(card.gflops),
        _accuracy(card),
        _published_files(card),
    )


def print_models(cards: Sequence[ModelCard]) -> None:
    """Print the models as a table; a narrow terminal gets fewer facts, but every name."""
    print_table([_terminal_table(cards, facts) for facts in FACTS])


def _terminal_table(cards: Sequence[ModelCard], facts: Sequence[str]) -> Table:
    """The models under headings of their tasks, with some of the facts of :func:`_facts`."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    for name in facts:
        is_text = name in ("short name", "published", "files")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=name != "published")

    for task in dict.fromkeys(card.task for card in cards):
        table.add_row(f"[bold]{task}[/]")
        for card in cards:
            if card.task == task:
                known = _facts(card)
                style = None if card.file("onnx") else "dim"
                table.add_row(f" {card.id}", *(known[name] for name in facts), style=style)
    return table


def _facts(card: ModelCard) -> dict[str, str]:
    """What the table may show of a model besides its id."""
    return {
        "short name": card.aliases[0] if card.aliases else "",
        "kpts": str(keypoint_count(card) or ""),
        "Mparam": _number(card.params_m),
        "GFLOPs": _number(card.gflops),
        "published": _accuracy(card),
        "files": _best_file(card),
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _accuracy(card: ModelCard) -> str:
    # Metrics in the order of the card, which is that of the publisher.
    metrics = card.published.items()
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in metrics)


def _published_files(card: ModelCard) -> str:
    if _best_file(card) == "bundled":
        return "in the package"
    if not card.file("onnx"):
        return "pth only"
    return ", ".join(file.format for file in card.files)


def _best_file(card: ModelCard) -> str:
    """``bundled`` in the package, ``onnx`` to download and run, or ``pth``."""
    file = card.file("onnx")
    if file is None:
        return "pth"
    return "bundled" if is_bundled(file) else "onnx"


# ---- one model


def describe(card: ModelCard) -> str:
    """The card as text for people."""
    # Empty facts are left out below.
    facts = {
        "short names": ", ".join(card.aliases),
        "task": card.task,
        "architecture": card.architecture,
        "keypoints": card.skeleton or "",
        "input": _input(card),
        "output": _output(card),
        "trained on": card.trained_on,
        "license": card.license,
        "published": _accuracy(card),
        "size": (
            f"{_number(card.params_m) or '?'} million parameters, {_number(card.gflops) or '?'}"
            " GFLOPs"
        ),
        "notes": card.notes,
    }
    lines = [card.id]
    lines += [f"  {key + ':':<14}{value}" for key, value in facts.items() if value]
    for file in card.files:
        lines += ["", *_file_lines(file)]
    return "\n".join([*lines, "", _how_to_use(card)])


def _input(card: ModelCard) -> str:
    width, height = card.input_wh
    normalization = card.normalization
    return (
        f"{width} wide, {height} high, {normalization.color.upper()}, "
        f"minus {_list(normalization.mean)}, over {_list(normalization.std)}"
    )


def _output(card: ModelCard) -> str:
    codec = card.codec
    text: str = codec.kind
    if codec.kind == "simcc":
        text += f", {codec.split_ratio:g} bins per pixel"
    if codec.heatmap_wh:
        width, height = codec.heatmap_wh
        text += f", map {width} x {height}"
    return text


def _list(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"


def _file_lines(file: ModelFile) -> list[str]:
    # Files of the package are never downloaded, so they have other states.
    states = BUNDLED_STATES if is_bundled(file) else CACHED_STATES
    lines = [
        f"  {file.format}: {file.name}",
        f"    {states[zoo.cached_state(file)]}: {zoo.cached_path(file)}",
        f"    sha256 {file.sha256 or 'not published; recorded at the first download'}",
    ]
    for number, source in enumerate(file.sources, 1):
        lines.append(f"    source {number}: {label(source)}")
    return lines


def _how_to_use(card: ModelCard) -> str:
    # Without ONNX the next step is an export, if there is a network for it.
    if not card.file("onnx"):
        only_checkpoint = (
            "No ONNX export of this model is published, only the PyTorch checkpoint (.pth)"
        )
        if not card.has_network:
            return f"{only_checkpoint}, which this package cannot export."
        return (
            f"{only_checkpoint}. Make one of it:\n"
            f"  pip install 'rtmpose[export]' && rtmpose export {card.id} --to onnx"
        )

    # With ONNX the next step is to use it.
    short_name = card.aliases[0] if card.aliases else card.id
    if card.output == "classes":
        return f"Download it:  rtmpose models download {short_name}"
    option = "detector" if card.output == "boxes" else "pose"
    used = f"Use it:  rtmpose predict photo.jpg --{option} {short_name}"
    if card.task == "hand":
        return f"{used} --detector {HAND_DETECTOR}"
    if card.task in NOT_PEOPLE:
        return (
            f"{used} --detector none\n(the whole photo is one {card.task};"
            " or give --boxes, or a detector of your own)"
        )
    return used
