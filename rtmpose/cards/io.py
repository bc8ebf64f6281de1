"""Model cards as text: embedded in exported files, so that a file alone is enough to run it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rtmpose.cards.check import check_card
from rtmpose.cards.file_record import RECORD_KEY, read_records, records_to_table
from rtmpose.errors import InputError, ModelError
from rtmpose.files import write_bytes, write_text
from rtmpose.model_card import OUTPUTS, Codec, ModelCard, Normalization
from rtmpose.onnx_file import onnx_metadata, with_onnx_metadata
from rtmpose.safetensors_file import read_safetensors_header, with_safetensors_metadata
from rtmpose.text_files import parse_json, to_json
from rtmpose.types import Calibration, Skeleton

log = logging.getLogger(__name__)

KEY = "rtmpose.card"
"""Name of the text property that holds the card."""


def card_to_json(card: ModelCard) -> str:
    """The card as one line of JSON, without the places it can be downloaded from."""
    table = {
        k: v
        for k, v in asdict(card).items()
        if k not in ("files", "aliases") and v not in (None, "", {}, ())
    }
    if card.input_fit == "letterbox":
        del table["input_fit"]  # what files without it mean
    return to_json(table, sort_keys=True)


def card_from_json(text: str) -> ModelCard:
    """The card written by :func:`card_to_json`.

    Raises:
        ValueError: the text is something else, or fields have wrong types, lengths or ranges.
    """
    try:
        table: dict[str, Any] = _standard_terms(parse_json(text, "the model card"))
        table.pop(RECORD_KEY, None)  # about the files, not the model
        scaling = table.pop("normalization")
        codec = table.pop("codec")
        if codec["kind"] not in OUTPUTS:
            raise ValueError(f"codec {codec['kind']!r} is not known to this version of rtmpose")
        heatmap = codec.get("heatmap_wh")
        calibration = table.pop("calibration", None)
        points = table.pop("own_skeleton", None)
        card = ModelCard(
            **{k: v for k, v in table.items() if k not in ("input_wh", "classes")},
            classes=tuple(map(str, table.get("classes", ()))),
            input_wh=tuple(table["input_wh"]),
            normalization=Normalization(
                tuple(scaling["mean"]), tuple(scaling["std"]), scaling["color"]
            ),
            codec=Codec(
                codec["kind"],
                codec.get("split_ratio", 2.0),
                tuple(codec.get("sigma", ())),
                tuple(heatmap) if heatmap else None,
            ),
            calibration=calibration_from(calibration) if calibration else None,
            own_skeleton=Skeleton(**{k: _tuples(v) for k, v in points.items()}) if points else None,
        )
        return check_card(card)
    except RecursionError as error:
        raise ValueError("not a model card: it is nested too deeply") from error
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a model card: {error!r}") from error


_RENAMED = {
    "normalisation": "normalization",
    "colour": "color",
    "licence": "license",
    "link_colours": "link_colors",
    "keypoint_colours": "keypoint_colors",
}
"""Keys of cards that were written before the names of the fields became those of torch and ONNX."""


def _standard_terms(value: Any) -> Any:
    """The same data, with the names of fields and sides that cards have today."""
    if isinstance(value, list):
        return [_standard_terms(item) for item in value]
    if not isinstance(value, dict):
        return value
    table = {_RENAMED.get(key, key): _standard_terms(item) for key, item in value.items()}
    if isinstance(table.get("sides"), list):
        table["sides"] = ["center" if side == "centre" else side for side in table["sides"]]
    return table


def _tuples(value: Any) -> Any:
    """Lists, which JSON makes of tuples, as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def calibration_from(table: Mapping[str, Any]) -> Calibration:
    """A calibration from a table of its fields, as cards and ``models.toml`` hold it.

    Raises:
        KeyError: a field is missing.
        ValueError: the fields do not make a calibration.
    """
    numbers = {key: tuple(float(v) for v in table[key]) for key in ("slope", "offset")}
    rest: dict[str, Any] = {k: v for k, v in table.items() if k not in numbers}
    return Calibration(numbers["slope"], numbers["offset"], **rest)


