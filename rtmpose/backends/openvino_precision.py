"""Which form of a network OpenVINO compiles: as it is, calibrated for bf16, or in 8 bits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from rtmpose import backend_table as table
from rtmpose.backend_table import Precision
from rtmpose.backends import openvino_network as net
from rtmpose.backends.base import BackendOptions
from rtmpose.backends.bf16_calibration import (
    bf16_medians,
    can_be_calibrated,
    change_for_bf16,
    find_medians,
)
from rtmpose.backends.bf16_graph import Medians
from rtmpose.backends.compiled_files import CompiledFiles
from rtmpose.backends.cpu import bf16_is_slow, this_cpu
from rtmpose.backends.int8_graph import quantize
from rtmpose.backends.int8_preparation import find_ranges, stored_ranges
from rtmpose.backends.int8_ranges import Ranges
from rtmpose.backends.openvino_facts import (
    NetworkFacts,
    OpeningRecord,
    facts_of,
    find_opening,
    keep_opening,
)
from rtmpose.backends.prepared_files import cache_is_writable, content_digest, prepared_digest
from rtmpose.errors import BackendError, ModelError
from rtmpose.model_card import ModelCard
from rtmpose.paths import bundled_folder, cache_folder
from rtmpose.text_files import Json

if TYPE_CHECKING:
    from openvino import Model

GFLOPS_UNASKED = {"keypoints": 1.0, "boxes": 4.0}
"""The largest networks of the zoo that are prepared for 8 bits without being asked, by output: it
takes twenty to forty seconds, once."""
KEPT: tuple[Precision, ...] = ("int8", "bf16")
"""Precisions whose compiled forms are kept. Those in fp32 share their weights in memory."""
PEOPLE_TASKS = ("person detection", "body", "body-feet")
"""What can be judged by photographs of people."""


class OpenedNetwork:
    """A network that was opened, and how it is changed before it is compiled.

    Args:
        network: As in the file; None where it is only read when it is to be compiled.
        facts: What it looks like from outside.
        precision: What it is computed in.
        bf16: Whether what is not in 8 bits is computed in bf16.
        ranges: Of the convolutions in 8 bits.
        medians: What makes it safe for bf16; None for a network that is taken as it is.

    Attributes:
        facts: As given.
        precision: As given.
        bf16: As given.
        files: Where its compiled forms are kept.
        read_again: Opens the file again; where there is such a thing, the network is in memory no
            longer than until it is compiled.
    """

    def __init__(
        self,
        network: Model | None,
        facts: NetworkFacts,
        precision: Precision,
        *,
        bf16: bool = False,
        ranges: Ranges | None = None,
        medians: Medians | None = None,
    ) -> None:
        self.facts = facts
        self.precision: Precision = precision
        self.bf16 = bf16
        self.files = CompiledFiles(None)
        self._network = network
        self._ranges = ranges
        self._medians = medians
        self._changed = False
        self._changing = threading.Lock()
        self.read_again: Callable[[], OpenedNetwork] | None = None

    def network(self) -> Model:
        """The network to compile. Reading and changing it takes time and memory, and is not needed
        where all compiled forms are kept.

        Raises:
            ModelError: its file has changed since it was opened.
        """
        with self._changing:
            if self._network is None:
                assert self.read_again is not None
                return self.read_again().network()
            network = self._network
            if not self._changed:
                if self._ranges:
                    quantize(network, self._ranges)
                if self._medians is not None:
                    change_for_bf16(network, self._medians)
                net.unpack_weights(network)
                self._changed = True

            # Compiled forms that are kept do not share its weights.
            if self.read_again is not None:
                self._network = self._ranges = self._medians = None
            return network


_opened: WeakValueDictionary[tuple[object, ...], OpenedNetwork] = WeakValueDictionary()


def open_network(path: Path, card: ModelCard, options: BackendOptions) -> OpenedNetwork:
    """The network to compile.

    For several calls at once it is the one that is open already for single calls, if there is such
    a one: its weights are in memory once.

    Raises:
        BackendError: the network cannot be computed in 8 bits.
        ModelError: the file cannot be read.
    """
    try:
        state = path.stat()
    except OSError:
        key: tuple[object, ...] = (path,)  # reading it says what is wrong
    else:
        key = (path, state.st_mtime_ns, state.st_size, options.precision, options.device)
    if options.num_streams > 1 and key in _opened:
        return _opened[key]

    opened = _with_files(path, card, options) or network_to_compile(path, card, options)
    _opened[key] = opened
    return opened


def network_to_compile(path: Path, card: ModelCard, options: BackendOptions) -> OpenedNetwork:
    """The network in the precision that is asked for.

    ``fp32`` leaves the file as it is. ``bf16`` calibrates it, ``int8`` prepares it. ``auto`` means
    int8 for a network that is trusted in it, on a CPU where that is the fastest; else bf16 for one
    that is trusted in bf16, on a CPU where it is faster than fp32; else fp32.

    Raises:
        BackendError: the network cannot be computed in 8 bits.
        ModelError: the file cannot be read.
    """
    network = net.read_network(path)
    card = _card_of_size(network, card)
    if options.precision == "int8":
        return _in_int8(path, network, card, options)
    if options.precision == "auto":
        ranges = _default_ranges(path, network, card, options)
        if ranges is not None:
            return _with_ranges(path, network, card, options, ranges)

    medians = bf16_medians(path, network, card, options)
    asked_for = options.precision == "bf16"
    if medians is None and not asked_for:
        return OpenedNetwork(network, facts_of(network), "fp32")
    return OpenedNetwork(network, facts_of(network), "bf16", bf16=True, medians=medians)


def trusted_precisions(path: Path, card: ModelCard, threads: int) -> tuple[Precision, ...]:
    """The precisions that a network runs in on the CPU without losing accuracy, the default first.

    A network that was not judged yet is judged, which takes about ten seconds for each.
    """
    network = net.read_network(path)
    card = _card_of_size(network, card)
    found: list[Precision] = ["fp32"]
    if not can_be_calibrated(network, card):
        return tuple(found)
    if net.cpu_has_bf16() and find_medians(path, network, card, threads=threads)[1].trusted:
        found = ["fp32", "bf16"] if bf16_is_slow() else ["bf16", "fp32"]
    if not find_ranges(path, network, card, threads=threads)[1].trusted:
        return tuple(found)

    # The default is what `network_to_compile` takes.
    if int8_is_fastest():
        return ("int8", *found)
    return (*found, "int8")


def int8_is_fastest() -> bool:
    """Whether networks in 8 bits are the fastest on processors of this kind."""
    return this_cpu().kind in table.row("openvino").int8_on


# ---- 8 bits


def _default_ranges(
    path: Path, network: Model, card: ModelCard, options: BackendOptions
) -> Ranges | None:
    """The ranges of a network for which ``auto`` means 8 bits, else None. They may be measured."""
    if options.device != "cpu" or not int8_is_fastest() or not can_be_calibrated(network, card):
        return None
    found = stored_ranges(path, network)

    # Small networks of the zoo are prepared once, where that can be kept.
    if found is None:
        small = card.gflops is not None and card.gflops <= GFLOPS_UNASKED.get(card.output, 0)
        published = bool(card.files) and card.task in PEOPLE_TASKS
        if not (small and published and cache_is_writable()):
            return None
        found = find_ranges(path, network, card, threads=options.threads)
    ranges, record = found
    return ranges if record.trusted else None


def _in_int8(path: Path, network: Model, card: ModelCard, options: BackendOptions) -> OpenedNetwork:
    """A network in 8 bits that was asked for."""
    if options.device != "cpu":
        raise BackendError("precision int8 was asked for, but OpenVINO has it on the CPU only")
    if net.is_quantized(network):
        return OpenedNetwork(network, facts_of(network), "int8")
    if not can_be_calibrated(network, card):
        raise BackendError(
            f"{path.name} cannot be prepared for int8: only networks whose keypoints or boxes can"
            " be compared with those in fp32 are; `rtmpose export --precision int8` makes a file"
        )
    ranges, _ = find_ranges(path, network, card, threads=options.threads)
    return _with_ranges(path, network, card, options, ranges)


def _with_ranges(
    path: Path, network: Model, card: ModelCard, options: BackendOptions, ranges: Ranges
) -> OpenedNetwork:
    facts = facts_of(network)
    # Where the processor has fast bf16, all that is not in 8 bits is computed in it.
    if bf16_is_slow() or not net.cpu_has_bf16():
        return OpenedNetwork(network, facts, "int8", ranges=ranges)
    medians, record = find_medians(path, network, card, threads=options.threads)
    if not record.trusted:
        return OpenedNetwork(network, facts, "int8", ranges=ranges)
    return OpenedNetwork(network, facts, "int8", bf16=True, ranges=ranges, medians=medians)


# ---- compiled forms in files


def _with_files(path: Path, card: ModelCard, options: BackendOptions) -> OpenedNetwork | None:
    """A network in a reduced precision, which takes long to compile: its compiled forms are kept.
    None where that cannot be meant.
    """
    if options.device != "cpu" or options.precision not in ("auto", *KEPT):
        return None
    digest = content_digest(path)
    lasting = digest is not None and _is_lasting(path)

    # How it was opened before; then the file itself is not read.
    kept = find_opening(_opening_files(path, digest, card, options)) if lasting else None
    if kept is not None:
        opened = OpenedNetwork(None, kept.facts, kept.precision, bf16=kept.bf16)
    else:
        opened = network_to_compile(path, card, options)
        if opened.precision not in KEPT:
            return opened
    opened.files = _compiled_files(path, digest, card, opened)
    if not lasting or not opened.files.used:
        return opened

    if kept is None:
        record = OpeningRecord(opened.facts, opened.precision, opened.bf16)
        keep_opening(_opening_files(path, digest, card, options), record)
    opened.read_again = partial(
        _again, path, digest, card, replace(options, precision=opened.precision)
    )
    return opened


def _is_lasting(path: Path) -> bool:
    """Whether a file is the package's own, and not one that a user may change or remove while it
    is in use.
    """
    folders = (bundled_folder(), cache_folder())
    return any(path.absolute().is_relative_to(folder.absolute()) for folder in folders)


def _again(
    path: Path, digest: str | None, card: ModelCard, options: BackendOptions
) -> OpenedNetwork:
    if content_digest(path) != digest:
        raise ModelError(f"{path} has changed since it was opened: start again")
    return network_to_compile(path, card, options)


def _opening_files(
    path: Path, digest: str | None, card: ModelCard, options: BackendOptions
) -> CompiledFiles:
    """Where it is kept how the file was opened."""
    asked = {"card": repr(card), "precision": options.precision}
    return _files_of(path, digest, {"opened": asked})


def _compiled_files(
    path: Path, digest: str | None, card: ModelCard, opened: OpenedNetwork
) -> CompiledFiles:
    """Where the compiled forms of an opened file are kept."""
    scaling = card.normalization
    form = {
        "precision": [opened.precision, opened.bf16],
        "normalization": [list(scaling.mean), list(scaling.std), scaling.color],
    }
    return _files_of(path, digest, form)


def _files_of(path: Path, digest: str | None, made_from: dict[str, Json]) -> CompiledFiles:
    if digest is None:
        return CompiledFiles(None)
    return CompiledFiles(
        {
            "engine": net.engine_version(),
            "model": digest,
            "prepared": prepared_digest(path),
            **made_from,
        }
    )


def _card_of_size(network: Model, card: ModelCard) -> ModelCard:
    """The card with the size of the file: one that the zoo does not know may have another."""
    _, _, height, width = net.dims_of(network.inputs[0].get_partial_shape())
    return replace(card, input_wh=(width, height)) if height and width else card
