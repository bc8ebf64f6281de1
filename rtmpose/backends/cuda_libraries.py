"""The libraries of CUDA and cuDNN that pip installs, for ONNX Runtime."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
from types import ModuleType

log = logging.getLogger(__name__)

# From 1.27 on the packages of ONNX Runtime are built for CUDA 13, which older drivers lack.
OLDER_DRIVERS = "pip install 'onnxruntime-gpu[cuda,cudnn]<1.27'"


def load_cuda_libraries(onnxruntime: ModuleType) -> None:
    """Load what ``onnxruntime-gpu[cuda,cudnn]`` installed, before a session on a GPU is opened.

    ONNX Runtime looks where the system looks, and not into Python's packages, unless it is told
    (1.21 and later). Where CUDA belongs to the system there is nothing to load.

    Args:
        onnxruntime: The imported package.
    """
    load = getattr(onnxruntime, "preload_dlls", None)
    if load is None or importlib.util.find_spec("nvidia") is None:
        return

    # It prints, also where results are written to the standard output.
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        load()
    if said.getvalue().strip():
        log.debug("libraries of CUDA: %s", said.getvalue().strip())
