"""Which form of a network OpenVINO compiles: as it is, calibrated for bf16, or in 8 bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from rtmpose.backend_table import Precision
from rtmpose.backends import openvino_network as net
from rtmpose.backends.base import BackendOptions
from rtmpose.backends.bf16_calibration import (
    calibrated_network,
    can_be_calibrated,
    change_for_bf16,
    find_medians,
)
from rtmpose.backends.int8_preparation import prepare_int8
from rtmpose.errors import BackendError
from rtmpose.model_card import ModelCard

if TYPE_CHECKING:
    from openvino import Model


@dataclass(frozen=True, eq=False)
class OpenedNetwork:
    """A network that was read, its weights unpacked. It is not changed any more.

    Attributes:
        network: What is compiled.
        precision: What it is computed in.
        bf16: Whether what is not in 8 bits is computed in bf16.
    """

    network: Model
    precision: Precision
    bf16: bool


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
    net.unpack_weights(opened.network)
    _opened[key] = opened
    return opened


def network_to_compile(path: Path, card: ModelCard, options: BackendOptions) -> OpenedNetwork:
    """The network in the precision that is asked for.

    ``fp32`` leaves the file as it is. ``bf16`` calibrates it, ``int8`` prepares it. ``auto`` means
    bf16 for a network that is trusted in it, on a CPU that has it, else fp32.

    Raises:
        BackendError: the network cannot be computed in 8 bits.
        ModelError: the file cannot be read.
    """
    if options.precision == "int8":
        return _in_int8(path, card, options)

    network, bf16 = calibrated_network(path, card, options)
    return OpenedNetwork(network, "bf16" if bf16 else "fp32", bf16)


def trusted_precisions(path: Path, card: ModelCard, threads: int) -> tuple[Precision, ...]:
    """The precisions that a network runs in on the CPU without losing accuracy, the default first.

    A network that was not judged yet is judged, which takes about ten seconds for each.
    """
    options = BackendOptions("openvino", "cpu", threads)
    _, bf16 = calibrated_network(path, card, options)
    network = net.read_network(path)
    int8 = False
    if can_be_calibrated(network, _card_of_size(network, card)):
        int8 = prepare_int8(path, _card_of_size(network, card), threads=threads)[1].trusted

    # The default is what `network_to_compile` takes.
    found: list[Precision] = ["bf16", "fp32"] if bf16 else ["fp32"]
    if int8:
        found.append("int8")
    return tuple(found)


def _in_int8(path: Path, card: ModelCard, options: BackendOptions) -> OpenedNetwork:
    if options.device != "cpu":
        raise BackendError("precision int8 was asked for, but OpenVINO has it on the CPU only")
    network = net.read_network(path)
    card = _card_of_size(network, card)
    if net.is_quantized(network):
        return OpenedNetwork(network, "int8", bf16=False)
    if not can_be_calibrated(network, card):
        raise BackendError(
            f"{path.name} cannot be prepared for int8: only networks whose keypoints or boxes can"
            " be compared with those in fp32 are; `rtmpose export --precision int8` makes a file"
        )
    network, _ = prepare_int8(path, card, threads=options.threads)

    # Where the processor has bf16, all that is not in 8 bits is computed in it.
    if not net.cpu_has_bf16():
        return OpenedNetwork(network, "int8", bf16=False)
    medians, record = find_medians(path, card, threads=options.threads)
    if record.trusted:
        change_for_bf16(network, medians)
    return OpenedNetwork(network, "int8", record.trusted)


def _card_of_size(network: Model, card: ModelCard) -> ModelCard:
    """The card with the size of the file: one that the zoo does not know may have another."""
    _, _, height, width = net.dims_of(network.inputs[0].get_partial_shape())
    return replace(card, input_wh=(width, height)) if height and width else card
