"""Tables that cut nothing: names stay whole in wide and narrow terminals and in pipes.

A table that fits is a grid. Where there is little room, its texts wrap between words. Where a word
would not fit either, every row becomes a few lines: its first cell, and below it the others.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

LEAST_TEXT = 16
"""Columns wider than this are not made narrower than this."""


def room() -> int | None:
    """Characters in a line; None where lines may be of any length, as in files and pipes.

    COLUMNS overrides both.
    """
    # Closed standard output is None.
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    if on_terminal or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size().columns
    return None


def print_lines(text: str, indent: int = 2) -> None:
    """Print lines of text; those longer than a terminal is wide are broken between words.

    Args:
        text: One line or several.
        indent: Characters before the second part of a broken line, and those that follow.
    """
    width = room()
    for line in text.splitlines():
        typer.echo(line if width is None else _wrapped(line, width, indent))


def print_table(tables: Table | Sequence[Table]) -> None:
    """Print a table, whole.

    Args:
        tables: What to print: a table, or the same in several forms, that with the most columns
            first. The first that fits into the terminal as a grid is printed.
    """
    from rich.console import Console
    from rich.table import Table

    forms = [tables] if isinstance(tables, Table) else list(tables)
    width = room()
    for table in forms:
        needed = _set_widths(table, width)
        if needed is not None:
            Console(width=needed if width is None else width).print(table)
            return
    _print_rows(forms[-1], width)


# ---- a grid


def _set_widths(table: Table, width: int | None) -> int | None:
    """Give every column its width; the width of the whole table, or None if it does not fit."""
    from rich.console import Console

    cells = [
        [_text(cell) for cell in (column.header, *column.cells) if isinstance(cell, str)]
        for column in table.columns
    ]
    wanted = [max(map(_length, column), default=0) for column in cells]
    # What is between the columns: borders and padding.
    console = Console(width=sum(wanted) + 1000)
    frame = console.measure(table).maximum - sum(wanted)
    if width is None or sum(wanted) + frame <= width:
        widths = wanted
    else:
        least = [
            size if column.no_wrap else max(_longest_word(texts), LEAST_TEXT * (size > LEAST_TEXT))
            for column, texts, size in zip(table.columns, cells, wanted, strict=True)
        ]
        spare = width - frame - sum(least)
        if spare < 0:
            return None
        widths = _shared(spare, least, wanted)
    for column, size in zip(table.columns, widths, strict=True):
        column.width = size
    return sum(widths) + frame


def _shared(spare: int, least: list[int], wanted: list[int]) -> list[int]:
    """The least widths, with the spare room given to columns in proportion to what they lack."""
    lacking = [want - size for want, size in zip(wanted, least, strict=True)]
    total = sum(lacking)
    return [size + spare * lack // total for size, lack in zip(least, lacking, strict=True)]


def _text(cell: str) -> Text:
    from rich.text import Text

    return Text.from_markup(cell)


def _length(text: Text) -> int:
    return max((line.cell_len for line in text.split()), default=0)


def _longest_word(texts: list[Text]) -> int:
    from rich.cells import cell_len

    return max((cell_len(word) for text in texts for word in text.plain.split()), default=0)


# ---- rows as lines


def _print_rows(table: Table, width: int | None) -> None:
    """Print each row as lines: the first cell, then the others with their headings."""
    if table.title:
        typer.echo(_text(str(table.title)).plain)
    headings = [_text(str(column.header)).plain for column in table.columns]
    columns = [[_text(str(cell)).plain for cell in column.cells] for column in table.columns]
    for lead, *others in zip(*columns, strict=True):
        typer.echo(lead.strip())
        for heading, text in zip(headings[1:], others, strict=True):
            for line in text.splitlines():
                named = f"{heading}: {line}" if heading else line
                typer.echo(_wrapped(f"  {named}", width or len(named) + 2))


def _wrapped(line: str, width: int, indent: int = 4) -> str:
    """A line broken between words, the second and further parts indented."""
    parts = textwrap.wrap(
        line,
        width=width,
        subsequent_indent=" " * min(indent, width // 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(parts)
