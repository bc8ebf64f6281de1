"""The little of YAML that ``data.yaml`` files use, without a YAML library."""

from __future__ import annotations

from pathlib import Path

from rtmpose.datasets.coco_types import Json, JsonObject
from rtmpose.text_files import parse_json, read_text


def read_simple_yaml(path: Path) -> JsonObject:
    """The top-level keys of a plain YAML file such as ``data.yaml``: scalars, lists and one level
    of mapping.

    Raises:
        InputError: it cannot be read.
    """
    table: JsonObject = {}
    key = ""
    for line in _content_lines(path):
        text = line.strip()

        # An entry of the list under the last key.
        if text.startswith("- "):
            if not isinstance(table.get(key), list):
                table[key] = []
            table[key].append(_scalar(text[2:]))
            continue
        if ":" not in text:
            continue
        name, _, value = text.partition(":")
        name = name.strip().strip("'\"")

        # An entry of the mapping under the last key, or a new key.
        if line[0] in " \t" and key:
            if not isinstance(table.get(key), dict):
                table[key] = {}
            table[key][name] = _scalar(value)
        else:
            key = name
            table[key] = _scalar(value)
    return table


def _content_lines(path: Path) -> list[str]:
    """Lines without comments, indentation kept."""
    lines = (line.split(" #")[0].rstrip() for line in read_text(path).splitlines())
    return [line for line in lines if line and not line.lstrip().startswith("#")]


def _scalar(text: str) -> Json:
    text = text.strip()
    if text.startswith(("[", "{")):
        try:
            return parse_json(text.replace("'", '"'), "a value")
        except ValueError:
            return [_scalar(part) for part in text.strip("[]{}").split(",")]
    plain = text.strip("'\"")
    try:
        return int(plain)
    except ValueError:
        return plain
