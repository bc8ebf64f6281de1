"""Checkpoints: the publisher's ``.pth`` and our own ``.safetensors``, into a network and out of it.

A ``.pth`` is a pickle. It is only ever opened by torch's restricted unpickler, which makes tensors
and plain containers and calls nothing else. The few other objects that the publisher's files are
known to carry are replaced by stand-ins (:mod:`rtmpose.networks.pickled`); a file that asks for
anything else is refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from rtmpose.cards.io import KEY, card_from_json, card_to_json
from rtmpose.errors import MissingDependencyError, ModelError
from rtmpose.files import write_bytes
from rtmpose.model_card import ModelCard
from rtmpose.networks.pickled import STAND_INS, plain
from rtmpose.safetensors_file import read_safetensors_header
from rtmpose.text_files import parse_json, to_json

State = dict[str, Tensor]

CHECKPOINTS = (".pth", ".pt", ".ckpt", ".bin")
"""Suffixes of files that are pickles."""

PREFIXES = ("module.", "model.", "architecture.", "student.", "state_dict.")
"""Wrappers that training puts around a network: data parallelism, averaging, pruning,
distillation.
"""

RENAMED = {"keypoint_head.": "head.", "network.": ""}
"""Names in published checkpoints, and the names here."""

NOT_WEIGHTS = ("data_preprocessor.", "loss_module.", "teacher.", "steps")


@dataclass(frozen=True)
class KeyDifference:
    """How a checkpoint differs from a network.

    Attributes:
        missing: Keys of the network that the file lacks.
        unexpected: Keys of the file that the network lacks.
        shapes: Key, shape in the network, shape in the file.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.shapes)

    def __str__(self) -> str:
        # One line per kind of difference, with the first few keys.
        lines = []
        for title, keys in (("missing", self.missing), ("unexpected", self.unexpected)):
            if keys:
                lines.append(f"{len(keys)} {title}: {_first_few(keys)}")
        if self.shapes:
            rows = [
                f"{key} {_shape_text(ours)} in the network, {_shape_text(theirs)} in the file"
                for key, ours, theirs in self.shapes
            ]
            lines.append(f"{len(rows)} of another shape: {_first_few(rows, '; ')}")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class TrainingFile:
    """What a training left in a file.

    Attributes:
        state: Its weights, under the names our networks use.
        meta: What it says of itself, as plain data: ``dataset_meta``, ``cfg`` and so on; objects
            that are not known are None.
    """

    state: State
    meta: Mapping[str, object]


def read_checkpoint(path: str | Path) -> State:
    """The tensors of a ``.pth`` or ``.safetensors`` file, under the names our networks use.

    Wrappers (:data:`PREFIXES`) are taken off. Where a file holds averaged and plain weights, those
    under ``state_dict`` are taken: the publisher's training puts the averaged ones there.

    Raises:
        ModelError: the file is missing, damaged, holds no tensors, or would have to run code to be
            read.
    """
    return read_training_file(path).state


