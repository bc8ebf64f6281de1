"""ONNX Runtime: CPU, CUDA and TensorRT execution providers."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from rtmpose import backend_table as table
from rtmpose.backend_table import Precision
from rtmpose.backends.base import BackendOptions, Outputs, TensorSpec, channels_last
from rtmpose.backends.cuda_libraries import OLDER_DRIVERS, load_cuda_libraries
from rtmpose.backends.forks import keep_in_forks
from rtmpose.errors import BackendError, ModelError
from rtmpose.model_card import ModelCard, Normalization
from rtmpose.paths import cache_folder
from rtmpose.usable_cores import usable_cpus

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg, SessionOptions

# ---- devices


PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}

LARGEST_CALL = 4
"""Images of one call on the CPU: larger calls are no faster per image, and the engine keeps the
memory of the largest one."""

Provider = str | tuple[str, dict[str, str]]
"""Name of an execution provider, or name and settings."""


def providers() -> list[str]:
    """Names of the execution providers this installation of ONNX Runtime was built with."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def devices() -> dict[str, tuple[Precision, ...]]:
    """Devices here, the fastest first, and the precisions of each.

    The GPU build lists its providers on any machine; without a driver they would fail when a model
    is opened. With one they may still lack a library, which only opening a model shows.
    """
    precisions = table.row("onnxruntime").devices
    if not _nvidia_gpu_present():
        return {"cpu": precisions["cpu"]}  # every build has it: the engine need not be imported

    # Fastest first, because "auto" takes the first that works.
    kinds = ("cuda", "tensorrt", "cpu")
    built = providers()
    return {kind: precisions[kind] for kind in kinds if PROVIDERS[kind] in built}


def facts() -> dict[str, str]:
    """What ``rtmpose doctor`` shows: devices need their provider, and its libraries."""
    return {"providers": ", ".join(providers())}


# ---- the backend


