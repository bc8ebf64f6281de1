"""Model cards as text: embedded in exported files, so that a file alone is enough to run it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rtmpose.types import Codec, ModelCard, Normalisation

KEY = "rtmpose.card"
"""Name of the text property that holds the card."""

_METADATA_FIELD = 14  # of ModelProto in onnx.proto


def card_to_json(card: ModelCard) -> str:
    """The card as one line of JSON, without the places it can be downloaded from."""
    table = {k: v for k, v in asdict(card).items() if k not in ("files", "aliases") and v not in (None, "", {}, ())}
    return json.dumps(table, sort_keys=True)


def card_from_json(text: str) -> ModelCard:
    """The card written by :func:`card_to_json`.

    Raises:
        ValueError: the text is something else.
    """
    try:
        table: dict[str, Any] = json.loads(text)
        scaling, codec = table.pop("normalisation"), table.pop("codec")
        heatmap = codec.get("heatmap_wh")
        return ModelCard(
            **{k: v for k, v in table.items() if k != "input_wh"},
            input_wh=(int(table["input_wh"][0]), int(table["input_wh"][1])),
            normalisation=Normalisation(tuple(scaling["mean"]), tuple(scaling["std"]), scaling["colour"]),
            codec=Codec(
                codec["kind"],
                codec.get("split_ratio", 2.0),
                tuple(codec.get("sigma", ())),
                (heatmap[0], heatmap[1]) if heatmap else None,
            ),
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"not a model card: {error!r}") from error


def embedded_card(path: Path) -> ModelCard | None:
    """The card inside an ``.onnx`` or OpenVINO ``.xml`` file, or in ``card.json`` beside a model; None without one."""
    try:
        if path.suffix == ".onnx":
            text = dict(onnx_metadata(path.read_bytes())).get(KEY)
        elif path.suffix == ".xml":
            text = _xml_card(path)
        else:
            text = None
        beside = path.with_name(f"{path.name}.card.json")
        if text is None and beside.is_file():
            text = beside.read_text(encoding="utf-8")
        return card_from_json(text) if text else None
    except (OSError, ValueError, ElementTree.ParseError):
        return None


def onnx_metadata(content: bytes) -> Iterator[tuple[str, str]]:
    """The text properties of an ONNX file, read without the onnx package; nothing from a damaged file."""
    for field, value in _fields(content):
        if field == _METADATA_FIELD and isinstance(value, bytes):
            pair = dict(_fields(value))
            key, text = pair.get(1, b""), pair.get(2, b"")
            if isinstance(key, bytes) and isinstance(text, bytes):
                yield key.decode("utf-8", "replace"), text.decode("utf-8", "replace")


def _fields(content: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Field numbers and values of a protobuf message; stops where it makes no sense."""
    at, end = 0, len(content)
    try:
        while at < end:
            tag, at = _varint(content, at)
            kind = tag & 7
            value: bytes | int
            if kind == 0:
                value, at = _varint(content, at)
            elif kind == 2:
                size, at = _varint(content, at)
                value, at = content[at : at + size], at + size
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
                value, at = content[at : at + size], at + size
            else:
                return
            yield tag >> 3, value
    except IndexError:
        return


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _xml_card(path: Path) -> str | None:
    node = ElementTree.parse(path).getroot().find(f"rt_info/framework/{KEY}")
    if node is None:
        node = ElementTree.parse(path).getroot().find(f"rt_info/{KEY}")
    return None if node is None else node.get("value")
