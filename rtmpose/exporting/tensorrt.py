"""TensorRT through ONNX Runtime: the exported file is ONNX, the engine is built from it."""

from __future__ import annotations

from pathlib import Path

from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.errors import BackendError, ModelError
from rtmpose.model_card import ModelCard


def build_tensorrt(onnx_file: Path, card: ModelCard, *, half: bool = True) -> Backend | None:
    """Let ONNX Runtime's TensorRT provider build its engine for this GPU now, into the cache,
    rather than at first use.

    Args:
        onnx_file: The network.
        card: Its description.
        half: Compute in float16.

    Returns:
        The network on the GPU; None where there is no TensorRT provider or GPU here.
    """
    # Building takes minutes; the backend keeps the engine in its cache.
    options = BackendOptions("onnxruntime", "tensorrt", precision="fp16" if half else "fp32")
    try:
        return open_backend(onnx_file, card, options)
    except (BackendError, ModelError):
        return None