class OnnxRuntimeBackend:
    """A network run by ONNX Runtime. See :class:`rtmpose.backends.base.Backend`.

    Args:
        model: The ``.onnx`` file.
        card: Its description. The normalization is applied to the uint8 images.
        options: ``device`` must be ``cpu``, ``cuda[:N]`` or ``tensorrt[:N]``.

    Raises:
        BackendError: the device is not there, or refuses the model.
        ModelError: the file is not a network that takes one image batch.
    """

    engine = "onnxruntime"

    def __init__(self, model: Path, card: ModelCard, options: BackendOptions) -> None:
        import onnxruntime as ort

        # Open the file on the device that was asked for.
        ort.set_default_logger_severity(3)  # errors only
        kind, number = table.split_device(options.device)
        self._model = model
        self._settings = _session_options(options)
        self._providers = _provider_list(kind, number, options.precision)
        if kind != "cpu":
            load_cuda_libraries(ort)
        session = self._open()
        self._session: InferenceSession | None = session

        # ONNX Runtime falls back to the CPU without an error.
        active = session.get_providers()
        if PROVIDERS[kind] not in active:
            raise BackendError(
                f"device {options.device!r} was asked for, but ONNX Runtime runs {model.name} on"
                f" {active[0]}: its CUDA, cuDNN or TensorRT libraries did not load, or the driver"
                f" is older than they are (CUDA 13 needs 580; for older ones: {OLDER_DRIVERS});"
                " `rtmpose doctor` tells more, or use --device cpu"
            )

        # int8 is a property of the file; fp16 one of the run.
        self.device = options.device
        stored = "int8" if _is_quantized(model) else "fp32"
        self.precision = "fp16" if options.precision == "fp16" else stored

        # What the file takes: normalized floats, or pixels where normalization is inside it.
        inputs = session.get_inputs()
        self._takes_pixels = len(inputs) == 1 and _takes_pixels(inputs[0])
        floats = len(inputs) == 1 and "float" in inputs[0].type
        if not (self._takes_pixels or floats) or len(inputs[0].shape) != 4:
            raise ModelError(
                f"{model} does not take one float image batch (N, 3, H, W): its inputs are"
                f" {[(i.name, i.type, i.shape) for i in inputs]}; it is not a model this package"
                " can run"
            )
        self.input = _spec(inputs[0])
        self._channels_last = self._takes_pixels or channels_last(self.input.shape)
        if self._channels_last:
            # Other code sees (N, 3, H, W) for either kind.
            n, h, w, c = self.input.shape
            self.input = TensorSpec(self.input.name, (n, c, h, w))
        self.flexible = None in self.input.shape[2:]
        self.outputs = tuple(_spec(o) for o in session.get_outputs())
        self.metadata: Mapping[str, str] = dict(session.get_modelmeta().custom_metadata_map)

        # How pixels become its input.
        self._half = inputs[0].type == "tensor(float16)"
        self._tables = normalization_tables(card.normalization)
        self._channels = (2, 1, 0) if card.normalization.color == "rgb" else (0, 1, 2)
        self._buffers = threading.local()  # one per thread

    def __call__(self, images: NDArray[np.uint8]) -> Outputs:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        if self.device != "cpu" or self.input.shape[0] is not None or len(images) <= LARGEST_CALL:
            return self._call(images)
        starts = range(0, len(images), LARGEST_CALL)
        parts = [self._call(images[start : start + LARGEST_CALL]) for start in starts]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def release(self) -> None:
        """Give back the memory of the session; the next call opens the file again."""
        self._session = None

    def _open(self) -> InferenceSession:
        import onnxruntime as ort

        try:
            session = ort.InferenceSession(
                str(self._model), self._settings, providers=self._providers
            )
        # Its exception types are in a private module.
        except Exception as error:
            raise ModelError(
                f"{self._model} could not be opened as an ONNX model: {_first_line(error)}; it may"
                " be damaged or made for a newer ONNX Runtime"
            ) from error
        keep_in_forks(session)
        return session

    def _opened(self) -> InferenceSession:
        """The session; opened again after :meth:`release`."""
        session = self._session
        if session is None:  # two threads that come at once open it twice, and one is kept
            session = self._session = self._open()
        return session

    def _call(self, images: NDArray[np.uint8]) -> Outputs:
        """One call of the session."""
        feed: NDArray[np.generic]
        if self._takes_pixels:
            # Normalization is inside the file.
            feed = np.ascontiguousarray(images)
        else:
            feed = self._normalize(images)
            if self._channels_last:
                feed = np.ascontiguousarray(feed.transpose(0, 2, 3, 1))
            if self._half:
                feed = feed.astype(np.float16)
        try:
            outputs = self._opened().run(None, {self.input.name: feed})
        except Exception as error:
            raise BackendError(
                f"ONNX Runtime failed on a batch of shape {feed.shape} (the model declares"
                f" {self.input.shape}): {_first_line(error)}"
            ) from error
        return tuple(outputs)

    def _normalize(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 BGR (N, H, W, 3) to normalized float32 (N, 3, H, W) in the network's channel order.

        One table look-up per channel: exact, and a fifth of the time of the same in numpy.
        """
        # The buffer of the calling thread, grown to the largest batch so far.
        n, h, w, _ = images.shape
        size = n * 3 * h * w
        buffer = getattr(self._buffers, "pixels", None)
        if buffer is None or buffer.size < size:
            buffer = self._buffers.pixels = np.empty(size, np.float32)
        batch = buffer[:size].reshape(n, 3, h, w)

        # One plane at a time: the table look-up converts and normalizes in one pass.
        for image, planes in zip(images, batch, strict=True):
            channels = cv2.split(image)
            for plane, source, lookup in zip(planes, self._channels, self._tables, strict=True):
                cv2.LUT(channels[source], lookup, dst=plane)
        return batch


# ---- pixels


def _is_quantized(path: Path) -> bool:
    # The operator's name stands in the file; parsing the graph would take far longer.
    return b"QuantizeLinear" in path.read_bytes()


def normalization_tables(normalization: Normalization) -> list[NDArray[np.float32]]:
    """Three tables of 256 float32: the network input for each pixel value, in the network's channel
    order.
    """
    # float64 for the arithmetic, rounded once at the end.
    values = np.arange(256, dtype=np.float64)
    return [
        ((values - mean) / std).astype(np.float32)
        for mean, std in zip(normalization.mean, normalization.std, strict=True)
    ]


# ---- sessions and providers


def _session_options(options: BackendOptions) -> SessionOptions:
    import onnxruntime as ort

    threads = options.threads
    if options.device == "cpu" and options.num_streams > 1:
        # Each call comes from a thread of the caller; together they use all threads.
        threads = max(1, (threads or usable_cpus()) // options.num_streams)
    settings = ort.SessionOptions()
    if options.device == "cpu":
        # One block for each shape of a call would stay in memory, and is no faster.
        settings.enable_mem_pattern = False
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1  # branches of the network do not run in parallel
    # A spinning pool next to another busy program makes calls 2 to 3 times slower; see
    # docs/conventions.md.
    spinning = "1" if options.allow_spinning else "0"
    settings.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    return settings


def _provider_list(kind: str, number: str, precision: str) -> list[Provider]:
    """The execution providers to ask for; the CPU comes after a GPU for the few operations that the
    GPU lacks.
    """
    # Refuse what ONNX Runtime would silently replace by the CPU.
    row = table.row("onnxruntime")
    if kind not in PROVIDERS:
        raise BackendError(
            f"ONNX Runtime knows no device {kind!r}; use cpu, cuda, cuda:1, tensorrt or tensorrt:1"
        )
    built = providers()
    if PROVIDERS[kind] not in built:
        raise BackendError(
            f"device {kind!r} was asked for, but this ONNX Runtime offers only {', '.join(built)}."
            f" For NVIDIA GPUs: pip uninstall -y onnxruntime && {row.gpu_install_command} (only one"
            " of the two packages may be installed)"
        )
    if kind == "cpu":
        return [PROVIDERS["cpu"]]
    if number and not number.isdigit():
        raise BackendError(f"device number {number!r} is not a number; use {kind}:0")

    # CUDA: the CPU stands in for operations without a kernel.
    device = {"device_id": number or "0"}
    if kind == "cuda":
        return [(PROVIDERS["cuda"], device), PROVIDERS["cpu"]]

    # Engines take minutes to build; ONNX Runtime names them by network, GPU and TensorRT version.
    engines = cache_folder() / "tensorrt"
    engines.mkdir(parents=True, exist_ok=True)
    settings = {
        **device,
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(engines),
    }

    # TensorRT leaves what it cannot build to CUDA, and that to the CPU.
    if precision == "fp16":
        settings["trt_fp16_enable"] = "1"
    return [(PROVIDERS["tensorrt"], settings), (PROVIDERS["cuda"], device), PROVIDERS["cpu"]]


def _nvidia_gpu_present() -> bool:
    """Whether a driver for NVIDIA GPUs is loaded (Linux, WSL, Windows) and not hidden from us."""
    # An empty or negative value hides all GPUs from CUDA programs.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return False
    # Native, WSL, Windows.
    drivers = ("/dev/nvidiactl", "/dev/dxg", "C:/Windows/System32/nvcuda.dll")
    return any(Path(driver).exists() for driver in drivers)


# ---- reading what ONNX Runtime returns


def _takes_pixels(value: NodeArg) -> bool:
    """Whether an input takes uint8 images ``(N, H, W, 3)``."""
    return value.type == "tensor(uint8)" and value.shape[-1] == 3


def _spec(value: NodeArg) -> TensorSpec:
    return TensorSpec(value.name, tuple(d if isinstance(d, int) else None for d in value.shape))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
