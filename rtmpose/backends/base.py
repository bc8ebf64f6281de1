"""One small Protocol for every inference engine, and the function that opens a model file with one
of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class TensorSpec:
    """Name and shape of a network's input or output; None marks a dimension that may vary."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class BackendOptions:
    """How to run a network.

    Attributes:
        backend: ``auto``, ``onnxruntime``, ``openvino``, ``ncnn`` or ``torch``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``tensorrt``, ``tensorrt:N``, or OpenVINO's
            ``gpu``, ``npu``. A device that is not there is an error; only ``auto`` chooses.
        threads: Worker threads for CPU inference; 0 lets the engine take one per physical core.
        num_streams: Calls from several threads that run at the same time, each with its share of
            ``threads``: more images per second, but each one later. With 1 a call has all threads.
            OpenVINO and ONNX Runtime on CPUs.
        allow_spinning: Whether idle worker threads burn CPU while they wait. Slightly faster on a
            machine of one's own, several times slower beside a busy neighbor, hence off.
        precision: ``fp32``, ``bf16`` (OpenVINO, torch), ``fp16`` (ncnn, TensorRT) or ``auto``:
            reduced precision only where it is proved not to cost accuracy, or where the file was
            made for it (ncnn).
    """

    backend: str = "auto"
    device: str = "auto"
    threads: int = 0
    allow_spinning: bool = False
    precision: Precision = "auto"
    num_streams: int = 1


class Backend(Protocol):
    """A network opened with an engine. It may be called from several threads.

    Attributes:
        engine: Name of the engine that runs it.
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

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.generic], ...]:
        """Run a batch of BGR uint8 images ``(N, H, W, 3)``; normalization and channel order are
        applied here.

        Arrays returned are the caller's to keep.
        """
        ...
