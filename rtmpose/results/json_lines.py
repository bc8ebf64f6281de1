"""JSON lines, read back one source at a time, so that a file may be larger than the memory."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from rtmpose.errors import InputError
from rtmpose.results.description import Description, description_from
from rtmpose.results.json_files import add_person, fault_word
from rtmpose.results.rows import SourceRows, make_clips
from rtmpose.text_files import MAX_BYTES, decode_text, parse_json, read_bytes
from rtmpose.writers.clip import Clip

WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
"""Beginnings of UTF-16 and UTF-32."""
NAMED = re.compile(rb'\{\s*"source"\s*:\s*("(?:[^"\\]|\\.)*")')
"""The name of the source at the start of a line, as it is written."""


@dataclass(frozen=True)
class Stretch:
    """Lines of one source that follow one another.

    Attributes:
        start: Where they begin, in bytes.
        end: Where they end.
        line: Number of the first.
    """

    start: int
    end: int
    line: int


def read_json_lines(path: Path) -> Iterator[Clip]:
    """The clips of a file with a line per frame, each read when its turn comes.

    Raises:
        InputError: it is something else, or damaged.
    """
    with _opened(path) as file:
        description, begin = _head(file, path)
        stretches = _stretches(file, begin, path)
        count = len(description.keypoints)
        for name in dict.fromkeys([*description.sources, *stretches]):
            known = {name: description.sources[name]} if name in description.sources else {}
            sources: dict[str, SourceRows] = {}
            if name in stretches:
                sources[name] = _rows_of(file, stretches[name], count, path)
            yield from make_clips(sources, replace(description, sources=known), count, path)


def _opened(path: Path) -> BinaryIO:
    """The file, as UTF-8."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not file.read(4).startswith(WIDE_MARKS):
        file.seek(0)
        return file
    file.close()
    return io.BytesIO(decode_text(read_bytes(path), str(path)).encode("utf-8"))


def _head(file: BinaryIO, path: Path) -> tuple[Description, int]:
    """What the first line says, and where the second begins."""
    line = _next_line(file, 1, path)
    if not line:
        raise InputError(f"{path} is empty")
    first = parse_json(line, f"line 1 of {path}")
    if not isinstance(first, Mapping) or "keypoints" not in first or "links" not in first:
        raise InputError(f"{path} does not begin with the line of keypoints that --jsonl writes")
    return description_from(first, path), len(line)


def _stretches(file: BinaryIO, begin: int, path: Path) -> dict[str, list[Stretch]]:
    """Source to where its lines are, in the order of their first."""
    found: dict[str, list[Stretch]] = {}
    before = ""
    number = 1
    start = begin
    while True:
        number += 1
        line = _next_line(file, number, path)
        if not line:
            return found
        end = start + len(line)
        if line.strip():
            name = _source_of(line, number, path)
            own = found.setdefault(name, [])
            if own and name == before:
                own[-1] = replace(own[-1], end=end)
            else:
                own.append(Stretch(start, end, number))
            before = name
        start = end


def _source_of(line: bytes, number: int, path: Path) -> str:
    place = f"line {number} of {path}"
    found = NAMED.match(line)
    if found:
        return str(parse_json(found[1], place))
    # Lines of other programs may have other keys first.
    content = parse_json(line, place)
    if not isinstance(content, Mapping) or "source" not in content:
        raise InputError(f"{place} is damaged: 'source' is missing")
    return str(content["source"])


def _rows_of(file: BinaryIO, stretches: list[Stretch], count: int, path: Path) -> SourceRows:
    """What the lines of one source hold."""
    rows = SourceRows(complete=True)
    for stretch in stretches:
        file.seek(stretch.start)
        place, number = stretch.start, stretch.line
        while place < stretch.end:
            text = _next_line(file, number, path)
            if not text:
                raise InputError(f"{path} became shorter while it was read")
            place += len(text)
            if text.strip():
                _add_line(rows, text, count, f"line {number} of {path}")
            number += 1
    return rows


def _add_line(rows: SourceRows, text: bytes, count: int, place: str) -> None:
    line = parse_json(text, place)
    try:
        frame = int(line["frame"])
        rows.seen[frame] = float(line["time_s"])
        if rows.size_wh is None and line.get("width"):
            rows.size_wh = (int(line["width"]), int(line["height"]))
        for person in line["people"]:
            add_person(rows, frame, person, count)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{place} is damaged: {fault_word(error)}") from error


def _next_line(file: BinaryIO, number: int, path: Path) -> bytes:
    """A line with its end; nothing at the end of the file."""
    try:
        line = file.readline(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(line) > MAX_BYTES:
        raise InputError(
            f"line {number} of {path} is larger than {MAX_BYTES:,} bytes: is it the right file?"
        )
    return line
