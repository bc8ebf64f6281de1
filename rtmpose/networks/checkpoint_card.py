"""The card of a checkpoint without one: its form by its weights, its keypoints by its meta data.

For files of the publisher's training framework with keypoints or classes of their owner.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from rtmpose.datasets.category_skeletons import skeleton_from_category, skeleton_with_keypoints
from rtmpose.errors import ModelError
from rtmpose.model_card import Codec, ModelCard, Normalization
from rtmpose.networks.checkpoint import TrainingFile, read_training_file
from rtmpose.networks.cspnext import SIZES
from rtmpose.networks.rtmpose import STRIDE
from rtmpose.skeletons import generic_skeleton, skeleton_names
from rtmpose.types import Skeleton

log = logging.getLogger(__name__)

IMAGENET = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")
DETECTOR_PIXELS = Normalization((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), "bgr")
"""Pixels as the published configurations of poses and of detectors scale them."""

HEATMAP_WH = (192, 256)
DETECTOR_WH = {"nano": (320, 320)}
"""Input sizes that the weights do not tell."""

DETECTOR_SIZES = {64: "nano", 96: "tiny", 128: "s", 192: "m", 256: "l", 320: "x"}
"""Size of an RTMDet by the channels of its head."""

POSE_SIZES = {config.stage_channels[-1]: size for size, config in SIZES.items()}
"""Size of a pose network by the channels of its last map."""


def checkpoint_card(path: str | Path) -> ModelCard:
    """What a checkpoint without a card is.

    Args:
        path: A ``.pth`` file with an RTMPose, RTMW, heat-map CSPNeXt or RTMDet. Its keypoints are
            those of ``meta.dataset_meta``; without, they have numbers for names.

    Raises:
        ModelError: it cannot be read, or is none of these.
    """
    path = Path(path)
    file = read_training_file(path)
    card = _detector_card(path, file) if _has(file, "bbox_head.") else _pose_card(path, file)
    log.info("%s: taken for a %s", path, card.architecture)
    return card


def _has(file: TrainingFile, prefix: str) -> bool:
    return any(key.startswith(prefix) for key in file.state)


# ---- poses


def _pose_card(path: Path, file: TrainingFile) -> ModelCard:
    state = file.state
    last = state.get("head.final_layer.weight", state.get("head.final_layer.conv.weight"))
    if last is None or last.ndim != 4 or not _has(file, "backbone.stage4."):
        raise _unknown(path)

    # The size by the channels of the layer that makes the maps; heat maps have another before.
    wide = state.get("head.deconv_layers.0.weight")
    size = POSE_SIZES.get(last.shape[1] if wide is None else wide.shape[0])
    if size is None:
        raise _unknown(path)
    points = _keypoints(path, len(last), file.meta.get("dataset_meta"))
    if wide is not None:
        codec = Codec("heatmap", 2.0, (2.0,), (HEATMAP_WH[0] // 4, HEATMAP_WH[1] // 4))
        return _card(path, f"cspnext-{size}", HEATMAP_WH, codec, points)

    # Input size and bins per pixel by the two classifications and the number of cells.
    family = "rtmw" if "head.final_layer2.conv.weight" in state else "rtmpose"
    size = "t" if size == "tiny" and family == "rtmpose" else size
    width, height, ratio = _input_size(path, state)
    sigma = (round(math.sqrt(width / 8), 2), round(math.sqrt(height / 8), 2))
    codec = Codec("simcc", ratio, sigma)
    return _card(path, f"{family}-{size}", (width, height), codec, points)


def _input_size(path: Path, state: Mapping[str, Tensor]) -> tuple[int, int, float]:
    """Width, height and bins per pixel of a SimCC network."""
    try:
        bins_x = len(state["head.cls_x.weight"])
        bins_y = len(state["head.cls_y.weight"])
        cells = state["head.mlp.1.weight"].shape[1]
    except (KeyError, IndexError) as error:
        raise _unknown(path) from error
    ratio = math.sqrt(bins_x * bins_y / cells) / STRIDE
    width, height = bins_x / ratio, bins_y / ratio
    if not (width.is_integer() and height.is_integer()):
        raise _unknown(path)
    return int(width), int(height), ratio


def _card(
    path: Path,
    architecture: str,
    input_wh: tuple[int, int],
    codec: Codec,
    points: Skeleton,
) -> ModelCard:
    built_in = points.name in skeleton_names()
    return ModelCard(
        path.stem,
        "pose estimation",
        architecture,
        input_wh,
        IMAGENET,
        codec,
        points.name,
        None if built_in else points,
    )


def _keypoints(path: Path, count: int, meta: object) -> Skeleton:
    """The keypoint set that a file describes; numbered points where it describes none."""
    names = _names(meta) if isinstance(meta, dict) else []
    if len(names) != count or len(set(names)) != count:
        log.warning(
            "%s does not name its %d keypoints; they are called keypoint_0 and so on (--card or"
            " --skeleton says what they are)",
            path,
            count,
        )
        return generic_skeleton(count)
    assert isinstance(meta, dict)

    # Links, left and right by name; then what the file itself says of pairs and sigmas.
    links = [[a + 1, b + 1] for a, b in _pairs(meta.get("skeleton_links"), count)]
    name = str(meta.get("dataset_name") or path.stem)
    found = skeleton_from_category({"name": name, "keypoints": names, "skeleton": links}, count)
    flip = _indices(meta.get("flip_indices"), count)
    sigmas = _sigmas(meta.get("sigmas"), count)
    published = skeleton_with_keypoints(tuple(names))
    if published is not None and sigmas in ((), published.sigmas):
        return published
    if found.name in skeleton_names():
        found = replace(found, name=f"{found.name}-own")
    return replace(found, flip_indices=flip or found.flip_indices, sigmas=sigmas)


def _names(meta: Mapping[str, object]) -> list[str]:
    """Names by number: ``keypoint_id2name``, or the numbers of ``keypoint_name2id``."""
    by_number = meta.get("keypoint_id2name")
    if isinstance(by_number, dict):
        return [str(by_number[i]) for i in range(len(by_number)) if i in by_number]
    numbers = meta.get("keypoint_name2id")
    if isinstance(numbers, dict) and all(isinstance(n, int) for n in numbers.values()):
        return [str(name) for name, _ in sorted(numbers.items(), key=lambda item: item[1])]
    return []


def _pairs(value: object, count: int) -> list[tuple[int, int]]:
    rows = value if isinstance(value, list) else []
    pairs = [row for row in rows if isinstance(row, list) and len(_indices(row, 2, count)) == 2]
    return [(row[0], row[1]) for row in pairs if row[0] != row[1]]


def _indices(value: object, length: int, below: int | None = None) -> tuple[int, ...]:
    """Indices of keypoints, as many as asked for; empty for anything else."""
    if not isinstance(value, list) or len(value) != length:
        return ()
    limit = length if below is None else below
    fine = all(isinstance(i, int) and not isinstance(i, bool) and 0 <= i < limit for i in value)
    return tuple(value) if fine else ()


def _sigmas(value: object, count: int) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != count:
        return ()
    if not all(isinstance(v, int | float) and math.isfinite(v) and v > 0 for v in value):
        return ()
    # Files have them in float32.
    return tuple(float(f"{v:.6g}") for v in value)


# ---- detectors


def _detector_card(path: Path, file: TrainingFile) -> ModelCard:
    heads = file.state.get("bbox_head.rtm_cls.0.weight")
    size = DETECTOR_SIZES.get(heads.shape[1]) if heads is not None and heads.ndim == 4 else None
    if heads is None or size is None:
        raise _unknown(path)
    meta = file.meta.get("dataset_meta")
    names = _class_names(meta, len(heads)) if isinstance(meta, dict) else ()
    return ModelCard(
        path.stem,
        "detection",
        f"rtmdet-{size}",
        DETECTOR_WH.get(size, (640, 640)),
        DETECTOR_PIXELS,
        Codec("rtmdet"),
        classes=names or tuple(f"class_{i}" for i in range(len(heads))),
    )


def _class_names(meta: Mapping[str, object], count: int) -> tuple[str, ...]:
    """Names of the classes, in the spellings of several versions."""
    for key in ("classes", "CLASSES"):
        names = meta.get(key)
        if isinstance(names, str):
            names = [names]
        if isinstance(names, list) and len(names) == count:
            return tuple(map(str, names))
    return ()


def _unknown(path: Path) -> ModelError:
    return ModelError(
        f"{path} does not say which model it is, and its weights are not those of an RTMPose, RTMW,"
        " CSPNeXt or RTMDet; name the model of the zoo it belongs to (--card)"
    )
