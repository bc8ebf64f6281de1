"""What every inference engine looks like to the rest of the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtmpose.backend_table import Precision
from rtmpose.model_card import ModelCard
from rtmpose.ranges import COUNT_OR_ZERO, STREAMS, THREADS, check_fields, check_flags, check_text

# ---- what goes in and out


Outputs = tuple[NDArray[np.generic], ...]
"""What a network returns for a batch: one array ``(N, ...)`` per output."""


@dataclass(frozen=True)
class TensorSpec:
    """Name and shape of a network's input or output; None marks a dimension that may vary."""

    name: str
    shape: tuple[int | None, ...]


def channels_last(shape: tuple[int | None, ...]) -> bool:
    """Whether an input declared with that shape takes ``(N, H, W, 3)``."""
    return len(shape) == 4 and shape[3] == 3 and shape[1] != 3


@dataclass(frozen=True)
class BackendOptions:
    """How to run a network.

    Attributes:
        backend: ``auto`` or one of :func:`rtmpose.backend_table.names`.
        device: ``auto``, or a kind of device with or without a number: ``cpu``, ``cuda``,
            ``cuda:1``, ``tensorrt``, ``gpu``, ``npu``. A device that is not there is an error; only
            ``auto`` chooses.
        threads: Worker threads for CPU inference; 0 lets the engine take one per physical core.
        allow_spinning: Whether idle worker threads burn CPU while they wait. Faster only for a
            network that is alone; slower with two (27 in place of 15 ms for a detector and a pose
            network on two cores), several times slower next to other busy programs, hence off.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``auto``: reduced precision only where it is
            proved not to cost accuracy, or where the file was made for it.
        num_streams: Calls from several threads that run at the same time, each with its share of
            ``threads``: more images per second, but each one later. With 1 a call has all threads.
            It has no effect on GPUs and with backends that have no streams.
        num_images: Images that are all the work, where that is known; 0 for any number. For a few
            of them ``auto`` takes the engine with the first results earliest, rather than the
            fastest one.

    Raises:
        InputError: a number is out of its range, or a name is no text.
    """

    backend: str = "auto"
    device: str = "auto"
    threads: int = 0
    allow_spinning: bool = False
    precision: Precision = "auto"
    num_streams: int = 1
    num_images: int = 0

    def __post_init__(self) -> None:
        # What the names may be is known to the table of backends, which says so in its errors.
        for name in ("backend", "device", "precision"):
            check_text(name, getattr(self, name))
        check_fields(self, threads=THREADS, num_streams=STREAMS, num_images=COUNT_OR_ZERO)
        check_flags(self, "allow_spinning")


# ---- the contract


class Backend(Protocol):
    """A network opened with an engine. It may be called from several threads.

    Attributes:
        engine: Name of the backend that runs it.
        device: Where it runs: ``cpu``, ``cuda:0``, ...
        precision: ``fp32``, ``bf16``, ``fp16`` or ``int8``: what it really computes in.
        input: Shape ``(N, 3, H, W)``, also where the file itself takes ``(N, H, W, 3)``; a fixed N
            is obeyed by the caller.
        outputs: In the order they are returned.
        flexible: Whether images of other heights and widths (multiples of 32, no larger than the
            declared) are taken.
        metadata: The text properties embedded in the model file.
    """

    engine: str
    device: str
    precision: str
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    flexible: bool
    metadata: Mapping[str, str]

    def __call__(self, images: NDArray[np.uint8]) -> Outputs:
        """Run a batch of BGR uint8 images ``(N, H, W, 3)``; normalization and channel order are
        applied here.

        Arrays returned are the caller's to keep.
        """
        ...


class BackendClass(Protocol):
    """How every backend is constructed."""

    def __call__(self, model: Path, card: ModelCard, options: BackendOptions) -> Backend:
        """Open a model file.

        Args:
            model: The file. Some backends take a network in the engine's own form, too.
            card: Its description: size, normalization, coding.
            options: Device and precision; ``device`` is no longer ``auto``, ``backend`` is ignored.

        Raises:
            BackendError: the device is not there, or cannot run the network as asked.
            ModelError: the file is not a network that takes one image batch.
        """
        ...


class BackendModule(Protocol):
    """What the file of a backend offers besides its class."""

    def devices(self) -> Mapping[str, tuple[Precision, ...]]:
        """Devices of this machine, the fastest first, and the precisions that each computes in."""
        ...
