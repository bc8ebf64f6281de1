"""From what a user says (a name, a path, a URL) to a model file on disk and what is known of it."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from rtmpose.card_io import embedded_card
from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard, ModelFile, Source
from rtmpose.zoo.cache import sha256_of
from rtmpose.zoo.catalog import find, find_digest, find_file, load_zoo
from rtmpose.zoo.download import Progress
from rtmpose.zoo.fetch import fetch
from rtmpose.zoo.sdk_folder import is_sdk_folder, read_sdk

log = logging.getLogger(__name__)

Format = Literal["onnx", "pth"]
MODEL_SUFFIXES = (".onnx", ".xml", ".param", ".engine", ".pth", ".pt", ".safetensors")
"""Of model files: ONNX, OpenVINO, ncnn, TensorRT, checkpoints."""


def resolve(
    model: str | os.PathLike[str] | ModelCard,
    *,
    format: Format = "onnx",
    progress: Progress | None = None,
) -> tuple[Path, ModelCard | None]:
    """The file of a model, fetched when need be, and its card where the zoo knows it.

    Args:
        model: An id or alias of the zoo (``rtmpose-s``); the path of a local model file
            (:data:`MODEL_SUFFIXES`) or deployment SDK folder; an http(s) URL of an ``.onnx`` or of
            a zip archive that holds one; or a card. A text that ends like a model file or holds a
            path separator is taken for a path.
        format: Which form of a zoo model; for a path or URL the file is taken as it is.
        progress: Told of the bytes of a download; without one a bar is shown where stderr is a
            terminal.

    Returns:
        The path, and the card: for a path the one embedded in the file, else that of the zoo's file
            of the same name
        or sha256; for a URL that of the same name; else None.

    Raises:
        ModelError: an unknown name, a missing file, a form that nobody publishes, or a failed
            download.
    """
    if isinstance(model, ModelCard):
        return fetch(_form(model, format), progress=progress), model
    text = os.fspath(model)
    if isinstance(model, str) and text.lower().startswith(("http://", "https://")):
        return _from_url(text, progress)
    if not isinstance(model, str) or _looks_like_path(text):
        return _from_path(Path(text).expanduser())
    card = find(text)
    return fetch(_form(card, format), progress=progress), card


def _looks_like_path(text: str) -> bool:
    separators = [s for s in (os.sep, os.altsep, "/") if s]
    return (
        text.lower().endswith(MODEL_SUFFIXES)
        or text.startswith("~")
        or any(s in text for s in separators)
    )


def _from_path(path: Path) -> tuple[Path, ModelCard | None]:
    # The publisher's archives, unpacked by hand, hold NAME/end2end.onnx.
    known = find_file(f"{path.parent.name}.onnx" if path.name == "end2end.onnx" else path.name)
    if is_sdk_folder(path):
        network, card = read_sdk(path)
        named = find_file(f"{path.name}.onnx")
        return network, card or (named[0] if named else None)
    if not path.is_file():
        what = "is a folder, not a model file" if path.is_dir() else "does not exist"
        hint = f"; the zoo has a file of that name: ask for {known[0].id!r}" if known else ""
        raise ModelError(f"model file {path} {what}{hint}")
    try:
        empty = path.stat().st_size == 0
    except OSError as error:
        raise ModelError(f"cannot read model file {path}: {error.strerror or error}") from error
    if empty:
        raise ModelError(f"model file {path} is empty: an unfinished download or export?")
    card = embedded_card(path)
    if card is not None:
        return path, card
    known = known or find_digest(sha256_of(path))
    return path, known[0] if known else None


def _from_url(url: str, progress: Progress | None) -> tuple[Path, ModelCard | None]:
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    kind: Literal["url", "zip"] = "zip" if name.lower().endswith(".zip") else "url"
    if kind == "zip":
        name = name[:-4] + ".onnx"
    if not name.lower().endswith(".onnx"):
        raise ModelError(f"{url} does not name an .onnx file or a .zip that holds one")
    # Files of one name from different places must not meet in the cache.
    folder = hashlib.sha256(url.encode()).hexdigest()[:12]
    source = Source(kind, url=url, member="**/*.onnx" if kind == "zip" else "", note="given URL")
    path = fetch(ModelFile("onnx", f"url/{folder}/{name}", (source,)), progress=progress)
    known = find_file(name)
    return path, known[0] if known else None


def _form(card: ModelCard, format: Format) -> ModelFile:
    """The card's file of that format, or an error that says what can be had instead."""
    file = card.file(format)
    if file is not None:
        return file
    instead = [
        c.aliases[0] if c.aliases else c.id
        for c in load_zoo()
        if c.task == card.task and c.file(format)
    ]
    raise ModelError(
        f"{card.id} is published only as"
        f" {' and '.join(f'.{f.format}' for f in card.files) or 'nothing'}: no .{format} of it can"
        " be fetched. "
        + (
            f"`rtmpose export {card.id} --to onnx` makes one of the checkpoint (pip install"
            " 'rtmpose[export]'). "
            if card.has_network and format == "onnx"
            else ""
        )
        + (
            f"For {card.task} there are: {', '.join(instead)}. "
            if instead
            else f"No {card.task} model has one. "
        )
        + "If you have exported it yourself, pass the path of your file."
    )
