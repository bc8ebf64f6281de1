"""The table of published models: ``models.toml`` read into
:class:`rtmpose.model_card.ModelCard` objects.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from rtmpose.cards.io import calibration_from
from rtmpose.errors import ModelError
from rtmpose.model_card import Codec, ModelCard, ModelFile, Normalization, Source
from rtmpose.text_files import parse_toml

Table = Mapping[str, Any]


# ---- finding models


@cache
def load_zoo() -> tuple[ModelCard, ...]:
    """Every published model, in the order of ``models.toml``; read once per process."""
    text = resources.files("rtmpose.zoo").joinpath("models.toml").read_text(encoding="utf-8")
    table = parse_toml(text, "models.toml")
    return tuple(_card(entry, table) for entry in table["model"])


@cache
def _by_name() -> Mapping[str, ModelCard]:
    """Lower-case id or alias -> card."""
    return {name.lower(): card for card in load_zoo() for name in (card.id, *card.aliases)}


def find(name: str) -> ModelCard:
    """The model of that id or alias; upper and lower case are the same.

    Raises:
        ModelError: there is none; the message suggests names that look like it.
    """
    names = _by_name()
    # Names are not case-sensitive, and blanks around them do not count.
    wanted = name.strip().lower()
    card = names.get(wanted)
    if card is not None:
        return card
    near = difflib.get_close_matches(wanted, names, n=4, cutoff=0.6)
    # Else names with that part, such as "hand" or "wholebody".
    short = [alias for card in load_zoo() for alias in card.aliases[:1]]
    near = near or [alias for alias in short if wanted and wanted in alias][:4]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ModelError(
        f"no model is called {name!r}: {hint}`rtmpose models list` shows all; "
        "the path or the URL of an .onnx file works too"
    )


def find_file(name: str) -> tuple[ModelCard, ModelFile] | None:
    """The zoo's file of that file name, with its card, or None."""
    return next((pair for pair in _files() if pair[1].name == name), None)


def find_digest(sha256: str) -> tuple[ModelCard, ModelFile] | None:
    """The zoo's file with that sha256, with its card, or None."""
    return next((pair for pair in _files() if pair[1].sha256 == sha256.lower()), None)


def _files() -> Iterable[tuple[ModelCard, ModelFile]]:
    return ((card, file) for card in load_zoo() for file in card.files)


# ---- reading the table


def _card(entry: Table, table: Table) -> ModelCard:
    """One ``[[model]]``: its own keys over those of its profile."""
    # A profile holds what a family of models has in common.
    keys = {**table["profile"][entry["profile"]], **entry}
    codec = keys["codec"]
    scaling = table["normalization"][keys["normalization"]]
    heatmap = codec.get("heatmap_wh")
    return ModelCard(
        id=keys["id"],
        task=keys["task"],
        architecture=keys["architecture"],
        input_wh=(keys["input_wh"][0], keys["input_wh"][1]),
        normalization=Normalization(
            tuple(scaling["mean"]), tuple(scaling["std"]), scaling["color"]
        ),
        codec=Codec(
            kind=codec["kind"],
            split_ratio=codec.get("split_ratio", 2.0),
            sigma=tuple(codec.get("sigma", ())),
            heatmap_wh=(heatmap[0], heatmap[1]) if heatmap else None,
        ),
        skeleton=keys.get("skeleton"),
        trained_on=keys["trained_on"],
        license=keys.get("license", table["publisher"]["license"]),
        aliases=tuple(keys.get("aliases", ())),
        files=_model_files(keys, table),
        published=keys["published"],
        params_m=keys.get("params_m"),
        gflops=keys.get("gflops"),
        notes=keys.get("notes", ""),
        calibration=calibration_from(keys["calibration"]) if "calibration" in keys else None,
        input_fit=keys.get("input_fit", "letterbox"),
    )


def _model_files(keys: Table, table: Table) -> tuple[ModelFile, ...]:
    """The ONNX export and the checkpoint, as far as they are published."""
    # Part of the package: one file, nothing else to fetch.
    if "bundled" in keys:
        return (ModelFile("onnx", keys["bundled"], (Source("package"),), keys["sha256"]),)
    files = []

    # Names of exports follow from the checkpoint's, unless the table says otherwise.
    stem = keys.get("onnx_stem") or PurePosixPath(keys["pth"]).stem
    if keys.get("onnx"):
        sources = tuple(_source(table["sources"][name], stem) for name in keys["onnx"])
        name = f"{PurePosixPath(stem).name}.onnx"
        files.append(ModelFile("onnx", name, sources, keys.get("sha256", "")))
    if "pth" in keys:
        url = table["publisher"]["url"] + keys["pth"]
        checkpoint = Source("url", url=url, note="publisher")
        files.append(ModelFile("pth", PurePosixPath(keys["pth"]).name, (checkpoint,)))
    return tuple(files)


def _source(template: Table, stem: str) -> Source:
    def fill(key: str) -> str:
        return str(template.get(key, "")).replace("{stem}", stem)

    return Source(template["kind"], fill("url"), fill("member"), fill("package"), fill("note"))
