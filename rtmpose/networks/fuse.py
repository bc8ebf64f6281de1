"""Fold batch norms into the convolutions before them: what every inference engine wants to see."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rtmpose.networks.heatmap import HeatmapHead
from rtmpose.networks.layers import ConvModule


def fuse_norms(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, each convolution with its norm folded in; the function is the
    same.
    """
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, ConvModule) and isinstance(module.bn, nn.BatchNorm2d):
            # A convolution that levels share becomes one of its own per level.
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = nn.Identity()
        elif isinstance(module, HeatmapHead):
            layers = module.deconv_layers
            for i in range(0, len(layers), 3):
                deconv, norm = layers[i], layers[i + 1]
                if isinstance(deconv, nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                    layers[i] = fuse_conv_bn_eval(deconv, norm, transpose=True)
                    layers[i + 1] = nn.Identity()
    return network
