"""The model directory of the original's deployment SDK: network, ``pipeline.json``,
``deploy.json``, ``detail.json``.

The format is that of ``mmdeploy-runtime`` 1.x: a small graph of named tasks (preprocess, network,
postprocess) whose numbers (input size, mean, std, padding) are the model card's.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard
from rtmpose.ops.crop import PADDING
from rtmpose.ops.letterbox import PAD_VALUE
from rtmpose.text_files import to_json

# The release whose format this is, and the file name that its loader expects.
SDK_VERSION = "1.3.1"
NETWORK = "end2end.onnx"

Json = dict[str, object]


def write_sdk(card: ModelCard, model: Path, out: Path, *, input_name: str, batched: bool) -> Path:
    """Write a model directory for the deployment SDK.

    Args:
        card: What the model is; an RTMDet or YOLOX detector with boxes ``(1, n, 5)`` and labels
            ``(1, n)`` as outputs, or a SimCC pose network.
        model: Its ``.onnx`` file with float32 normalized pixels ``(N, 3, H, W)`` as input; copied
            into the directory.
        out: The directory; created if it is missing, files in it are replaced.
        input_name: Name of the network's input.
        batched: Whether the network takes more than one crop at a time.

    Returns:
        The directory.

    Raises:
        ModelError: the SDK has no such kind of model.
    """
    # The network's file, and three files that say how it is run.
    kind = _kind_of(card)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, out / NETWORK)
    _write(out / "pipeline.json", {"pipeline": _pipeline(kind, input_name, batched)})
    _write(out / "deploy.json", _deploy(kind, batched))
    _write(out / "detail.json", _detail(kind, card, input_name))
    return out


@dataclass(frozen=True)
class _Kind:
    """What the SDK calls a kind of model, and the steps around its network."""

    name: str
    task: str
    codebase: str
    outputs: tuple[str, ...]
    transforms: list[Json]
    postprocess: Json


def _kind_of(card: ModelCard) -> _Kind:
    # The two kinds of model that top-down pose estimation needs.
    if card.is_detector:
        return _Kind(
            name=str(card.codec.kind),
            task="Detector",
            codebase="mmdet",
            outputs=("dets", "labels"),
            transforms=_detector_transforms(card),
            postprocess=_detector_post(),
        )
    if card.codec.kind == "simcc":
        return _Kind(
            name="topdownposeestimator",
            task="PoseDetector",
            codebase="mmpose",
            outputs=("simcc_x", "simcc_y"),
            transforms=_pose_transforms(card),
            postprocess=_pose_post(card),
        )
    raise ModelError(
        f"{card.id} ({card.codec.kind}) is not a kind of model that the deployment SDK runs"
    )


def _deploy(kind: _Kind, batched: bool) -> Json:
    # Which files to load on which engine.
    network = {
        "name": kind.name,
        "net": NETWORK,
        "weights": "",
        "backend": "onnxruntime",
        "precision": "FP32",
        "batch_size": 1,
        "dynamic_shape": batched,
    }
    return {"version": SDK_VERSION, "task": kind.task, "models": [network], "customs": []}


def _detail(kind: _Kind, card: ModelCard, input_name: str) -> Json:
    # Where the model came from; read by people and by the SDK's tools.
    codebase = kind.codebase
    return {
        "version": SDK_VERSION,
        "codebase": {"task": kind.task, "codebase": codebase, "pth": card.id, "config": card.id},
        "codebase_config": {"type": codebase, "task": kind.task, "model_type": "end2end"},
        "onnx_config": {
            "type": "onnx",
            "save_file": NETWORK,
            "input_names": [input_name],
            "output_names": list(kind.outputs),
        },
        "backend_config": {"type": "onnxruntime"},
        "calib_config": {},
    }


def _pipeline(kind: _Kind, input_name: str, batched: bool) -> Json:
    # Three tasks, each reading what the one before it puts out.
    # The image, scaled and normalized.
    prepare = {
        "type": "Task",
        "module": "Transform",
        "name": "Preprocess",
        "input": ["img"],
        "output": ["prep_output"],
    }
    # The network, whose input the SDK feeds by name.
    network = {
        "name": kind.name,
        "type": "Task",
        "module": "Net",
        "is_batched": batched,
        "input": ["prep_output"],
    }
    # Its outputs as boxes or keypoints in image pixels.
    finish = {
        "type": "Task",
        "module": kind.codebase,
        "name": "postprocess",
        "input": ["prep_output", "infer_output"],
    }
    return {
        "input": ["img"],
        "output": ["post_output"],
        "tasks": [
            {**prepare, "transforms": kind.transforms},
            {
                **network,
                "output": ["infer_output"],
                "input_map": {"img": input_name},
                "output_map": {},
            },
            {**finish, "output": ["post_output"], **kind.postprocess},
        ],
    }


def _normalize(card: ModelCard) -> Json:
    scaling = card.normalization
    return {
        "type": "Normalize",
        "mean": list(scaling.mean),
        "std": list(scaling.std),
        "to_rgb": scaling.color == "rgb",
    }


def _detector_transforms(card: ModelCard) -> list[Json]:
    # Letterboxed as at run time: scaled to fit, padded with gray to the input's size.
    size = list(card.input_wh)
    meta = ["ori_shape", "img_shape", "pad_shape", "scale_factor", "img_norm_cfg"]
    return [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "keep_ratio": True, "size": size},
        {"type": "Pad", "size": size, "pad_val": {"img": [PAD_VALUE] * 3}},
        _normalize(card),
        {"type": "Pad", "size_divisor": 1},
        {"type": "DefaultFormatBundle"},
        {"type": "Collect", "keys": ["img"], "meta_keys": meta},
    ]


def _detector_post() -> Json:
    # The values of the SDK's own exports; suppression itself is inside the network.
    nms = {"type": "nms", "iou_threshold": 0.65}
    params = {
        "nms_pre": 1000,
        "min_bbox_size": 0,
        "score_thr": 0.05,
        "nms": nms,
        "max_per_img": 100,
    }
    return {"component": "ResizeBBox", "params": params}


def _pose_transforms(card: ModelCard) -> list[Json]:
    # The region of the box with its padding, cut by one affine map.
    size = list(card.input_wh)
    meta = [
        "img_shape",
        "pad_shape",
        "ori_shape",
        "img_norm_cfg",
        "scale_factor",
        "bbox_score",
        "center",
        "scale",
    ]
    return [
        {"type": "LoadImageFromFile"},
        {"type": "TopDownGetBboxCenterScale", "padding": PADDING, "image_size": size},
        {"type": "TopDownAffine", "image_size": size},
        _normalize(card),
        {"type": "ImageToTensor", "keys": ["img"]},
        {"type": "Collect", "keys": ["img"], "meta_keys": meta},
    ]


def _pose_post(card: ModelCard) -> Json:
    # Plain arg max of the bins, as the runtime decodes them.
    params = {
        "flip_test": False,
        "type": "SimCCLabel",
        "input_size": list(card.input_wh),
        "sigma": list(card.codec.sigma),
        "simcc_split_ratio": card.codec.split_ratio,
        "normalize": False,
        "use_dark": False,
    }
    return {"component": "SimCCLabelDecode", "params": params}


def _write(path: Path, content: Json) -> None:
    path.write_text(to_json(content, indent=2) + "\n", encoding="utf-8")
