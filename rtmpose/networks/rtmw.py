"""RTMW: RTMPose for whole bodies, with a neck and tokens from two resolutions (Jiang et al., arXiv
2407.08634).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rtmpose.networks.cspnext import CSPNeXt
from rtmpose.networks.gau import GatedAttentionUnit, ScaleNorm
from rtmpose.networks.layers import ConvModule
from rtmpose.networks.pafpn import CSPNeXtPAFPN
from rtmpose.networks.rtmpose import RTMPoseConfig, initialize_head

# The published figures: blocks per layer of the neck, and the factor of the shuffling.
NECK_BLOCKS = 2
UPSAMPLING = 2


class RTMWConfig(RTMPoseConfig):
    """What shapes an RTMW: the same as an RTMPose."""


class RTMWHead(nn.Module):
    """Half of every token comes from the coarsest map, half from the one above it."""

    def __init__(self, config: RTMWConfig) -> None:
        super().__init__()
        fine, coarse = config.backbone.stage_channels[-2:]
        points = config.keypoints

        def conv(inputs: int, outputs: int) -> ConvModule:
            return ConvModule(inputs, outputs, config.kernel, activation=nn.ReLU)

        def embed(cells: int) -> nn.Sequential:
            return nn.Sequential(ScaleNorm(cells), nn.Linear(cells, config.hidden // 2, bias=False))

        # Shuffling trades channels for resolution: a quarter of the channels, twice the side.
        shuffled = coarse // UPSAMPLING**2
        self.ps = nn.PixelShuffle(UPSAMPLING)
        self.conv_dec = conv(shuffled, shuffled)
        self.final_layer = conv(coarse, points)
        self.final_layer2 = conv(shuffled + fine, points)

        # Half of each token's width from either resolution.
        self.mlp = embed(config.cells)
        self.mlp2 = embed(config.cells * UPSAMPLING**2)
        self.gau = GatedAttentionUnit(config.hidden)
        self.cls_x = nn.Linear(config.hidden, config.bins[0], bias=False)
        self.cls_y = nn.Linear(config.hidden, config.bins[1], bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The published initialization."""
        initialize_head(self)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps of stride 16 and 32 to logits ``(N, K, 2W)`` and ``(N, K, 2H)``."""
        fine, coarse = maps
        # The coarse map, shuffled to the resolution of the fine one, joins it for the second half.
        coarse_tokens = self.mlp(self.final_layer(coarse).flatten(2))  # (N, K, hidden / 2)
        # (N, shuffled + fine, 2H, 2W)
        joined = torch.cat([self.conv_dec(self.ps(coarse)), fine], dim=1)
        fine_tokens = self.mlp2(self.final_layer2(joined).flatten(2))  # (N, K, hidden / 2)
        tokens = self.gau(torch.cat([coarse_tokens, fine_tokens], dim=2))
        return self.cls_x(tokens), self.cls_y(tokens)


class RTMW(nn.Module):
    """The network for one crop per person."""

    def __init__(self, config: RTMWConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = CSPNeXt(config.backbone)
        self.neck = CSPNeXtPAFPN(config.backbone.stage_channels[1:], None, NECK_BLOCKS)
        self.head = RTMWHead(config)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Normalized crops ``(N, 3, H, W)`` to logits over the bins; see :class:`RTMWHead`."""
        bins: tuple[Tensor, Tensor] = self.head(self.neck(self.backbone(crops)[1:])[1:])
        return bins
