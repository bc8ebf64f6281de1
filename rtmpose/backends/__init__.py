"""Inference engines, one file each; this one chooses. No engine's name appears outside this package
and the CLI.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

from rtmpose.backends.base import Backend, BackendOptions, Precision, TensorSpec
from rtmpose.backends.parallel import calls_at_once, usable_cpus
from rtmpose.errors import BackendError, MissingDependencyError
from rtmpose.model_card import ModelCard

__all__ = [
    "Backend",
    "BackendOptions",
    "Choice",
    "Precision",
    "TensorSpec",
    "calls_at_once",
    "choose",
    "installed",
    "open_backend",
    "usable_cpus",
]

log = logging.getLogger(__name__)

ENGINES = ("onnxruntime", "openvino")
"""Engines that run ONNX files, hence those ``auto`` chooses from."""

OWN_FORMAT = {
    ".xml": "openvino",
    ".param": "ncnn",
    ".pth": "torch",
    ".pt": "torch",
    ".safetensors": "torch",
}
"""Files that only one engine runs."""

EXTRA = {"openvino": "'rtmpose[openvino]'", "ncnn": "'rtmpose[ncnn]'", "torch": "'rtmpose[export]'"}


@dataclass(frozen=True)
class Choice:
    """What ``auto`` came to.

    Attributes:
        backend: ``onnxruntime``, ``openvino``, ``ncnn`` or ``torch``.
        device: Such as ``cpu`` or ``cuda:0``.
        reason: One sentence for the log and for ``rtmpose doctor``.
    """

    backend: str
    device: str
    reason: str


def installed() -> tuple[str, ...]:
    """Engines whose package is installed."""
    return tuple(e for e in (*ENGINES, "ncnn", "torch") if importlib.util.find_spec(e) is not None)


def choose(options: BackendOptions) -> Choice:
    """Resolve ``auto`` in engine and device; what was asked for by name is taken as it is.

    Raises:
        BackendError: the engine is unknown, or no engine has the device.
        MissingDependencyError: the engine is not installed.
    """
    have = installed()
    engine, device = options.backend.lower(), options.device.lower()
    if engine not in (*ENGINES, "ncnn", "torch", "auto"):
        raise BackendError(
            f"unknown backend {options.backend!r}; use auto, {', '.join(ENGINES)}, ncnn or torch"
        )
    if engine != "auto" and engine not in have:
        raise MissingDependencyError(
            f"backend {engine} is not installed: pip install {_remedy(engine)}"
        )
    if not set(have) & set(ENGINES):
        raise MissingDependencyError("no inference engine is installed: pip install onnxruntime")
    if engine == "auto":
        return _auto_engine(device, have)
    if device == "auto":
        device = _auto_device(engine)
        return Choice(
            engine, device, f"{engine} was asked for; {device} is the fastest device it has here"
        )
    return Choice(engine, device, "asked for")


def _auto_engine(device: str, have: tuple[str, ...]) -> Choice:
    kind = device.partition(":")[0]
    if kind in ("cuda", "tensorrt"):
        if "onnxruntime" not in have:
            raise MissingDependencyError(
                f"device {device} needs ONNX Runtime: pip install 'rtmpose[gpu]'"
            )
        return Choice("onnxruntime", device, f"{device} was asked for; only ONNX Runtime drives it")
    if kind in ("gpu", "npu"):
        if "openvino" not in have:
            raise MissingDependencyError(
                f"device {device} needs OpenVINO: pip install 'rtmpose[openvino]'"
            )
        return Choice("openvino", device, f"{device} was asked for; only OpenVINO drives it")
    if kind not in ("cpu", "auto"):
        raise BackendError(
            f"unknown device {device!r}; use auto, cpu, cuda, cuda:1, tensorrt, gpu or npu"
        )
    if kind == "auto" and "onnxruntime" in have:
        gpu = _auto_device("onnxruntime")
        if gpu != "cpu":
            return Choice(
                "onnxruntime", gpu, "ONNX Runtime here has CUDA and an NVIDIA GPU is present"
            )
    if "openvino" in have:
        return Choice("openvino", "cpu", "OpenVINO is installed; it is the fastest on CPUs")
    return Choice(
        "onnxruntime",
        "cpu",
        "ONNX Runtime is the only engine installed; pip install 'rtmpose[openvino]' is faster",
    )


def _for_file(path: Path, options: BackendOptions) -> BackendOptions:
    """The options with the engine that the file's format calls for."""
    needed = OWN_FORMAT.get(path.suffix)
    if needed is None:
        if options.backend == "ncnn":
            raise BackendError(
                f"ncnn runs .param files, not {path.name}: `rtmpose export MODEL --to ncnn`"
                " makes one"
            )
        return options
    if options.backend.lower() not in ("auto", needed):
        raise BackendError(f"{path.name} runs with {needed} only, not with {options.backend}")
    return replace(options, backend=needed)


