"""Calibrate a network for bfloat16, once, and remember the result.

After SiLU some channels of RTMPose's feature maps sit almost constantly at the function's floor,
and the 1x1 convolution behind them has large weights whose terms cancel. In fp32 the canceling is
exact enough; in bf16 its rounding dominates and costs 4 AP. The cure is in
:mod:`rtmpose.backends.bf16_graph`: the median of every such channel is subtracted before the
convolution, and what that takes away is added behind it.

The medians are measured on the package's photographs. After that the keypoints (or boxes) that the
network finds there in bf16, as it is and with the medians, are compared with fp32. The better of
the two is kept, and only one that agrees is trusted by ``precision="auto"``.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtmpose.backend_table import Precision
from rtmpose.backends import openvino_network as net
from rtmpose.backends.agreement import Judge, judge_for
from rtmpose.backends.base import BackendOptions, Outputs, channels_last
from rtmpose.backends.bf16_graph import (
    Medians,
    keep_biases,
    measure_medians,
    medians_fit,
    subtract_medians,
)
from rtmpose.backends.cpu import bf16_is_slow
from rtmpose.backends.prepared_files import (
    Arrays,
    digest_of,
    find_prepared,
    keep_prepared,
    prepared_file,
)
from rtmpose.model_card import ModelCard
from rtmpose.ops.decoders import decoder_inside
from rtmpose.text_files import Json

if TYPE_CHECKING:
    from openvino import Model

log = logging.getLogger(__name__)

METHOD_VERSION = 3
"""Part of the file names of stored calibrations: another version is measured again."""


# ---- the record


@dataclass(frozen=True)
class Bf16Record:
    """The result of a calibration: the record kept with the medians.

    Attributes:
        model: File name.
        sha256: Of the model file.
        method: Version of this procedure.
        convolutions: Number of 1x1 convolutions changed; 0 if the network agrees better as it is.
        inputs: Number of crops or frames measured.
        agreement_raw: Agreement of bf16 without medians with fp32, 0..1; None where the CPU has no
            bf16.
        agreement: The same of what is used.
        trusted: Whether ``auto`` may use bf16.
    """

    model: str
    sha256: str
    method: int
    convolutions: int
    inputs: int
    agreement_raw: float | None
    agreement: float | None
    trusted: bool


# ---- deciding and calibrating


def bf16_medians(
    path: Path, network: Model, card: ModelCard, options: BackendOptions
) -> Medians | None:
    """What a network needs to be computed in bf16; None where it is not, or is taken as it is.

    ``auto`` means bf16 for a network whose calibration is trusted, on a CPU where bf16 is faster
    than fp32. What is asked for is calibrated, where it can be.

    Args:
        path: The model file.
        network: What was read from it.
        card: Its description.
        options: ``device``, ``precision`` and ``threads``.
    """
    # Without bf16 in hardware there is nothing to decide.
    if options.precision == "fp32" or options.device != "cpu" or not net.cpu_has_bf16():
        return None
    if options.precision == "auto" and bf16_is_slow():
        return None
    if not can_be_calibrated(network, card):
        return None

    # Measured at the first use only; later calls read the stored record.
    medians, record = find_medians(path, network, card, threads=options.threads)
    if options.precision == "bf16" or record.trusted:
        return medians
    log.warning(
        "%s: bf16 agrees with fp32 to %s only, so fp32 is used; --precision bf16 overrides this",
        path.name,
        record.agreement,
    )
    return None


def can_be_calibrated(network: Model, card: ModelCard) -> bool:
    """Whether the network takes normalized pixels and returns what its judge reads; not if
    quantized.
    """
    # Files of others may have other outputs, or take another layout, than the judge expects.
    shapes = [net.dims_of(o.get_partial_shape()) for o in network.outputs]
    names = [o.get_any_name() for o in network.outputs]
    decoded = decoder_inside(shapes, names) is not None
    if card.is_pose and [len(shape) for shape in shapes] not in ([3, 3], [4]):
        return False
    if channels_last(net.dims_of(network.inputs[0].get_partial_shape())):
        return False
    judged = judge_for(card) is not None
    return judged and not (decoded or net.takes_pixels(network) or net.is_quantized(network))


def change_for_bf16(network: Model, medians: Medians) -> None:
    """Make a network insensitive to the rounding of bf16, in place. Convolutions in 8 bits stay as
    they are.
    """
    subtract_medians(network, medians)
    keep_biases(network)


def find_medians(
    path: Path, network: Model, card: ModelCard, *, threads: int = 0
) -> tuple[Medians, Bf16Record]:
    """The medians of a network and the record: measured now, or as they were before.

    Args:
        path: The model file.
        network: What was read from it; it is not changed.
        card: Its description, of a kind that :func:`judge_for` knows.
        threads: For the measurement.
    """
    digest = digest_of(path)
    medians, record = load_calibration(digest)
    if record is None or not medians_fit(network, medians):
        log.info("calibrating %s for bf16, once (about ten seconds) ...", path.name)
        judge = judge_for(card)
        assert judge is not None, f"{card.id} cannot be calibrated"
        inputs = judge.inputs(card)  # (N, h, w, 3)
        medians = measure_medians(net.read_network(path), card.normalization, inputs)
        record = _compare(path, card, judge, digest, medians, inputs, threads)
        # The raw network agreed better: its own record says to change nothing.
        if not record.convolutions:
            medians = {}
        _save(digest, medians, record)
    return medians, record


def _compare(
    path: Path,
    card: ModelCard,
    judge: Judge,
    digest: str,
    medians: Medians,
    inputs: NDArray[np.uint8],
    threads: int,
) -> Bf16Record:
    """Compare bf16, as it is and with the medians, with fp32."""
    # Without the hardware the medians can be measured, but not judged.
    count = len(medians)
    if not net.cpu_has_bf16():
        return Bf16Record(
            path.name, digest, METHOD_VERSION, count, len(inputs), None, None, trusted=False
        )

    # Three runs over the same inputs: the reference, bf16 as it is, bf16 with medians.
    exact = _run(path, card, inputs, threads, "fp32", {})
    raw = judge.agreement(card, exact, _run(path, card, inputs, threads, "bf16", {}))
    centered = judge.agreement(card, exact, _run(path, card, inputs, threads, "bf16", medians))

    # Keep the better variant; trust it only if it is also good enough.
    best = max(raw, centered)
    changed = count if centered >= raw else 0
    trusted = best >= judge.trusted_from
    return Bf16Record(
        path.name, digest, METHOD_VERSION, changed, len(inputs), raw, best, trusted=trusted
    )


def _run(
    path: Path,
    card: ModelCard,
    inputs: NDArray[np.uint8],
    threads: int,
    precision: Precision,
    medians: Medians,
) -> list[Outputs]:
    """The outputs for each input, with a network of that precision and those medians."""
    from rtmpose.backends.openvino import OpenVinoBackend  # it imports this module

    # The same changes as in `change_for_bf16`, so that what is judged is what is used.
    network = net.read_network(path)
    subtract_medians(network, medians)
    if precision == "bf16":
        keep_biases(network)
    options = BackendOptions(device="cpu", threads=threads, precision=precision)
    backend = OpenVinoBackend(network, card, options)
    return [backend(image[None]) for image in inputs]  # one entry each, as the judge reads them


# ---- stored calibrations


ENDING = f"v{METHOD_VERSION}"
"""Of the names of stored calibrations."""


def load_calibration(digest: str) -> tuple[Medians, Bf16Record | None]:
    """The medians and the record of a model file with that sha256; the record is None where there
    is none.

    They come from the package, for its bundled models, or from the cache.
    """
    return find_prepared(digest, ENDING, _checked) or ({}, None)


def _checked(content: Json, arrays: Arrays) -> tuple[Medians, Bf16Record]:
    """What :func:`_save` wrote, from the content of the file."""
    record = Bf16Record(**content)
    # "m/" + name of the convolution.
    medians = {
        name[2:]: np.asarray(values, np.float32)
        for name, values in arrays.items()
        if name.startswith("m/")
    }
    if record.method != METHOD_VERSION:
        raise ValueError("it was made by another version")
    if len(medians) != record.convolutions or not isinstance(record.trusted, bool):
        raise ValueError("it is incomplete")
    for name, values in medians.items():
        stored = arrays[f"m/{name}"]
        if stored.ndim != 1 or stored.dtype != np.float32 or not np.isfinite(values).all():
            raise ValueError("its medians are no finite numbers")
    return medians, record


def _save(digest: str, medians: Medians, record: Bf16Record) -> None:
    arrays = {f"m/{name}": values for name, values in medians.items()}
    keep_prepared(prepared_file(digest, ENDING), asdict(record), arrays)
