"""From a model card to its network: which config each published model has."""

from __future__ import annotations

import re
from dataclasses import replace

from torch import nn

from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard
from rtmpose.networks.classifier import Classifier, ClassifierConfig
from rtmpose.networks.cspnext import SIZES, enlarged_map
from rtmpose.networks.heatmap import HeatmapConfig, HeatmapPose
from rtmpose.networks.rtmdet import RTMDet, RTMDetConfig
from rtmpose.networks.rtmpose import RTMPose, RTMPoseConfig
from rtmpose.networks.rtmw import RTMW, RTMWConfig
from rtmpose.skeletons import skeleton_of
from rtmpose.zoo import find

Config = RTMPoseConfig | RTMWConfig | RTMDetConfig | HeatmapConfig | ClassifierConfig

HUMANART_CLASSES = 80
"""The Human-Art detectors kept COCO's 80 outputs; only the first, the person, was trained."""

# Channels of neck and head, blocks per neck layer, head convolutions shared, exponential on
# distances.
_RTMDET = {
    "nano": (64, 1, False, False),
    "tiny": (96, 1, True, False),
    "s": (128, 1, True, False),
    "m": (192, 2, True, True),
    "l": (256, 3, True, True),
    "x": (320, 4, True, True),
}


_ARCHITECTURE = re.compile(
    r"(rtmpose|rtmw|rtmdet|cspnext)-(nano|tiny|t|s|m|l|x)(-reduced)?(-hardswish)?(-pruned|-humanart)?"
)


def config_for(model: str | ModelCard) -> Config:
    """The config of a model of the zoo.

    Raises:
        ModelError: the zoo has no such model, or its network is not of this family (YOLOX).
    """
    # The architecture's name says family, size and variant.
    card = find(model) if isinstance(model, str) else model
    match = _ARCHITECTURE.fullmatch(card.architecture)
    if match is None:
        named = card.architecture != "unknown"
        what = f"is a {card.architecture}, which is" if named else "does not say what it is, and is"
        raise ModelError(f"{card.id} {what} not a network of this family: it runs from ONNX")
    family, size, reduced, hardswish, variant = match.groups()
    size = "tiny" if size == "t" else size
    backbone = SIZES[size]

    # Detectors, by the size of neck and head. Hard swish is for the whole of them.
    if family == "rtmdet":
        channels, blocks, share, exponential = _RTMDET[size]
        classes = len(card.classes) or (HUMANART_CLASSES if variant == "-humanart" else 1)
        return RTMDetConfig(
            backbone,
            channels,
            blocks,
            classes,
            share,
            exponential,
            card.input_wh,
            bool(hardswish),
        )
    backbone = replace(backbone, hardswish=bool(hardswish))

    # Classifiers and pose networks; those of a pose have as many outputs as keypoints.
    if card.output == "classes":
        return ClassifierConfig(backbone, input_wh=card.input_wh)
    skeleton = skeleton_of(card)
    if skeleton is None:
        raise ModelError(
            f"the card of {card.id} names no keypoint set, which gives the number of keypoints"
        )
    keypoints = len(skeleton)
    if family == "cspnext":
        return HeatmapConfig(backbone, keypoints, card.input_wh)
    # Reduced networks enlarge their map before the last stage.
    kind = RTMWConfig if family == "rtmw" else RTMPoseConfig
    if reduced:
        backbone = replace(backbone, enlarge=enlarged_map(card.input_wh))
    return kind(backbone, keypoints, card.input_wh, card.codec.split_ratio)


def build(config: Config) -> nn.Module:
    """A network with random weights, in training mode."""
    # RTMW first: its config is a kind of RTMPose config.
    if isinstance(config, RTMWConfig):
        return RTMW(config)
    if isinstance(config, RTMPoseConfig):
        return RTMPose(config)
    if isinstance(config, RTMDetConfig):
        return RTMDet(config)
    if isinstance(config, HeatmapConfig):
        return HeatmapPose(config)
    return Classifier(config)