def _auto_device(engine: str) -> str:
    if engine in ("openvino", "ncnn", "torch"):
        return "cpu"
    from rtmpose.backends import onnxruntime

    # The CUDA provider is listed by the GPU build on any machine; without a driver it would fail at
    # opening.
    return "cuda" if "cuda" in onnxruntime.devices() and _nvidia_gpu_present() else "cpu"


def _nvidia_gpu_present() -> bool:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return False
    return any(
        Path(p).exists() for p in ("/dev/nvidiactl", "/dev/dxg", "C:/Windows/System32/nvcuda.dll")
    )


def open_backend(
    path: Path, card: ModelCard, options: BackendOptions = BackendOptions()
) -> Backend:
    """Open a model file.

    Args:
        path: The model file; ``.onnx``, or one of :data:`OWN_FORMAT`.
        card: Its description: normalization, and what reduced precision may be judged by.
        options: Engine, device, threads, precision.

    Raises:
        BackendError: engine, device or precision are not available here; nothing is chosen in their
            place.
        MissingDependencyError: the engine is not installed.
        ModelError: the file cannot be read.
    """
    if options.threads < 0:
        raise BackendError(f"threads must be 0 (all cores) or more, not {options.threads}")
    if options.num_streams < 1:
        raise BackendError(f"num_streams must be 1 or more, not {options.num_streams}")
    if options.precision not in ("auto", "fp32", "bf16", "fp16"):
        raise BackendError(f"unknown precision {options.precision!r}; use auto, fp32, bf16 or fp16")
    options = _for_file(path, options)
    choice = choose(options)
    options = replace(options, backend=choice.backend, device=choice.device)
    backend: Backend
    if choice.backend in ("openvino", "torch") and options.precision == "fp16":
        raise BackendError(
            "precision fp16 needs ncnn or TensorRT; OpenVINO and torch offer fp32 and bf16 here"
        )
    if choice.backend == "openvino":
        from rtmpose.backends.bf16_calibration import prepared_network
        from rtmpose.backends.openvino import OpenVinoBackend

        network, options = prepared_network(path, card, options)
        backend = OpenVinoBackend(path, card.normalization, options, network)
    elif choice.backend == "torch":
        from rtmpose.backends.torch import TorchBackend

        backend = TorchBackend(path, card, options)
    elif choice.backend == "ncnn":
        from rtmpose.backends.ncnn import NcnnBackend

        backend = NcnnBackend(path, card, options)
    else:
        from rtmpose.backends.onnxruntime import OnnxRuntimeBackend

        if options.precision == "fp16" and not choice.device.startswith("tensorrt"):
            raise BackendError(
                "precision fp16 needs ncnn or TensorRT (--device tensorrt); or run a file exported"
                " as fp16"
            )
        if options.precision == "bf16":
            raise BackendError(
                "precision bf16 needs the OpenVINO backend; use --backend openvino or --precision"
                " fp32"
            )
        backend = OnnxRuntimeBackend(path, card.normalization, options)
    log.info(
        "%s: %s on %s, %s (%s)",
        path.name,
        backend.engine,
        backend.device,
        backend.precision,
        choice.reason,
    )
    return backend


def _remedy(engine: str) -> str:
    return EXTRA.get(engine, engine)
