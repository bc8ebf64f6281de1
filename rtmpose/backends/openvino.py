"""OpenVINO: Intel and AMD CPUs, Intel GPUs and NPUs. Normalization is folded into the network:
uint8 crops go in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import input_size
from rtmpose.backends.base import BackendOptions, TensorSpec
from rtmpose.backends.parallel import usable_cpus
from rtmpose.errors import BackendError, ModelError
from rtmpose.model_card import Normalization

log = logging.getLogger(__name__)

SIZES_KEPT = 8
"""Compiled sizes of one network kept at the same time."""

FEW_CORES = 4
"""Up to so many, batches are put together from small ones. They are as fast an image as large ones
(the weights stay in the cache from one call to the next), but do not keep more cores busy."""

_core: Any = None


def core() -> Any:
    """The process-wide OpenVINO core: making one costs a quarter of a second."""
    global _core
    if _core is None:
        import openvino

        _core = openvino.Core()
    return _core


def devices() -> list[str]:
    """Devices OpenVINO finds here, in our spelling: ``cpu``, ``gpu``, ``gpu:1``, ``npu``."""
    return [str(d).lower().replace(".", ":") for d in core().available_devices]


def cpu_has_bf16() -> bool:
    """Whether this CPU computes bfloat16 in hardware (AVX512-BF16 or AMX)."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def read_network(path: Path) -> Any:
    """Read an ``.onnx`` file into an ``openvino.Model``.

    Raises:
        ModelError: it cannot be read, or does not take one image batch.
    """
    try:
        network = core().read_model(path)
    except Exception as error:
        raise ModelError(
            f"{path} could not be opened as an ONNX model by OpenVINO: {_reason(error)}; it may be"
            " damaged"
        ) from error
    shapes = [i.get_partial_shape() for i in network.inputs]
    if len(shapes) != 1 or shapes[0].rank.is_dynamic or len(shapes[0]) != 4:
        raise ModelError(
            f"{path} does not take one image batch (N, 3, H, W): its inputs are"
            f" {[str(s) for s in shapes]}; it is not a model this package can run"
        )
    return network


class OpenVinoBackend:
    """A network compiled by OpenVINO. See :class:`rtmpose.backends.base.Backend`.

    Args:
        path: The ``.onnx`` file.
        normalization: Folded into the network.
        options: ``device`` ``cpu``, ``gpu[:N]`` or ``npu``; ``precision`` ``fp32`` or ``bf16``.
        network: An already read and prepared ``openvino.Model`` to use in place of the file; it is
            changed.

    Raises:
        BackendError: the device is not there or cannot compute in that precision.
        ModelError: the file is not a network that takes one image batch.
    """

    engine = "openvino"

    def __init__(
        self, path: Path, normalization: Normalization, options: BackendOptions, network: Any = None
    ) -> None:
        if options.device not in devices():
            raise BackendError(
                f"device {options.device!r} was asked for, but OpenVINO finds only"
                f" {', '.join(devices())} here; for CUDA use --backend onnxruntime"
            )
        if options.precision == "bf16" and options.device == "cpu" and not cpu_has_bf16():
            raise BackendError(
                "precision bf16 was asked for, but this CPU has neither AVX512-BF16 nor AMX; use"
                " --precision fp32"
            )
        network = network or read_network(path)
        quantized = any(node.get_type_name() == "FakeQuantize" for node in network.get_ops())
        shape = network.inputs[0].get_partial_shape()
        self.input = TensorSpec(network.inputs[0].get_any_name(), _dims(shape))
        self.outputs = tuple(
            TensorSpec(o.get_any_name(), _dims(o.get_partial_shape())) for o in network.outputs
        )
        self.metadata: Mapping[str, str] = _metadata(network)
        self.device = options.device
        self.precision = "bf16" if options.precision == "bf16" else "int8" if quantized else "fp32"
        # Never the engine's own choice of precision: on CPUs with bf16 it silently loses 4 AP.
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32"
        }
        if takes_pixels(network):
            n, h, w, c = self.input.shape
            self.input = TensorSpec(self.input.name, (n, c, h, w))
        self._beside = options.device == "cpu" and options.num_streams > 1
        settings |= (
            {"NUM_STREAMS": options.num_streams}
            if self._beside
            else {"PERFORMANCE_HINT": "LATENCY"}
        )
        if options.device == "cpu":
            settings["ENABLE_CPU_PINNING"] = (
                False  # pinned threads fight over cores with a busy neighbor
            )
            if options.threads:
                settings["INFERENCE_NUM_THREADS"] = options.threads
        height, width = self.input.shape[2:]
        declared = (height, width) if height and width else None
        if declared is None:
            self.flexible = True
        else:
            self.flexible = not takes_pixels(network) and input_size.has_grid(network, declared)

        def requests(batch: int | None, size_hw: tuple[int, int]) -> _Requests:
            fitted = _of_size(network, declared, size_hw) if self.flexible else network.clone()
            if batch is not None:
                _set_dims(fitted, {0: batch})
            try:
                compiled = core().compile_model(
                    fold_normalization(fitted, normalization),
                    options.device.upper().replace(":", "."),
                    settings,
                )
            except Exception as error:
                raise BackendError(
                    f"OpenVINO could not compile {path.name}: {_reason(error)}"
                ) from error
            return _Requests(compiled)

        # The engine is fastest on fixed sizes: one compiled network for each, made when it is met.
        # A change of the batch alone costs up to a tenth of a call, and the number of people
        # changes all the time.
        self._requests = lru_cache(maxsize=SIZES_KEPT)(requests)
        self._compiling = threading.Lock()
        self._any_batch = self.input.shape[0] is None
        cores = (options.threads or usable_cpus()) // options.num_streams
        few = options.device == "cpu" and cores <= FEW_CORES
        self._batches = tuple(n for n in (4, 2, 1) if n <= max(cores, 2)) if few else ()
        if declared is not None and not self.flexible:
            self._requests(1 if self._any_batch else None, declared)

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.generic], ...]:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        if not self._any_batch or not (self._batches or len(images) == 1):
            return self._call(images, None)
        parts = [self._call(part, len(part)) for part in _in_batches(images, self._batches or (1,))]
        if len(parts) == 1:
            return parts[0]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def _call(
        self, images: NDArray[np.uint8], batch: int | None
    ) -> tuple[NDArray[np.generic], ...]:
        with self._compiling:
            requests = self._requests(batch, (images.shape[1], images.shape[2]))
        pixels = {0: np.ascontiguousarray(images)}
        request = requests.take()
        try:
            if self._beside:  # each in a thread of the engine's own
                request.start_async(pixels, share_inputs=True)
                request.wait()
            else:
                request.infer(pixels, share_inputs=True)
            return tuple(
                np.array(request.get_output_tensor(i).data) for i in range(len(self.outputs))
            )
        except Exception as error:
            raise BackendError(
                f"OpenVINO failed on a batch of shape {images.shape} (the model declares"
                f" {self.input.shape}): {_reason(error)}"
            ) from error
        finally:
            requests.give_back(request)


