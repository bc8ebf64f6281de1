"""What a network looks like from outside, and how it was opened: kept beside its compiled forms, so
that its file need not be read where all of them are there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from rtmpose.backend_table import Precision
from rtmpose.backends import input_size
from rtmpose.backends import openvino_network as net
from rtmpose.backends.base import TensorSpec, channels_last
from rtmpose.backends.compiled_files import CompiledFiles
from rtmpose.text_files import Json, parse_json, to_json

if TYPE_CHECKING:
    from openvino import Model

log = logging.getLogger(__name__)

FORM = "facts"
"""Stands for the batch and size of a compiled form."""


@dataclass(frozen=True)
class NetworkFacts:
    """A network from outside.

    Attributes:
        input: Name and shape, with the channels first whatever the file has.
        outputs: Likewise.
        metadata: The text properties in the file.
        takes_pixels: Normalization is inside: it takes BGR uint8 ``(N, H, W, 3)``.
        channels_last: It takes ``(N, H, W, 3)``.
        quantized: The file itself is in 8 bits.
        flexible: It takes images of other sizes than it declares.
    """

    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str]
    takes_pixels: bool
    channels_last: bool
    quantized: bool
    flexible: bool

    @property
    def declared_hw(self) -> tuple[int, int] | None:
        """The image size that the file declares; None where it takes any."""
        height, width = self.input.shape[2:]
        return (height, width) if height and width else None


def facts_of(network: Model) -> NetworkFacts:
    """What a network that was read looks like."""
    shape = net.dims_of(network.inputs[0].get_partial_shape())
    pixels_inside = net.takes_pixels(network)
    last = pixels_inside or channels_last(shape)
    if last:
        shape = tuple(shape[axis] for axis in (0, 3, 1, 2))  # (N, H, W, 3) to (N, 3, H, W)

    # Which image sizes it takes: any, the declared one only, or smaller ones cut out of it.
    height, width = shape[2:]
    flexible = not (height and width) or (
        not pixels_inside and input_size.has_grid(network, (height, width))
    )
    return NetworkFacts(
        TensorSpec(network.inputs[0].get_any_name(), shape),
        tuple(
            TensorSpec(o.get_any_name(), net.dims_of(o.get_partial_shape()))
            for o in network.outputs
        ),
        net.metadata_of(network),
        pixels_inside,
        last,
        net.is_quantized(network),
        flexible,
    )


# ---- keeping them


@dataclass(frozen=True)
class OpeningRecord:
    """How a network was opened.

    Attributes:
        facts: What it looks like.
        precision: What it is computed in.
        bf16: Whether what is not in 8 bits is computed in bf16.
    """

    facts: NetworkFacts
    precision: Precision
    bf16: bool


def keep_opening(files: CompiledFiles, record: OpeningRecord) -> None:
    """Keep a record; where that is not possible, nothing happens."""
    files.keep(FORM, to_json(asdict(record)).encode())


def find_opening(files: CompiledFiles) -> OpeningRecord | None:
    """The record that was kept; None where there is nothing of use."""
    content = files.find(FORM)
    if content is None:
        return None
    try:
        record = parse_json(bytes(content).decode(), "a record of a compiled network")
        facts = record["facts"]
        return OpeningRecord(
            NetworkFacts(
                _spec_from(facts["input"]),
                tuple(_spec_from(output) for output in facts["outputs"]),
                {str(key): str(text) for key, text in facts["metadata"].items()},
                bool(facts["takes_pixels"]),
                bool(facts["channels_last"]),
                bool(facts["quantized"]),
                bool(facts["flexible"]),
            ),
            cast(Precision, record["precision"]),
            bool(record["bf16"]),
        )
    # Its digest was right, so another version may have written it.
    except Exception as error:  # noqa: BLE001
        log.debug("a record of a compiled network is not used: %r", error)
        return None


def _spec_from(content: Json) -> TensorSpec:
    shape = tuple(None if size is None else int(size) for size in content["shape"])
    return TensorSpec(str(content["name"]), shape)