def read_training_file(path: str | Path) -> TrainingFile:
    """The same, with what the file says of itself; :func:`read_checkpoint` says what is raised."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"checkpoint {path} does not exist")

    # safetensors hold tensors only; pickles are opened by the restricted unpickler.
    if path.suffix == ".safetensors":
        return TrainingFile(_read_safetensors(path), {})

    # Every other class or function that the file names is refused.
    try:
        with torch.serialization.safe_globals([*STAND_INS]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} was not read: it asks for more than tensors and known training records, which"
            f" could run foreign code. {_refusal(error)}"
        ) from error
    except Exception as error:
        # Further sentences are advice for programmers, partly to load whatever the file asks for.
        reason = str(error).strip().splitlines()[0].split(". ")[0] if str(error) else repr(error)
        raise ModelError(
            f"{path} could not be read as a checkpoint: {reason}; an unfinished download?"
        ) from error

    # The weights within training records, and under the names here.
    state = _state_of(content)
    if not state:
        raise ModelError(f"{path} holds no weights (no tensors, and no state_dict)")
    meta = plain(content.get("meta")) if isinstance(content, Mapping) else None
    return TrainingFile(normalize_keys(state), meta if isinstance(meta, dict) else {})


def normalize_keys(state: Mapping[str, object]) -> State:
    """Keys without the wrappers of training and under the names here; only weights are kept."""
    keys = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    # Wrappers may be nested.
    while True:
        prefix = next((p for p in PREFIXES if any(k.startswith(p) for k in keys)), None)
        if prefix is None:
            break
        # Where some keys have the wrapper, the others are the wrapper's own (counters, a second
        # copy).
        keys = {k[len(prefix) :]: v for k, v in keys.items() if k.startswith(prefix)}
    # Parts that are no weights go, the others get their names here.
    out = {}
    for key, value in keys.items():
        if key.startswith(NOT_WEIGHTS):
            continue
        for old, new in RENAMED.items():
            if key.startswith(old):
                key = new + key[len(old) :]
        out[key] = value
    return out


def key_difference(network: nn.Module, state: Mapping[str, Tensor]) -> KeyDifference:
    """How the tensors differ from what the network takes; counters of norms may be missing."""
    # Counters of norms are missing in old files; nothing depends on them.
    ours = network.state_dict()
    missing = tuple(k for k in ours if k not in state and not k.endswith("num_batches_tracked"))
    unexpected = tuple(k for k in state if k not in ours)
    shapes = tuple(
        (k, tuple(v.shape), tuple(state[k].shape))
        for k, v in ours.items()
        if k in state and v.shape != state[k].shape
    )
    return KeyDifference(missing, unexpected, shapes)


def load_state(
    network: nn.Module, state: Mapping[str, Tensor], source: str, *, strict: bool = True
) -> KeyDifference:
    """Put tensors into a network.

    Args:
        network: Changed in place.
        state: From :func:`read_checkpoint`.
        source: Names the file in the error.
        strict: Refuse any difference. Otherwise what fits is taken.

    Returns:
        The difference.

    Raises:
        ModelError: ``strict``, and there is a difference; or nothing fits at all.
    """
    difference = key_difference(network, state)
    if strict and difference:
        raise ModelError(f"{source} is not a checkpoint of this network:\n{difference}")
    # What fits by name and shape is loaded.
    ours = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in ours and ours[k].shape == v.shape}
    if not fitting:
        raise ModelError(f"{source} has nothing in common with this network:\n{difference}")
    network.load_state_dict({k: v.to(ours[k].dtype) for k, v in fitting.items()}, strict=False)
    return difference


def save_safetensors(
    path: str | Path, network: nn.Module, card: ModelCard, *, half: bool = False, **notes: str
) -> None:
    """Write a network with its card: the project's own format. Atomic.

    Args:
        path: Ends in ``.safetensors``.
        network: Its state is written; tensors that several keys share are written once.
        card: Put into the metadata.
        half: Store matrices and kernels in 16 bits; they are read as float32.
        **notes: Further text for the metadata.

    Raises:
        OutputError: the file cannot be written.
    """
    safetensors = _safetensors()
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if half:
        state = {k: halved(v) for k, v in state.items()}

    # The format has no shared tensors: each is written once, with the other keys in the metadata.
    seen: dict[int, str] = {}
    shared = {}
    for key, value in state.items():
        first = seen.setdefault(value.data_ptr(), key) if value.numel() else key
        if first != key and torch.equal(state[first], value):
            shared[key] = first
    tensors = {k: v for k, v in state.items() if k not in shared}

    metadata = {
        "format": "pt",
        KEY: card_to_json(card),
        "rtmpose.shared": to_json(shared),
        **notes,
    }
    content = safetensors.save(tensors, metadata)
    write_bytes(Path(path), content)


def halved(value: Tensor) -> Tensor:
    """A matrix or a kernel in 16 bits; what else there is, and what is too large, as it is."""
    if not value.is_floating_point() or value.ndim < 2 or not value.numel():
        return value
    half = value.half()
    return half if bool(torch.isfinite(half).all()) else value


def _as_float32(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value


def read_card(path: str | Path) -> ModelCard | None:
    """The card in a ``.safetensors`` file, or None.

    Raises:
        ModelError: the file is damaged, or its card cannot be used.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        return None
    with _file_errors(path):
        metadata = read_safetensors_header(path).metadata
    if KEY not in metadata:
        return None
    try:
        return card_from_json(metadata[KEY])
    except ValueError as error:
        raise ModelError(
            f"the card in {path} cannot be used: {error}; --card names the model of the zoo it is"
        ) from error


def _read_safetensors(path: Path) -> State:
    _safetensors()
    from safetensors import SafetensorError, safe_open

    with _file_errors(path):
        # Checked first, as the header says where in the file the tensors lie.
        shared = _shared_keys(read_safetensors_header(path).metadata)
        try:
            # The file is mapped: tensors are read one by one.
            with safe_open(path, framework="pt") as file:
                state = {k: _as_float32(file.get_tensor(k)) for k in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(str(error)) from error
        # Tensors that several keys share are stored once.
        for key, first in shared.items():
            if first not in state:
                raise ValueError(f"its tensor {first!r} is missing")
            state[key] = state[first]
    return normalize_keys(state)


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """Errors of reading a safetensors file as one that names it."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} could not be read as safetensors: {error}; an unfinished download?"
        ) from error


def _shared_keys(metadata: Mapping[str, str]) -> dict[str, str]:
    """Keys of tensors that are stored under another key -> that key."""
    shared = parse_json(metadata.get("rtmpose.shared", "{}"), "its list of shared tensors")
    if not isinstance(shared, dict) or not all(isinstance(v, str) for v in shared.values()):
        raise ValueError("its list of shared tensors is not a table of names")
    return shared


def _safetensors() -> ModuleType:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingDependencyError(
            "this needs safetensors: pip install 'rtmpose[export]'"
        ) from error
    return safetensors.torch


def _state_of(content: object) -> dict[str, object]:
    """The weights within what a file holds."""
    # Averaged weights are stored under state_dict, the plain ones elsewhere.
    if not isinstance(content, Mapping):
        return {}

    # The first entry that holds tensors; else the file itself is the state.
    for key in ("state_dict", "model", "ema_state_dict"):
        inner = content.get(key)
        if isinstance(inner, Mapping) and any(isinstance(v, Tensor) for v in inner.values()):
            return dict(inner)
    return {str(k): v for k, v in content.items() if isinstance(v, Tensor)}


def _refusal(error: Exception) -> str:
    """What the file asked for, from torch's long message."""
    # torch's message names what was refused after one of these words.
    text = " ".join(str(error).split())
    if "ultralytics" in text:
        return "(it is a checkpoint of Ultralytics: export it to ONNX there)"
    for marker in (
        "Unsupported global:",
        "Unsupported operand",
        "Trying to load unsupported GLOBAL",
        "Unsupported class",
    ):
        if marker in text:
            return f"({text[text.index(marker) :].split(' was not')[0].split('. ')[0]})"
    return "(damaged, or not made by torch)"


def _first_few(items: tuple[str, ...] | list[str], separator: str = ", ") -> str:
    shown = separator.join(items[:6])
    return shown + (f" ... and {len(items) - 6} more" if len(items) > 6 else "")


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
