"""Folding batch norms into the convolutions before them, as inference engines want them."""

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
    # The original is left as it is: it may be trained further.
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, ConvModule) and isinstance(module.bn, nn.BatchNorm2d):
            # A convolution that levels share becomes a separate one per level.
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            setattr(module, "bn", nn.Identity())  # noqa: B010 (its type says BatchNorm2d)
        elif isinstance(module, HeatmapHead):
            _fuse_deconvolutions(module.deconv_layers)
    return network


def _fuse_deconvolutions(layers: nn.Sequential) -> None:
    """The same for transposed convolutions; norms that are folded already are skipped."""
    # Deconvolution, norm and activation follow one another.
    for i in range(0, len(layers), 3):
        deconv = layers[i]
        norm = layers[i + 1]
        if isinstance(deconv, nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
            layers[i] = fuse_conv_bn_eval(deconv, norm, transpose=True)
            layers[i + 1] = nn.Identity()
