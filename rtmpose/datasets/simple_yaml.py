"""The part of YAML that ``data.yaml`` files use, without a YAML library: mappings, lists, texts and
numbers. Tags, anchors and several documents are not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.errors import InputError
from rtmpose.text_files import parse_json, read_text

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 20
"""Depth of nesting: real files have three levels."""
CLOSING = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class _Line:
    """A line with something on it, without its comment."""

    indent: int
    text: str


def read_simple_yaml(path: Path) -> JsonObject:
    """The mapping in a plain YAML file such as ``data.yaml``; an empty one where it holds none.

    Raises:
        InputError: it cannot be read, is too large, or is nested too deeply.
    """
    lines = _lines(read_text(path, MAX_BYTES))
    try:
        table, _ = _block(lines, 0, 0)
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply for a data.yaml") from error
    except ValueError as error:
        raise InputError(f"{path} cannot be read as YAML: {error}") from error
    return table if isinstance(table, dict) else {}


# ---- lines


def _lines(text: str) -> list[_Line]:
    """Lines with something on them; brackets that go over several lines are joined."""
    lines: list[_Line] = []
    literal_indent: int | None = None
    for raw in text.splitlines():
        content = _without_comment(raw).rstrip()
        stripped = content.strip()
        if not stripped or stripped in ("---", "..."):
            continue
        indent = len(content) - len(content.lstrip())

        # Text blocks (such as the `download: |` of published files) are left out.
        if literal_indent is not None and indent > literal_indent:
            continue
        literal_indent = None
        if lines and _open_brackets(lines[-1].text):
            lines[-1] = _Line(lines[-1].indent, f"{lines[-1].text} {stripped}")
            continue
        if stripped.endswith((": |", ": >", ": |-", ": >-")):
            literal_indent = indent
        lines.append(_Line(indent, stripped))
    return lines


def _without_comment(line: str) -> str:
    """A line up to a ``#`` that stands at its start or after a blank, outside of quotes."""
    if "#" not in line:
        return line
    quote = ""
    for i, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and (i == 0 or line[i - 1] in " \t[{,:-"):
            quote = character
        elif character == "#" and (i == 0 or line[i - 1] in " \t"):
            return line[:i]
    return line


def _open_brackets(text: str) -> bool:
    """Whether a list or mapping in brackets goes on in the next line."""
    _, _, value = text.partition(":")
    start = (value or text).removeprefix("- ").strip()
    if not start.startswith(("[", "{")):
        return False
    depth = 0
    quote = ""
    previous = ""
    for character in start:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and previous in ("[", "{", ",", ":"):
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        previous = previous if character.isspace() else character
    return depth > 0


# ---- blocks


def _block(lines: list[_Line], start: int, depth: int) -> tuple[Json, int]:
    """The list or mapping that begins at a line, and the line after it."""
    if depth > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    if start >= len(lines):
        return {}, start
    indent = lines[start].indent
    if _is_entry(lines[start].text):
        return _list(lines, start, indent)
    if lines[start].text[0] in CLOSING:
        return _value(lines[start].text), start + 1

    table: JsonObject = {}
    position = start
    while position < len(lines) and lines[position].indent >= indent:
        name, value = _key_and_value(lines[position].text)
        position += 1
        if name is None:
            continue
        # A key without a value has a block: indented, or a list at the same depth.
        if not value and position < len(lines):
            following = lines[position]
            is_deeper = following.indent > indent
            if is_deeper or (following.indent == indent and _is_entry(following.text)):
                table[name], position = _block(lines, position, depth + 1)
                continue
        table[name] = _value(value)
    return table, position


def _list(lines: list[_Line], start: int, indent: int) -> tuple[list[Json], int]:
    """The entries ``- ...`` at one depth, and the line after them."""
    entries: list[Json] = []
    position = start
    while position < len(lines):
        line = lines[position]
        if line.indent < indent or (line.indent == indent and not _is_entry(line.text)):
            break
        # Lines that belong to an entry but are no entry themselves are not needed.
        if line.indent == indent:
            entries.append(_value(line.text[1:].strip()))
        position += 1
    return entries, position


def _is_entry(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _key_and_value(text: str) -> tuple[str | None, str]:
    """The two sides of ``key: value``; None as the key where there is none."""
    if text[:1] in "'\"":
        end = text.find(text[0], 1)
        rest = text[end + 1 :].lstrip()
        if end > 0 and rest.startswith(":"):
            return text[1:end], rest[1:].strip()
        return None, ""
    # A colon that belongs to a name or path has no blank after it.
    name, colon, value = text.partition(": ")
    if not colon:
        if not text.endswith(":"):
            return None, ""
        name = text[:-1]
    return name.strip(), value.strip()


# ---- values


def _value(text: str) -> Json:
    """A list or mapping in brackets, or a single value."""
    if text[:1] not in CLOSING:
        return _scalar(text)
    if not text.endswith(CLOSING[text[0]]):
        raise ValueError(f"{text[:40]!r} has no closing bracket")
    parts = _split(text[1:-1])
    if text[0] == "[":
        return [_value(part) for part in parts]
    table: JsonObject = {}
    for part in parts:
        name, value = _key_and_value(part)
        if name is not None:
            table[name] = _value(value)
    return table


def _split(text: str) -> list[str]:
    """The parts between commas, outside of quotes and inner brackets."""
    parts: list[str] = []
    depth = 0
    quote = ""
    current = ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and current.rstrip()[-1:] in ("", ":", "[", "{", ","):
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(current.strip())
            current = ""
            continue
        current += character
    parts.append(current.strip())
    return [part for part in parts if part]


def _scalar(text: str) -> Json:
    """A number where it is one, else a text without its quotes; empty for nothing and null."""
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return parse_json(text, "a value")
        except InputError:  # a backslash that escapes nothing, as in Windows paths
            return text[1:-1]
    if text in ("~", "null", "Null", "NULL"):
        return ""
    try:
        return int(text)
    except ValueError:
        return text
