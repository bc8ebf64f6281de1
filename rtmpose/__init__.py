"""Real-time multi-person pose estimation with the RTMPose models.

>>> import rtmpose
>>> for frame, poses in rtmpose.predict("photo.jpg"):
...     print(poses)

Names are loaded on first use, so that ``import rtmpose`` is quick and pulls in no inference engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "BackendError": "errors",
    "BackendOptions": "backends",
    "Codec": "model_card",
    "Detections": "types",
    "Detector": "detector",
    "Frame": "types",
    "InputError": "errors",
    "MissingDependencyError": "errors",
    "ModelCard": "model_card",
    "ModelError": "errors",
    "Normalization": "model_card",
    "OutputError": "errors",
    "Pipeline": "pipeline",
    "PoseEstimator": "pose_estimator",
    "Poses": "types",
    "Result": "pipeline",
    "RtmposeError": "errors",
    "Skeleton": "types",
    "draw_detections": "draw",
    "draw_poses": "draw",
    "get_skeleton": "skeletons",
    "predict": "pipeline",
    "read_image": "sources",
}

__all__ = [
    "__version__",
    "BackendError",
    "BackendOptions",
    "Codec",
    "Detections",
    "Detector",
    "Frame",
    "InputError",
    "MissingDependencyError",
    "ModelCard",
    "ModelError",
    "Normalization",
    "OutputError",
    "Pipeline",
    "PoseEstimator",
    "Poses",
    "Result",
    "RtmposeError",
    "Skeleton",
    "draw_detections",
    "draw_poses",
    "get_skeleton",
    "predict",
    "read_image",
]

if TYPE_CHECKING:
    from rtmpose.backends import BackendOptions
    from rtmpose.detector import Detector
    from rtmpose.draw import draw_detections, draw_poses
    from rtmpose.errors import (
        BackendError,
        InputError,
        MissingDependencyError,
        ModelError,
        OutputError,
        RtmposeError,
    )
    from rtmpose.model_card import Codec, ModelCard, Normalization
    from rtmpose.pipeline import Pipeline, Result, predict
    from rtmpose.pose_estimator import PoseEstimator
    from rtmpose.skeletons import get_skeleton
    from rtmpose.sources import read_image
    from rtmpose.types import Detections, Frame, Poses, Skeleton


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rtmpose' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"rtmpose.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