def embedded_card(path: Path) -> ModelCard | None:
    """The card of a model file: ``NAME.card.json`` next to it, else the one inside (ONNX,
    safetensors, OpenVINO).

    None where there is no card; or none that can be used, which a warning tells.
    """
    try:
        text = _card_text(path)
        return card_from_json(text) if text else None
    except (OSError, ValueError, AttributeError, ElementTree.ParseError, RecursionError) as error:
        _warn_once(f"the card of {path} is not used: {error}")
        return None


@functools.lru_cache(maxsize=1000)
def _warn_once(text: str) -> None:
    """A model's card is looked for more than once in a run."""
    log.warning("%s", text)


def read_card_file(path: Path) -> ModelCard:
    """The card in a JSON file, as :func:`write_card` writes it next to a model.

    Raises:
        InputError: it cannot be read, or is not a card.
    """
    try:
        return card_from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"the card {path} cannot be used: {reason}") from error


def _card_text(path: Path) -> str | None:
    """The card of a model file as it stands there, or None."""
    separate = sidecar_card_path(path)
    if separate.is_file():
        return separate.read_text(encoding="utf-8")
    if path.suffix == ".onnx":
        return dict(onnx_metadata(path.read_bytes())).get(KEY)
    if path.suffix == ".xml":
        return _xml_card(path)
    if path.suffix == ".safetensors":
        return read_safetensors_header(path).metadata.get(KEY)
    return None


def write_sidecar_card(path: Path, card: ModelCard, recorded: Iterable[Path] = ()) -> Path:
    """Write a card next to a model file.

    Args:
        path: The model file.
        card: Its card.
        recorded: Files whose sizes and checksums are put into the card; without them those of a
            card that is there already are kept.

    Returns:
        The file written.

    Raises:
        OutputError: it cannot be written.
    """
    out = sidecar_card_path(path)
    records = records_to_table(recorded)
    old = None if records else read_records(out)
    if old is not None:
        records = {suffix: asdict(record) for suffix, record in old.items()}
    table = parse_json(card_to_json(card), "the card")
    if records:
        table[RECORD_KEY] = records
    write_text(out, to_json(table, sort_keys=True) + "\n")
    return out


def sidecar_card_path(path: Path) -> Path:
    """The file next to a model that may hold its card; it takes precedence over the one inside."""
    return path.with_name(f"{path.name}.card.json")


def write_card(path: Path, card: ModelCard, out: Path | None = None) -> Path:
    """Give a model file a new card.

    Args:
        path: The model file; it stays as it is.
        card: The card.
        out: Write a copy of an ``.onnx`` or ``.safetensors`` file with the card inside. None writes
            ``NAME.card.json`` next to the model.

    Returns:
        The file written.

    Raises:
        InputError: ``out`` is not of the model's format, or the format has no place for a card.
        ModelError: the model is damaged.
        OutputError: the file cannot be written.
    """
    text = card_to_json(card)
    if out is None:
        return write_sidecar_card(path, card)
    if out.suffix != path.suffix or out.suffix not in (".onnx", ".safetensors"):
        raise InputError(
            f"a card can be put into a copy of an .onnx or .safetensors file, not of {path.name}"
            f" into {out.name}; without a copy, it is written next to the model"
        )
    try:
        content = (
            with_onnx_metadata(path.read_bytes(), KEY, text)
            if out.suffix == ".onnx"
            else with_safetensors_metadata(path, KEY, text)
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} could not be read to put a card into it: {error}") from error
    write_bytes(out, content)
    return out


def _xml_card(path: Path) -> str | None:
    node = ElementTree.parse(path).getroot().find(f"rt_info/framework/{KEY}")
    if node is None:
        node = ElementTree.parse(path).getroot().find(f"rt_info/{KEY}")
    return None if node is None else node.get("value")