class _Requests:
    """The requests of one compiled network: one for each call that is going on."""

    def __init__(self, compiled: Any) -> None:
        self._compiled, self._free = compiled, [compiled.create_infer_request()]

    def take(self) -> Any:
        try:
            return self._free.pop()
        except IndexError:
            return self._compiled.create_infer_request()

    def give_back(self, request: Any) -> None:
        self._free.append(request)


def _of_size(network: Any, declared_hw: tuple[int, int] | None, size_hw: tuple[int, int]) -> Any:
    """A copy of a flexible network for one size."""
    if declared_hw == size_hw:
        return network.clone()
    if declared_hw is not None:
        return input_size.shrink(network, declared_hw, size_hw)
    copy = network.clone()
    first = 1 if takes_pixels(copy) else 2
    _set_dims(copy, {first: size_hw[0], first + 1: size_hw[1]})
    return copy


def _set_dims(network: Any, dims: Mapping[int, int]) -> None:
    from openvino import PartialShape

    shape = network.inputs[0].get_partial_shape()
    network.reshape(PartialShape([dims.get(i, shape[i]) for i in range(4)]))


def _in_batches(images: NDArray[np.uint8], sizes: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
    """Views of the images, each of one of the sizes, the largest first."""
    start = 0
    for size in sizes:
        while len(images) - start >= size:
            yield images[start : start + size]
            start += size


def takes_pixels(network: Any) -> bool:
    """Whether normalization is inside the file already: it takes BGR uint8 ``(N, H, W, 3)``."""
    return str(network.inputs[0].get_element_type()) == "<Type: 'uint8_t'>"


def fold_normalization(network: Any, normalization: Normalization) -> Any:
    """The network with uint8 BGR NHWC input; mean, scale and channel order become its first layers."""
    import openvino

    if takes_pixels(network):
        return network
    from openvino.preprocess import ColorFormat, PrePostProcessor

    folding = PrePostProcessor(network)
    tensor = folding.input().tensor()
    tensor.set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    tensor.set_color_format(ColorFormat.BGR)
    folding.input().model().set_layout(openvino.Layout("NCHW"))
    steps = folding.input().preprocess().convert_element_type(openvino.Type.f32)
    if normalization.color == "rgb":
        steps = steps.convert_color(ColorFormat.RGB)
    steps.mean(list(normalization.mean)).scale(list(normalization.std))
    return folding.build()


def _metadata(network: Any) -> dict[str, str]:
    try:
        entry = network.get_rt_info(["framework"]).value
        return {str(k): str(v.astype(str)) for k, v in entry.items()}
    except (RuntimeError, TypeError, AttributeError):
        return {}


def _dims(shape: Any) -> tuple[int | None, ...]:
    if shape.rank.is_dynamic:
        return ()
    return tuple(None if d.is_dynamic else d.get_length() for d in shape)


def _reason(error: Exception) -> str:
    """The last telling line of an OpenVINO exception; the first ones are file names of its sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (telling or lines or ["no reason given"])[-1]
