"""Small random networks, losses and batches for the tests of pruning."""

import copy
import itertools

import numpy as np
import torch

from rtmpose.networks import build
from rtmpose.networks.cspnext import SIZES, CSPNeXtConfig
from rtmpose.networks.heatmap import HeatmapConfig
from rtmpose.networks.rtmdet import RTMDetConfig
from rtmpose.networks.rtmpose import RTMPoseConfig
from rtmpose.networks.rtmw import RTMWConfig
from rtmpose.pruning.channel_graph import reading_uses

WH = (64, 64)
torch.set_num_threads(1)  # these networks are too small to share out
SMALL = CSPNeXtConfig(0.33, 0.125)
CONFIGS = {
    "rtmpose-t": RTMPoseConfig(SIZES["tiny"], 5, WH),
    "rtmpose-s": RTMPoseConfig(SIZES["s"], 5, WH),
    "rtmpose-m": RTMPoseConfig(SIZES["m"], 5, WH),
    "heatmap": HeatmapConfig(SIZES["tiny"], 5, WH),
    "rtmdet-nano": RTMDetConfig(SIZES["nano"], 64, 1, share_conv=False, input_wh=WH),
    "rtmdet-tiny": RTMDetConfig(
        SIZES["tiny"], 96, 1, share_conv=True, exp_on_reg=True, input_wh=WH
    ),
    "rtmw": RTMWConfig(SIZES["s"], 5, WH),
}


def random_network(config, seed=0):
    """Every value random, norms included, so that no channel is zero by chance."""
    torch.manual_seed(seed)
    network = build(config).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                torch.nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.3)
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network


def flat(output):
    """All tensors of an output."""
    if isinstance(output, torch.Tensor):
        return [output]
    return list(itertools.chain.from_iterable(flat(o) for o in output))


def run(network, image):
    with torch.inference_mode():
        return flat(network(image))


def masked(network, cuts):
    """A copy in which the layers that read the cut units see zeros there."""
    network = copy.deepcopy(network)
    masks = {}
    for group, units in cuts:
        for use in reading_uses(network, group):
            layer = network.get_submodule(use.layer)
            mask = masks.setdefault(use.layer, torch.ones(1, layer.in_channels, 1, 1))
            mask[0, use.positions[units].ravel()] = 0
    for name, mask in masks.items():
        network.get_submodule(name).register_forward_pre_hook(
            lambda m, i, mask=mask: (i[0] * mask,)
        )
    return network


def random_cuts(groups, rng, share):
    return [(g, np.flatnonzero(rng.random(len(g)) < share)[: len(g) - 1]) for g in groups]


def batches(seed=0):
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(4, 3, *WH[::-1], generator=generator)


def loss_to(teacher):
    def loss(network, images):
        with torch.no_grad():
            known = flat(teacher(images))
        return sum(
            (a - b).square().mean() for a, b in zip(flat(network(images)), known, strict=True)
        )

    return loss
