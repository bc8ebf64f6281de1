"""Models that are published as checkpoints only: converted to ONNX once, and kept in the cache.

The converter is part of the export extra, which needs torch. It is loaded by name, and only when a
model needs it: the rest of the runtime never imports it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol, cast

from rtmpose.files.locks import ProcessLock
from rtmpose.model_card import ModelCard
from rtmpose.zoo.cache import weights_folder
from rtmpose.zoo.download import disk_errors

log = logging.getLogger(__name__)

EXPORTER = "rtmpose.exporting.export"
OPTIONS = "rtmpose.exporting.options"
NEEDED = ("torch", "onnx", "onnxscript", "safetensors")
"""Packages of the export extra that a conversion uses."""


class _Export(Protocol):
    def __call__(
        self, model: str | Path | ModelCard, out: Path, options: object, *, card: ModelCard
    ) -> tuple[Path, object]: ...


def is_convertible(card: ModelCard) -> bool:
    """Whether a model is published as a checkpoint only, of a network that can be exported."""
    return card.has_network and card.file("onnx") is None and card.file("pth") is not None


def has_converter() -> bool:
    """Whether the packages that a conversion needs are installed."""
    return all(importlib.util.find_spec(name) is not None for name in NEEDED)


def converted_path(card: ModelCard) -> Path:
    """Where the converted file of a model is kept: next to others of the same checkpoint."""
    checkpoint = card.file("pth")
    assert checkpoint is not None
    return weights_folder() / "converted" / Path(checkpoint.name).stem / f"{card.id}.onnx"


def convert(card: ModelCard) -> Path:
    """The ONNX file of a model that is published as a checkpoint: fetched, converted and compared
    with the checkpoint as ``rtmpose export`` does it, the first time.

    Raises:
        ModelError: the checkpoint cannot be fetched, or the result is not the same model.
        OutputError: the cache cannot be written.
    """
    path = converted_path(card)
    if path.is_file():
        return path

    # One process converts, the others wait.
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = ProcessLock(path.with_name(path.name + ".lock"))
        lock.wait(f"the conversion of {card.id}")
    try:
        if not path.is_file():
            log.warning(
                "%s is published as a checkpoint: fetching and converting it, this once", card.id
            )
            export = cast("_Export", importlib.import_module(EXPORTER).export)
            options: SimpleNamespace = importlib.import_module(OPTIONS).ExportOptions(to="onnx")
            export(card, path.parent, options, card=card)
    finally:
        lock.release()
    return path
