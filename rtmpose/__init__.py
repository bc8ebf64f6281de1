"""Real-time multi-person pose estimation with the RTMPose models.

>>> import rtmpose
>>> for frame, poses in rtmpose.predict("photo.jpg"):
...     print(poses)
>>> for result in rtmpose.track("clip.mp4"):
...     print(result.poses.ids)

Names are loaded on first use, so that ``import rtmpose`` is quick and loads no inference engine.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, NoReturn

__version__ = "0.1.0"

# ONNX Runtime reads this when it is loaded; otherwise it sends usage data, and leaves a device id
# in the user's cache. Who sets it to 0 keeps both.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Public name -> the module it is defined in.
_HOME = {
    "BackendError": "errors",
    "BackendOptions": "backends",
    "Calibration": "types",
    "Codec": "model_card",
    "Detections": "types",
    "Detector": "detector",
    "Evaluation": "evaluation",
    "ExportOptions": "exporting.options",
    "Frame": "types",
    "InputError": "errors",
    "MissingDependencyError": "errors",
    "ModelCard": "model_card",
    "ModelError": "errors",
    "Normalization": "model_card",
    "OneStage": "one_stage",
    "OutputError": "errors",
    "Pipeline": "pipeline",
    "PoseEstimator": "pose_estimator",
    "PoseModel": "families",
    "PoseTracker": "tracking",
    "Poses": "types",
    "Result": "pipeline",
    "RtmposeError": "errors",
    "Skeleton": "types",
    "TopDown": "pose_estimator",
    "TrackedFrame": "tracking.tracked_frame",
    "TrackerParams": "tracking",
    "UnknownArgumentError": "errors",
    "VideoTracker": "tracking.video",
    "draw_detections": "draw",
    "draw_poses": "draw",
    "evaluate": "evaluation",
    "export": "exporting.export",
    "get_skeleton": "skeletons",
    "predict": "pipeline",
    "read_image": "sources",
    "track": "tracking.video",
    "train": "training",
}

# Folders that are reached by ``rtmpose.NAME`` without an import of their own.
_FOLDERS = (
    "backends",
    "compat",
    "datasets",
    "evaluation",
    "skeletons",
    "sources",
    "tracking",
    "writers",
    "zoo",
)

# What other packages for these models call it -> the name here.
_ELSEWHERE = {
    "Body": "Pipeline",
    "BodyWithFeet": "Pipeline",
    "Custom": "Pipeline",
    "Hand": "Pipeline",
    "MMPoseInferencer": "Pipeline",
    "PoseDetector": "PoseEstimator",
    "RTMDet": "Detector",
    "RTMO": "OneStage",
    "RTMPose": "PoseEstimator",
    "Wholebody": "Pipeline",
    "YOLOX": "Detector",
    "detect": "Detector",
    "draw": "draw_poses",
    "draw_skeleton": "draw_poses",
    "imread": "read_image",
    "inference": "predict",
    "infer": "predict",
    "inference_topdown": "PoseEstimator",
    "init_model": "PoseEstimator",
    "load_image": "read_image",
}

# Verbs that need more than the base install -> the extra that brings it.
_EXTRAS = {"export": "export", "train": "train"}

__all__ = [
    "__version__",
    "BackendError",
    "BackendOptions",
    "Calibration",
    "Codec",
    "Detections",
    "Detector",
    "Evaluation",
    "ExportOptions",
    "Frame",
    "InputError",
    "MissingDependencyError",
    "ModelCard",
    "ModelError",
    "Normalization",
    "OneStage",
    "OutputError",
    "Pipeline",
    "PoseEstimator",
    "PoseModel",
    "PoseTracker",
    "Poses",
    "Result",
    "RtmposeError",
    "Skeleton",
    "TopDown",
    "TrackedFrame",
    "TrackerParams",
    "UnknownArgumentError",
    "VideoTracker",
    "draw_detections",
    "draw_poses",
    "evaluate",
    "export",
    "get_skeleton",
    "predict",
    "read_image",
    "track",
    "train",
]

if TYPE_CHECKING:
    from collections.abc import Callable

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
        UnknownArgumentError,
    )
    from rtmpose.evaluation import Evaluation, evaluate
    from rtmpose.exporting.export import export
    from rtmpose.exporting.options import ExportOptions
    from rtmpose.families import PoseModel
    from rtmpose.model_card import Codec, ModelCard, Normalization
    from rtmpose.one_stage import OneStage
    from rtmpose.pipeline import Pipeline, Result, predict
    from rtmpose.pose_estimator import PoseEstimator, TopDown
    from rtmpose.skeletons import get_skeleton
    from rtmpose.sources import read_image
    from rtmpose.tracking import PoseTracker, TrackerParams
    from rtmpose.tracking.tracked_frame import TrackedFrame
    from rtmpose.tracking.video import VideoTracker, track
    from rtmpose.training import train
    from rtmpose.types import Calibration, Detections, Frame, Poses, Skeleton


def __getattr__(name: str) -> Any:
    if name in _HOME:
        try:
            value = getattr(importlib.import_module(f"rtmpose.{_HOME[name]}"), name)
        except ModuleNotFoundError as error:
            if name not in _EXTRAS:
                raise
            # Not kept: after an installation the next use finds the real one.
            return _needs_extra(name, str(error.name))
    elif name in _FOLDERS:
        value = importlib.import_module(f"rtmpose.{name}")
    else:
        raise AttributeError(f"module 'rtmpose' has no attribute {name!r}{_name_hint(name)}")
    globals()[name] = value
    return value


def _name_hint(name: str) -> str:
    """What was meant by a name that is not here; empty where nobody can tell."""
    if name in _ELSEWHERE:
        return f"; here it is rtmpose.{_ELSEWHERE[name]}"
    # Python itself looks for names such as __path__.
    if name.startswith("_"):
        return ""
    import difflib

    near = difflib.get_close_matches(name, [*_HOME, *_FOLDERS], n=3, cutoff=0.7)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _needs_extra(name: str, package: str) -> Callable[..., NoReturn]:
    """Stands for a verb whose packages are not installed, so that ``help(rtmpose)`` works; says so
    when it is called.
    """

    def missing(*args: object, **kwargs: object) -> NoReturn:
        from rtmpose.errors import MissingDependencyError

        raise MissingDependencyError(
            f"rtmpose.{name} needs {package}, which is not installed:"
            f" pip install 'rtmpose[{_EXTRAS[name]}]'"
        )

    missing.__name__ = missing.__qualname__ = name
    missing.__doc__ = f"Not available: pip install 'rtmpose[{_EXTRAS[name]}]'"
    return missing


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_FOLDERS})
