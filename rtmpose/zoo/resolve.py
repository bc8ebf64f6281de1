"""From what a user says (a name, a path, a URL) to a model file on disk and what is known of it."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from rtmpose.backend_table import FOREIGN_SUFFIXES, model_suffixes
from rtmpose.cards.io import embedded_card
from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard, ModelFile, Source
from rtmpose.web import WebError, checked_url
from rtmpose.zoo import conversion
from rtmpose.zoo.cache import sha256_of
from rtmpose.zoo.catalog import find, find_digest, find_file, load_zoo
from rtmpose.zoo.download import Progress
from rtmpose.zoo.fetch import fetch
from rtmpose.zoo.sdk_folder import is_sdk_folder, read_sdk

Format = Literal["onnx", "pth"]
ModelKind = Literal["name", "path", "url"]
LONGEST_NAME = 120
"""Letters of a downloaded file's name that are kept, the last ones."""


def model_kind(model: str | os.PathLike[str]) -> ModelKind:
    """Whether a model is given as the name of a zoo model, as a path or as a URL.

    A text that ends like a model file, starts with ``~`` or holds a path separator is a path, and
    so is every path object; one that starts with ``http://`` or ``https://`` is a URL. The disk is
    not looked at: a folder may have the name of a model.
    """
    # No look at the disk: the same text means the same everywhere.
    if not isinstance(model, str):
        return "path"
    text = model.strip().lower()
    if text.startswith(("http://", "https://")):
        return "url"

    # Separators of this system, and the slash everywhere.
    separators = [s for s in (os.sep, os.altsep, "/") if s]
    ends_like_file = text.endswith((*model_suffixes(), *FOREIGN_SUFFIXES))
    if ends_like_file or text.startswith("~") or any(s in text for s in separators):
        return "path"
    return "name"


def resolve(
    model: str | os.PathLike[str] | ModelCard,
    *,
    format: Format = "onnx",
    progress: Progress | None = None,
) -> tuple[Path, ModelCard | None]:
    """The file of a model, fetched when need be, and its card where the zoo knows it.

    Args:
        model: An id or alias of the zoo (``rtmpose-s``); the path of a local model file or
            deployment SDK folder; an http(s) URL of an ``.onnx`` or of a zip archive that holds
            one; or a card. :func:`model_kind` tells them apart.
        format: Which form of a zoo model; for a path or URL the file is taken as it is.
        progress: Told of the bytes of a download; without one a bar is shown where stderr is a
            terminal.

    Returns:
        The path, and the card. For a path it is the card embedded in the file, else that of the
        zoo's file of the same name or sha256; for a URL that of the same file name; else None.

    Raises:
        ModelError: an unknown name, a missing file, a form that nobody publishes, or a failed
            download.
    """
    if isinstance(model, ModelCard):
        return _obtain(model, format, progress), model

    # In the order of how certain they are: URLs, paths, names.
    text = os.fspath(model)
    kind = model_kind(model)
    if kind == "url":
        return _from_url(text.strip(), progress)
    if kind == "path":
        return _from_path(Path(text).expanduser())
    card = _from_name(text)
    return _obtain(card, format, progress), card


def known_card(model: str | os.PathLike[str] | ModelCard) -> ModelCard | None:
    """The card of a model that is given by name, or the given card, without fetching a file; None
    for paths, URLs and names that the zoo does not have.
    """
    if isinstance(model, ModelCard):
        return model
    if model_kind(model) != "name":
        return None
    try:
        return find(os.fspath(model))
    except ModelError:
        return None


def _obtain(card: ModelCard, format: Format, progress: Progress | None) -> Path:
    """The file of a model in that format; checkpoints are converted where the packages are."""
    if format == "onnx" and conversion.is_convertible(card) and conversion.has_converter():
        return conversion.convert(card)
    return fetch(_file_of(card, format), progress=progress)


def _from_name(name: str) -> ModelCard:
    try:
        # A name wins over a file of that name, but the error says how to give the file.
        return find(name)
    except ModelError as error:
        if Path(name).is_file():
            raise ModelError(
                f"{error}. The file of that name in this folder is given as ./{name}"
            ) from None
        raise


def _from_path(path: Path) -> tuple[Path, ModelCard | None]:
    if is_sdk_folder(path):
        network, card = read_sdk(path)
        named = find_file(f"{path.name}.onnx")
        return network, card or (named[0] if named else None)

    # The publisher's archives contain NAME/end2end.onnx.
    published_name = f"{path.parent.name}.onnx" if path.name == "end2end.onnx" else path.name
    published = find_file(published_name)
    if not path.is_file():
        what = "is a folder, not a model file" if path.is_dir() else "does not exist"
        hint = (
            f"; the zoo has a file of that name: ask for {published[0].id!r}" if published else ""
        )
        raise ModelError(f"model file {path} {what}{hint}")
    try:
        empty = path.stat().st_size == 0
    except OSError as error:
        raise ModelError(f"cannot read model file {path}: {error.strerror or error}") from error
    if empty:
        raise ModelError(f"model file {path} is empty: an unfinished download or export?")

    # What the file says of itself counts most, then its name, then its content.
    card = embedded_card(path)
    if card is not None:
        return path, card
    published = published or find_digest(sha256_of(path))
    return path, published[0] if published else None


def _from_url(url: str, progress: Progress | None) -> tuple[Path, ModelCard | None]:
    # The name without the query, and without percent codes.
    try:
        name = PurePosixPath(unquote(urlsplit(checked_url(url)).path)).name
    except WebError as error:
        raise ModelError(f"{url} cannot be fetched: {error}") from error
    zipped = name.lower().endswith(".zip")
    if zipped:
        name = name[:-4] + ".onnx"
    if not name.lower().endswith(".onnx"):
        raise ModelError(f"{url} does not name an .onnx file or a .zip that holds one")

    # Files of the same name from different places must not overwrite each other in the cache.
    folder = hashlib.sha256(url.encode()).hexdigest()[:12]
    if zipped:
        source = Source("zip", url=url, member="**/*.onnx", note="given URL")
    else:
        source = Source("url", url=url, note="given URL")
    stored = re.sub(r"[^\w.+() -]", "_", name)[-LONGEST_NAME:]  # what every disk takes
    path = fetch(ModelFile("onnx", f"url/{folder}/{stored}", (source,)), progress=progress)
    published = find_file(name)
    return path, published[0] if published else None


def _file_of(card: ModelCard, format: Format) -> ModelFile:
    """The card's file of that format, or an error that says what is available instead."""
    file = card.file(format)
    if file is not None:
        return file

    # Not published in that format: say what would help.
    formats = " and ".join(f".{f.format}" for f in card.files) or "nothing"
    lines = [f"{card.id} is published only as {formats}: no .{format} of it can be fetched."]
    if card.has_network and format == "onnx":
        lines.append(
            "With torch it is converted by itself, the first time: pip install 'rtmpose[export]'"
            f" (or elsewhere: `rtmpose export {card.id} --to onnx`)."
        )

    # Models for the same task that have the format.
    same_task = [c for c in load_zoo() if c.task == card.task and c.file(format)]
    instead = ", ".join(c.aliases[0] if c.aliases else c.id for c in same_task)
    lines.append(
        f"For {card.task} there are: {instead}." if instead else f"No {card.task} model has one."
    )
    lines.append("If you have exported it yourself, pass the path of your file.")
    raise ModelError(" ".join(lines))
