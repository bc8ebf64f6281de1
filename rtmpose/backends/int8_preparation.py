"""Prepare a network for 8 bits, once, and remember the result.

The ranges of its convolutions' inputs are measured on images, and what rounding takes away from
each output channel on average is added to its bias. After that the keypoints (or boxes) that it
finds in 8 bits are compared with those in fp32, and only a network that agrees is trusted by
``precision="auto"``. :mod:`rtmpose.backends.int8_ranges` measures,
:mod:`rtmpose.backends.int8_graph` has the changes to the network.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import openvino_network as net
from rtmpose.backends.agreement import judge_for
from rtmpose.backends.base import BackendOptions, Outputs
from rtmpose.backends.int8_graph import quantize, ranges_fit, rounding_errors
from rtmpose.backends.int8_ranges import LayerRanges, Ranges, ranges_from, sample_inputs
from rtmpose.backends.prepared_files import (
    Arrays,
    digest_of,
    find_prepared,
    keep_prepared,
    prepared_file,
)
from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard
from rtmpose.text_files import Json

if TYPE_CHECKING:
    from openvino import Model

log = logging.getLogger(__name__)

METHOD_VERSION = 3
"""Part of the file names of stored preparations: another version is made again."""
ENDING = f"int8-v{METHOD_VERSION}"
"""Of the names of stored preparations."""
TRUSTED_FROM = {"keypoints": 0.97, "boxes": 0.91}
"""Least agreement to be trusted, by kind of output. The bundled models have 0.97 to 0.99 and 0.94,
and lose at most half an AP."""


@dataclass(frozen=True)
class Int8Record:
    """The result of a preparation: the record kept with the ranges.

    Attributes:
        model: File name.
        sha256: Of the model file.
        method: Version of this procedure.
        convolutions: Number of convolutions in 8 bits.
        inputs: Number of crops or frames measured.
        agreement: Agreement with fp32, 0..1.
        trusted: Whether ``auto`` may use it.
    """

    model: str
    sha256: str
    method: int
    convolutions: int
    inputs: int
    agreement: float
    trusted: bool


# ---- using and making a preparation


def is_trusted_int8(path: Path) -> bool:
    """Whether the network has been prepared, and agrees. Loads no engine."""
    try:
        found = find_prepared(digest_of(path), ENDING, _checked)
    except ModelError:  # opening the file says what is wrong with it
        return False
    return found is not None and found[1].trusted


def find_ranges(
    path: Path, network: Model, card: ModelCard, *, threads: int = 0
) -> tuple[Ranges, Int8Record]:
    """The ranges of a network and the record: measured now, or as they were before.

    Args:
        path: The model file.
        network: What was read from it; it is not changed.
        card: Its description, of a kind that :func:`judge_for` knows.
        threads: For the measurement.
    """
    found = stored_ranges(path, network)
    if found is not None:
        return found

    log.warning("preparing %s for int8, once (twenty to forty seconds) ...", path.name)
    judge = judge_for(card)
    assert judge is not None, f"{card.id} cannot be prepared for int8"
    ranges = measure_ranges(path, card, judge.varied(card))
    record = judge_ranges(path, card, ranges, judge.inputs(card), threads=threads)
    keep_ranges(prepared_file(record.sha256, ENDING), ranges, record)
    return ranges, record


def stored_ranges(path: Path, network: Model) -> tuple[Ranges, Int8Record] | None:
    """The ranges of a network that has been prepared, and the record; nothing is measured."""
    found = find_prepared(digest_of(path), ENDING, _checked)
    if found is None or not ranges_fit(network, found[0]):
        return None
    return found


def measure_ranges(
    path: Path, card: ModelCard, images: NDArray[np.uint8]
) -> dict[str, LayerRanges]:
    """The ranges of a network's convolutions, with corrected biases.

    Args:
        path: The model file.
        card: Its description.
        images: Inputs ``(N, h, w, 3)`` BGR.
    """
    pixels = card.normalization
    samples = sample_inputs(net.read_network(path), pixels, images)
    ranges = ranges_from(net.read_network(path), samples)

    errors = rounding_errors(net.read_network(path), pixels, images, ranges)
    return {name: replace(layer, correction=errors[name]) for name, layer in ranges.items()}


def judge_ranges(
    path: Path, card: ModelCard, ranges: Ranges, images: NDArray[np.uint8], *, threads: int = 0
) -> Int8Record:
    """Compare the network in 8 bits with itself in fp32 on images ``(N, h, w, 3)``."""
    judge = judge_for(card)
    assert judge is not None, f"{card.id} cannot be judged"
    exact = _run(path, card, {}, images, threads)
    agreement = judge.agreement(card, exact, _run(path, card, ranges, images, threads))
    return Int8Record(
        path.name,
        digest_of(path),
        METHOD_VERSION,
        len(ranges),
        len(images),
        agreement,
        trusted=bool(ranges) and agreement >= TRUSTED_FROM[card.output],
    )


def _run(
    path: Path, card: ModelCard, ranges: Ranges, images: NDArray[np.uint8], threads: int
) -> Sequence[Outputs]:
    """The outputs for each image, in 8 bits where there are ranges."""
    from rtmpose.backends.openvino import OpenVinoBackend  # it imports this module

    network = net.read_network(path)
    quantize(network, ranges)
    options = BackendOptions(device="cpu", threads=threads, precision="fp32")
    backend = OpenVinoBackend(network, card, options)
    return [backend(image[None]) for image in images]


# ---- stored preparations


_FIELDS = tuple(field.name for field in fields(LayerRanges))


def keep_ranges(path: Path, ranges: Ranges, record: Int8Record) -> None:
    """Keep ranges and their record in a file of :func:`prepared_file`."""
    arrays = {
        f"{field}/{name}": np.asarray(getattr(layer, field), np.float32)
        for name, layer in ranges.items()
        for field in _FIELDS
    }
    keep_prepared(path, asdict(record), arrays)


def _checked(content: Json, arrays: Arrays) -> tuple[dict[str, LayerRanges], Int8Record]:
    """What :func:`keep_ranges` wrote, from the content of the file."""
    record = Int8Record(**content)
    if record.method != METHOD_VERSION or not isinstance(record.trusted, bool):
        raise ValueError("it was made by another version")
    for values in arrays.values():
        if values.dtype != np.float32 or values.ndim > 1 or not np.isfinite(values).all():
            raise ValueError("its ranges are no finite numbers")

    # "center/" + name of the convolution, and so on.
    names = [name.partition("/")[2] for name in arrays if name.startswith("center/")]
    ranges = {}
    for name in names:
        of = {field: np.asarray(arrays[f"{field}/{name}"], np.float32) for field in _FIELDS}
        low, high = float(of["low"]), float(of["high"])
        layer = LayerRanges(of["center"], of["scale"], low, high, of["correction"])
        if not (layer.scale > 0).all() or layer.low >= layer.high:
            raise ValueError("its ranges are empty")
        ranges[name] = layer
    if len(ranges) != record.convolutions:
        raise ValueError("it is incomplete")
    return ranges, record
