"""Which form of a network OpenVINO compiles: as it is, calibrated for bf16, or in 8 bits."""

from __future__ import annotations

import threading
from dataclasses import replace
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
from rtmpose.backends.cpu import this_cpu
from rtmpose.backends.int8_graph import quantize
from rtmpose.backends.int8_preparation import find_ranges, stored_ranges
from rtmpose.backends.int8_ranges import Ranges
from rtmpose.backends.prepared_files import cache_is_writable, content_digest, prepared_digest
from rtmpose.errors import BackendError
from rtmpose.model_card import ModelCard

if TYPE_CHECKING:
    from openvino import Model

GFLOPS_UNASKED = {"keypoints": 1.0, "boxes": 4.0}
"""The largest networks of the zoo that are prepared for 8 bits without being asked, by output: it
takes ten to twenty seconds, once."""
PEOPLE_TASKS = ("person detection", "body", "body-feet")
"""What can be judged by photographs of people."""


class OpenedNetwork:
    """A network that was read, and how it is changed before it is compiled.

    Args:
        network: As in the file.
        precision: What it is computed in.
        bf16: Whether what is not in 8 bits is computed in bf16.
        ranges: Of the convolutions in 8 bits.
        medians: What makes it safe for bf16; None for a network that is taken as it is.
        files: Where its compiled forms are kept.

    Attributes:
        source: As in the file, until it is changed; what it takes and returns stays the same.
        precision: As given.
        bf16: As given.
        files: As given.
    """

    def __init__(
        self,
        network: Model,
        precision: Precision,
        *,
        bf16: bool = False,
        ranges: Ranges | None = None,
        medians: Medians | None = None,
        files: CompiledFiles | None = None,
    ) -> None:
        self.source = network
        self.precision: Precision = precision
        self.bf16 = bf16
        self.files = files or CompiledFiles(None)
        self._ranges = ranges
        self._medians = medians
        self._changed = False
        self._changing = threading.Lock()

    def network(self) -> Model:
        """The network to compile. Changing it takes time and memory, and is not needed where all
        compiled forms are kept.
        """
        with self._changing:
            if not self._changed:
                if self._ranges:
                    quantize(self.source, self._ranges)
                if self._medians is not None:
                    change_for_bf16(self.source, self._medians)
                net.unpack_weights(self.source)
                self._changed = True
            return self.source


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

    opened = network_to_compile(path, card, options)
    # Networks in 8 bits take long to compile. Others would not share their weights any more.
    if options.device == "cpu" and opened.precision == "int8":
        opened.files = _compiled_files(path, card, opened)
    _opened[key] = opened
    return opened


def network_to_compile(path: Path, card: ModelCard, options: BackendOptions) -> OpenedNetwork:
    """The network in the precision that is asked for.

    ``fp32`` leaves the file as it is. ``bf16`` calibrates it, ``int8`` prepares it. ``auto`` means
    int8 for a network that is trusted in it, on a CPU where that is the fastest; else bf16 for one
    that is trusted in bf16, on a CPU that has it; else fp32.

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
        return OpenedNetwork(network, "fp32")
    return OpenedNetwork(network, "bf16", bf16=True, medians=medians)


def trusted_precisions(path: Path, card: ModelCard, threads: int) -> tuple[Precision, ...]:
    """The precisions that a network runs in on the CPU without losing accuracy, the default first.

    A network that was not judged yet is judged, which takes about ten seconds for each.
    """
    options = BackendOptions("openvino", "cpu", threads)
    network = net.read_network(path)
    card = _card_of_size(network, card)
    found: list[Precision] = ["fp32"]
    if bf16_medians(path, network, card, options) is not None:
        found = ["bf16", "fp32"]
    if not can_be_calibrated(network, card):
        return tuple(found)
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
        return OpenedNetwork(network, "int8")
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
    # Where the processor has bf16, all that is not in 8 bits is computed in it.
    if not net.cpu_has_bf16():
        return OpenedNetwork(network, "int8", ranges=ranges)
    medians, record = find_medians(path, network, card, threads=options.threads)
    if not record.trusted:
        return OpenedNetwork(network, "int8", ranges=ranges)
    return OpenedNetwork(network, "int8", bf16=True, ranges=ranges, medians=medians)


# ---- details


def _compiled_files(path: Path, card: ModelCard, opened: OpenedNetwork) -> CompiledFiles:
    """Where the compiled forms of an opened file are kept."""
    digest = content_digest(path)
    if digest is None:
        return CompiledFiles(None)
    scaling = card.normalization
    return CompiledFiles(
        {
            "engine": net.engine_version(),
            "model": digest,
            "prepared": prepared_digest(path),
            "precision": [opened.precision, opened.bf16],
            "normalization": [list(scaling.mean), list(scaling.std), scaling.color],
        }
    )


def _card_of_size(network: Model, card: ModelCard) -> ModelCard:
    """The card with the size of the file: one that the zoo does not know may have another."""
    _, _, height, width = net.dims_of(network.inputs[0].get_partial_shape())
    return replace(card, input_wh=(width, height)) if height and width else card
