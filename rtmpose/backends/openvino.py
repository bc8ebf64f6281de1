"""OpenVINO: Intel and AMD CPUs, Intel GPUs and NPUs. Normalization is folded into the network:
uint8 crops go in.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtmpose.backend_table import Precision
from rtmpose.backends import input_size
from rtmpose.backends import openvino_network as net
from rtmpose.backends.base import BackendOptions, Outputs
from rtmpose.backends.cpu import this_cpu
from rtmpose.backends.forks import keep_in_forks
from rtmpose.backends.heap import let_go, trim_heap
from rtmpose.backends.openvino_facts import facts_of
from rtmpose.backends.openvino_precision import (
    OpenedNetwork,
    open_network,
    trusted_precisions,
)
from rtmpose.errors import BackendError
from rtmpose.model_card import ModelCard, Normalization
from rtmpose.usable_cores import usable_cpus

if TYPE_CHECKING:
    from openvino import CompiledModel, InferRequest, Model

__all__ = ["OpenVinoBackend", "devices", "trusted_precisions"]

log = logging.getLogger(__name__)

SIZES_KEPT = 8
"""Compiled sizes of one network kept at the same time."""

FEW_CORES = 4
"""Up to this number of cores, large batches are split into small ones. These are as fast per image
as large ones (the weights stay in the cache from one call to the next), but do not keep more cores
busy."""

SMALLEST_LIMIT = 2
"""Images in the largest part where each call has one core. Two cost less than one, more gain
nothing, but with AMX."""
AMX_LIMIT = 4
"""The same with AMX, in bf16 and int8: there four images take 0.8 of the time of two calls with
two."""

FIRST_CALLS = 16
"""After each of them the weights of a network out of a file are taken out of memory."""

Settings = Mapping[str, str | int | bool]


# ---- devices


def devices() -> dict[str, tuple[Precision, ...]]:
    """Devices here (``cpu``, ``gpu``, ``gpu:1``, ``npu``) and the precisions of each."""
    # The engine writes GPU.0 where this package writes gpu:0.
    here: dict[str, tuple[Precision, ...]] = {}
    for name in net.core().available_devices:
        device = str(name).lower().replace(".", ":")
        here[device] = ("fp32", "bf16")
        if device == "cpu":
            here[device] = ("fp32", "bf16", "int8") if net.cpu_has_bf16() else ("fp32", "int8")
    return here


# ---- the backend


class OpenVinoBackend:
    """A network compiled by OpenVINO. See :class:`rtmpose.backends.base.Backend`.

    Args:
        model: The ``.onnx`` or ``.xml`` file; or an ``openvino.Model``, which is run as it is,
            without calibration for bf16.
        card: Its description. The normalization is folded into the network.
        options: ``device`` ``cpu``, ``gpu[:N]`` or ``npu``; ``precision`` ``fp32``, ``bf16`` or
            ``auto`` (see :func:`rtmpose.backends.openvino_precision.network_to_compile`), or
            ``int8``.

    Raises:
        BackendError: the device is not there or cannot compute in that precision.
        ModelError: the file is not a network that takes one image batch.
    """

    engine = "openvino"

    def __init__(self, model: Path | Model, card: ModelCard, options: BackendOptions) -> None:
        _check_device(options)
        self.device = options.device

        # Reduced precision is settled first, because calibration changes the network.
        if isinstance(model, Path):
            name = model.name
            self._opened = open_network(model, card, options)
        else:
            name = card.id
            bf16 = options.precision == "bf16"
            self._opened = OpenedNetwork(
                model, facts_of(model), "bf16" if bf16 else "fp32", bf16=bf16
            )
        facts = self._opened.facts
        bf16 = self._opened.bf16
        # A file may be in 8 bits itself.
        quantized = not bf16 and facts.quantized
        self.precision: str = "int8" if quantized else self._opened.precision

        # What the network looks like from outside.
        self.input = facts.input
        self.outputs = facts.outputs
        self.metadata: Mapping[str, str] = facts.metadata
        self.flexible = facts.flexible
        declared = facts.declared_hw

        # The engine is fastest on fixed sizes: one compiled network for each, made when it is met.
        # A change of the batch alone costs up to a tenth of a call, and the number of people
        # changes all the time.
        self._parallel = options.device == "cpu" and options.num_streams > 1
        compiler = _Compiler(
            self._opened,
            name,
            card.normalization,
            options.device.upper().replace(":", "."),
            _settings(options, bf16=bf16, parallel=self._parallel),
        )
        self._compile = compiler.compile
        self._start()

        # With few cores, batches are run in parts of these sizes.
        self._any_batch = self.input.shape[0] is None
        cores = (options.threads or usable_cpus()) // options.num_streams
        split = options.device == "cpu" and cores <= FEW_CORES
        amx = this_cpu().kind == "amx" and self.precision != "fp32"
        limit = max(cores, AMX_LIMIT if amx else SMALLEST_LIMIT)
        self._batch_sizes = tuple(n for n in (4, 2, 1) if n <= limit) if split else ()

        self._had_several = False

        # With one size only, compile now: errors show up here, and the first call is fast.
        if declared is not None and not self.flexible:
            self._requests(1 if self._any_batch else None, declared)

    def __call__(self, images: NDArray[np.uint8]) -> Outputs:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        # One image has a separately compiled network; elsewhere the batch stays as it is.
        if not self._any_batch or not (self._batch_sizes or len(images) == 1):
            return self._call(images, None)

        # Otherwise parts of the compiled sizes, whose results are joined again. The first call of
        # several is run one by one: for a single photo, compiling would take longer than it gains.
        sizes = (self._batch_sizes if self._had_several else ()) or (1,)
        self._had_several = self._had_several or len(images) > 1
        parts = [self._call(part, len(part)) for part in _in_batches(images, sizes)]
        if len(parts) == 1:
            return parts[0]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def release(self) -> None:
        """Give back the memory of the compiled networks; the next call compiles again."""
        if os.getpid() != self._process:
            self._start()
        with self._compiling:
            self._requests.cache_clear()

    def _start(self) -> None:
        """Begin with nothing compiled. A forked process does so too: the engine's threads are not
        in it, nor are those that may hold the lock.
        """
        self._requests = lru_cache(maxsize=SIZES_KEPT)(self._compile)
        self._compiling = threading.Lock()
        self._process = os.getpid()

    def _call(self, images: NDArray[np.uint8], batch: int | None) -> Outputs:
        """One call of the network compiled for that batch; None for the one of any batch."""
        if os.getpid() != self._process:
            self._start()

        # Two threads must not compile the same size twice.
        with self._compiling:
            requests = self._requests(batch, (images.shape[1], images.shape[2]))
        pixels = {0: np.ascontiguousarray(images)}

        # One request per call; others may run at the same time.
        request = requests.take()
        try:
            if self._parallel:  # each call in a thread of the engine
                request.start_async(pixels, share_inputs=True)
                request.wait()
            else:
                request.infer(pixels, share_inputs=True)
            # Copied, because the request's memory is used again by the next call.
            return tuple(
                np.array(request.get_output_tensor(i).data) for i in range(len(self.outputs))
            )
        except Exception as error:
            raise BackendError(
                f"OpenVINO failed on a batch of shape {images.shape} (the model declares"
                f" {self.input.shape}): {net.reason(error)}"
            ) from error
        finally:
            requests.give_back(request)


# ---- compiling


class _RequestPool:
    """The inference requests of one compiled network: one for each call that is running.

    Args:
        compiled: The network.
        weights: The memory that a network out of a file has its weights in, of which the engine
            makes no copy: it must not go before the network, nor before a call that is running.
            After the first calls it is hardly read.
    """

    def __init__(self, compiled: CompiledModel, weights: bytearray | mmap | None) -> None:
        self._compiled = compiled
        self._weights = weights
        self._first_calls = FIRST_CALLS if weights else 0
        self._free: list[InferRequest] = [compiled.create_infer_request()]
        keep_in_forks(self)

    def take(self) -> InferRequest:
        try:
            # Several threads may come here: pop is atomic, and no lock is needed.
            return self._free.pop()
        except IndexError:
            return self._compiled.create_infer_request()

    def give_back(self, request: InferRequest) -> None:
        self._free.append(request)
        # Each stream reads the weights in its first call.
        if self._first_calls > 0 and self._weights is not None:
            self._first_calls -= 1
            let_go(self._weights)


@dataclass(frozen=True)
class _Compiler:
    """Compiles a network for one batch size and one image size.

    It is apart from the backend so that the cache of compiled networks does not keep the backend
    alive.
    """

    opened: OpenedNetwork
    name: str
    normalization: Normalization
    device: str
    settings: Settings

    def compile(self, batch: int | None, size_hw: tuple[int, int]) -> _RequestPool:
        form = f"{batch} {size_hw} {sorted(self.settings.items())}"
        content = self.opened.files.find(form)
        compiled = None if content is None else self._imported(np.frombuffer(content, np.uint8))
        if compiled is None:
            content = None
            compiled = self._compiled(batch, size_hw)
            self._keep(form, compiled)
        pool = _RequestPool(compiled, content)
        trim_heap()
        return pool

    def _compiled(self, batch: int | None, size_hw: tuple[int, int]) -> CompiledModel:
        # Compiling changes the network, so a copy is always made.
        network = self.opened.network()
        flexible = self.opened.facts.flexible
        sized = self._of_size(network, size_hw) if flexible else network.clone()
        if batch is not None:
            net.set_dims(sized, {0: batch})
        try:
            folded = net.fold_normalization(sized, self.normalization)
            return net.core().compile_model(folded, self.device, dict(self.settings))
        except Exception as error:
            raise BackendError(
                f"OpenVINO could not compile {self.name}: {net.reason(error)}"
            ) from error

    def _of_size(self, network: Model, size_hw: tuple[int, int]) -> Model:
        """A copy of a flexible network for one size."""
        # The declared size needs no change, and a grid is cut; anything else is set.
        facts = self.opened.facts
        if facts.declared_hw == size_hw:
            return network.clone()
        if facts.declared_hw is not None:
            return input_size.shrink(network, facts.declared_hw, size_hw)
        copy = network.clone()
        first = 1 if facts.channels_last else 2  # height and width start at axis 1 or 2
        net.set_dims(copy, {first: size_hw[0], first + 1: size_hw[1]})
        return copy

    # Compiled forms in the cache folder.

    def _imported(self, content: NDArray[np.uint8]) -> CompiledModel | None:
        from openvino import Tensor

        shared = Tensor(content, shared_memory=True)
        try:
            return net.core().import_model(shared, self.device, dict(self.settings))
        # Of another build of the engine, for example: it is compiled and kept anew.
        except Exception as error:  # noqa: BLE001
            log.debug("a compiled form of %s is not used: %s", self.name, net.reason(error))
            return None

    def _keep(self, form: str, compiled: CompiledModel) -> None:
        if not self.opened.files.used:
            return
        try:
            content = compiled.export_model().getvalue()
        # Some networks cannot be exported; then nothing is kept.
        except Exception as error:  # noqa: BLE001
            log.debug("%s is compiled at every start: %s", self.name, net.reason(error))
            return
        self.opened.files.keep(form, content)


# ---- checks and settings


def _check_device(options: BackendOptions) -> None:
    # The CPU is always there: listing the others loads their libraries.
    here = {"cpu": ()} if options.device == "cpu" else devices()
    # With two GPUs the engine lists gpu:0 and gpu:1, and takes gpu for the first.
    if options.device not in here and f"{options.device}:0" not in here:
        raise BackendError(
            f"device {options.device!r} was asked for, but OpenVINO finds only"
            f" {', '.join(here)} here; for CUDA use --backend onnxruntime"
        )

    # Emulated bf16 would be slower than fp32.
    if options.precision == "bf16" and options.device == "cpu" and not net.cpu_has_bf16():
        raise BackendError(
            "precision bf16 was asked for, but this CPU has neither AVX512-BF16 nor AMX; use"
            " --precision fp32"
        )


def _settings(options: BackendOptions, *, bf16: bool, parallel: bool) -> Settings:
    """Properties of the engine to compile with."""
    # Never the engine's own choice of precision: on CPUs with bf16 it silently loses 4 AP.
    settings: dict[str, str | int | bool] = {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32"}
    # With several calls at once, threads are divided among streams.
    if parallel:
        settings["NUM_STREAMS"] = options.num_streams
    else:
        settings["PERFORMANCE_HINT"] = "LATENCY"
    if options.device == "cpu":
        # Pinned threads fight over cores with other busy programs.
        settings["ENABLE_CPU_PINNING"] = False
        if options.threads:
            settings["INFERENCE_NUM_THREADS"] = options.threads
    return settings


def _in_batches(images: NDArray[np.uint8], sizes: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
    """Views of the images, each of one of the sizes, the largest first."""
    start = 0
    for size in sizes:
        while len(images) - start >= size:
            yield images[start : start + size]
            start += size
