"""ONNX Runtime: CPU, CUDA and TensorRT execution providers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.base import BackendOptions, TensorSpec
from rtmpose.backends.parallel import usable_cpus
from rtmpose.errors import BackendError, ModelError
from rtmpose.model_card import Normalization

log = logging.getLogger(__name__)

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


def providers() -> list[str]:
    """Names of the execution providers this installation of ONNX Runtime was built with."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def devices() -> list[str]:
    """Devices that can be asked for, the fastest first. Built with is not the same as works:
    opening a model tells.
    """
    have = providers()
    return [d for d in ("cuda", "tensorrt", "cpu") if PROVIDERS[d] in have]


class OnnxRuntimeBackend:
    """A network run by ONNX Runtime. See :class:`rtmpose.backends.base.Backend`.

    Args:
        path: The ``.onnx`` file.
        normalization: Applied to the uint8 images.
        options: ``device`` must be ``cpu``, ``cuda[:N]`` or ``tensorrt[:N]``.

    Raises:
        BackendError: the device is not there, or refuses the model.
        ModelError: the file is not a network that takes one image batch.
    """

    engine = "onnxruntime"

    def __init__(self, path: Path, normalization: Normalization, options: BackendOptions) -> None:
        import onnxruntime as ort

        ort.set_default_logger_severity(3)
        kind, _, number = options.device.partition(":")
        wanted = _provider_list(kind, number, options.precision)
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = options.threads
        if kind == "cpu" and options.num_streams > 1:  # every call brings a thread of its own
            settings.intra_op_num_threads = max(
                1, (options.threads or usable_cpus()) // options.num_streams
            )
        settings.inter_op_num_threads = 1
        # A allow_spinning pool beside a busy neighbor costs 2 to 3 times; see docs/conventions.md.
        settings.add_session_config_entry(
            "session.intra_op.allow_spinning", "1" if options.allow_spinning else "0"
        )
        try:
            self._session = ort.InferenceSession(str(path), settings, providers=wanted)
        except Exception as error:
            raise ModelError(
                f"{path} could not be opened as an ONNX model:"
                f" {str(error).strip().splitlines()[0]}; it may be damaged or made for a newer ONNX"
                " Runtime"
            ) from error
        active = self._session.get_providers()
        if PROVIDERS[kind] not in active:
            raise BackendError(
                f"device {options.device!r} was asked for, but ONNX Runtime runs {path.name} on"
                f" {active[0]}: its CUDA, cuDNN or TensorRT libraries did not load; `rtmpose"
                " doctor` tells more, or use --device cpu"
            )
        self.device = options.device
        self.precision = (
            "fp16" if options.precision == "fp16" else "int8" if _is_quantized(path) else "fp32"
        )
        inputs = self._session.get_inputs()
        self._raw = (
            len(inputs) == 1 and inputs[0].type == "tensor(uint8)" and inputs[0].shape[-1] == 3
        )
        if (
            len(inputs) != 1
            or len(inputs[0].shape) != 4
            or not ("float" in inputs[0].type or self._raw)
        ):
            raise ModelError(
                f"{path} does not take one float image batch (N, 3, H, W): its inputs are"
                f" {[(i.name, i.type, i.shape) for i in inputs]}; it is not a model this package"
                " can run"
            )
        self.input = _spec(inputs[0])
        if self._raw:  # normalization is inside the file
            n, h, w, c = self.input.shape
            self.input = TensorSpec(self.input.name, (n, c, h, w))
        self.flexible = None in self.input.shape[2:]
        self.outputs = tuple(_spec(o) for o in self._session.get_outputs())
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._half = inputs[0].type == "tensor(float16)"
        self._tables = normalization_tables(normalization)
        self._channels = (2, 1, 0) if normalization.color == "rgb" else (0, 1, 2)
        self._buffers = threading.local()

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.generic], ...]:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        feed: NDArray[Any] = np.ascontiguousarray(images) if self._raw else self._normalize(images)
        try:
            outputs = self._session.run(
                None, {self.input.name: feed.astype(np.float16) if self._half else feed}
            )
        except Exception as error:
            raise BackendError(
                f"ONNX Runtime failed on a batch of shape {feed.shape} (the model declares"
                f" {self.input.shape}): {str(error).strip().splitlines()[0]}"
            ) from error
        return tuple(outputs)

    def _normalize(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 BGR (N, H, W, 3) to normalized float32 (N, 3, H, W) in the network's channel order.

        One table look-up per channel: exact, and a fifth of the time of the same in numpy.
        """
        n, h, w, _ = images.shape
        size = n * 3 * h * w
        buffer = getattr(self._buffers, "pixels", None)
        if buffer is None or buffer.size < size:
            buffer = self._buffers.pixels = np.empty(size, np.float32)
        batch = buffer[:size].reshape(n, 3, h, w)
        for image, planes in zip(images, batch, strict=True):
            channels = cv2.split(image)
            for plane, source, table in zip(planes, self._channels, self._tables, strict=True):
                cv2.LUT(channels[source], table, dst=plane)
        return batch


def _is_quantized(path: Path) -> bool:
    return b"QuantizeLinear" in path.read_bytes()


def normalization_tables(normalization: Normalization) -> list[NDArray[np.float32]]:
    """Three tables of 256 float32: the network input for each pixel value, in the network's channel
    order.
    """
    values = np.arange(256, dtype=np.float64)
    return [
        ((values - mean) / std).astype(np.float32)
        for mean, std in zip(normalization.mean, normalization.std, strict=True)
    ]


def _provider_list(kind: str, number: str, precision: str) -> list[Any]:
    """What ONNX Runtime is to be asked for; the CPU stays behind a GPU for the few operations it
    lacks.
    """
    if kind not in PROVIDERS:
        raise BackendError(
            f"ONNX Runtime knows no device {kind!r}; use cpu, cuda, cuda:1, tensorrt or tensorrt:1"
        )
    have = providers()
    if PROVIDERS[kind] not in have:
        raise BackendError(
            f"device {kind!r} was asked for, but this ONNX Runtime offers only {', '.join(have)}."
            " For NVIDIA GPUs: pip uninstall -y onnxruntime && pip install 'rtmpose[gpu]' (the two"
            " packages must not be side by side)"
        )
    if kind == "cpu":
        return [PROVIDERS["cpu"]]
    if number and not number.isdigit():
        raise BackendError(f"device number {number!r} is not a number; use {kind}:0")
    settings = {"device_id": number or "0"}
    if kind == "tensorrt":
        # Engines take minutes to build; ONNX Runtime names them by network, GPU and TensorRT
        # version.
        from rtmpose.zoo.cache import cache_folder

        engines = cache_folder() / "tensorrt"
        engines.mkdir(parents=True, exist_ok=True)
        settings |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(engines)}
        if precision == "fp16":
            settings["trt_fp16_enable"] = "1"
        return [
            (PROVIDERS[kind], settings),
            (PROVIDERS["cuda"], {"device_id": number or "0"}),
            PROVIDERS["cpu"],
        ]
    return [(PROVIDERS[kind], settings), PROVIDERS["cpu"]]


def _spec(value: Any) -> TensorSpec:
    return TensorSpec(value.name, tuple(d if isinstance(d, int) else None for d in value.shape))
