"""Small networks, and their cards, for the tests of exports."""

import pytest
import torch

from rtmpose import BackendOptions
from rtmpose.model_card import Codec, ModelCard, Normalization
from rtmpose.networks import build
from rtmpose.networks.cspnext import CSPNeXtConfig
from rtmpose.networks.heatmap import HeatmapConfig
from rtmpose.networks.rtmdet import RTMDetConfig
from rtmpose.networks.rtmpose import RTMPoseConfig

BACKBONE = CSPNeXtConfig(0.167, 0.125)
PIXELS = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")
POSE_CARD = ModelCard("tiny-pose", "body", "rtmpose-t", (64, 96), PIXELS, Codec("simcc"), "coco17")
MAP_CARD = ModelCard(
    "tiny-map",
    "body",
    "cspnext-tiny",
    (64, 96),
    PIXELS,
    Codec("heatmap", 2, (2.0,), (16, 24)),
    "coco17",
)
BOX_CARD = ModelCard(
    "tiny-box", "person detection", "rtmdet-nano", (64, 64), PIXELS, Codec("rtmdet")
)
CPU = {
    e: BackendOptions(e, "cpu", 1, precision="fp32") for e in ("onnxruntime", "openvino", "torch")
}
CPU["ncnn"] = BackendOptions("ncnn", "cpu", 1)


def lively(network):
    """Norms with statistics, so that folding them matters."""
    torch.manual_seed(1)
    network.train()
    with torch.no_grad():
        for _ in range(4):
            network(torch.randn(4, 3, network.config.input_wh[1], network.config.input_wh[0]))
        for parameter in network.parameters():
            if parameter.ndim > 1 and parameter.std() < 0.02:
                parameter.normal_(0, 0.1)
    return network.eval()


def pose_network(seed=0):
    torch.manual_seed(seed)
    return lively(build(RTMPoseConfig(BACKBONE, 17, (64, 96))))


def detector_network():
    torch.manual_seed(0)
    network = lively(build(RTMDetConfig(BACKBONE, 24, 1, 1, input_wh=(64, 64))))
    for level in network.bbox_head.rtm_cls:
        level.bias.data.fill_(0)
    for level in network.bbox_head.rtm_reg:
        level.bias.data.fill_(1)
    return network


def heatmap_network():
    torch.manual_seed(0)
    return lively(build(HeatmapConfig(BACKBONE, 17, (64, 96))))


def needs(package):
    return pytest.importorskip(
        package, reason=f"{package} is not installed: pip install 'rtmpose[export]'"
    )
