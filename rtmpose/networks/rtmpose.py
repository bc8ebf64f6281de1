"""RTMPose: keypoints as two classifications, over columns and over rows (arXiv 2303.07399, section
3).

The way of a crop: CSPNeXt -> one map per keypoint (7x7 convolution) -> tokens -> gated attention ->
bins of x and y.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from rtmpose.networks.cspnext import CSPNeXt, CSPNeXtConfig
from rtmpose.networks.gau import GatedAttentionUnit, ScaleNorm

STRIDE = 32


@dataclass(frozen=True)
class RTMPoseConfig:
    """What shapes an RTMPose.

    Attributes:
        backbone: Its backbone.
        keypoints: K.
        input_wh: Width and height of the crop; fixed, as the tokens are as long as the map has
            cells.
        split_ratio: Bins per input pixel.
        hidden: Token width.
        kernel: Of the convolution that makes one map per keypoint.
    """

    backbone: CSPNeXtConfig
    keypoints: int
    input_wh: tuple[int, int] = (192, 256)
    split_ratio: float = 2.0
    hidden: int = 256
    kernel: int = 7

    @property
    def cells(self) -> int:
        """Cells of the coarsest map."""
        if self.backbone.enlarge:  # the enlarged map is halved by stage 4
            height, width = self.backbone.enlarge
            return (height // 2) * (width // 2)
        return (self.input_wh[0] // STRIDE) * (self.input_wh[1] // STRIDE)

    @property
    def bins(self) -> tuple[int, int]:
        """Bins of x and of y."""
        width, height = self.input_wh
        return round(width * self.split_ratio), round(height * self.split_ratio)


class RTMPoseHead(nn.Module):
    """From the coarsest map to the bins."""

    def __init__(self, config: RTMPoseConfig) -> None:
        super().__init__()
        # One map per keypoint, whose cells become the values of its token.
        channels = config.backbone.stage_channels[-1]
        kernel = config.kernel
        self.final_layer = nn.Conv2d(channels, config.keypoints, kernel, padding=kernel // 2)

        # Tokens: all cells of a keypoint's map, normalized and embedded.
        self.mlp = nn.Sequential(
            ScaleNorm(config.cells), nn.Linear(config.cells, config.hidden, bias=False)
        )
        self.gau = GatedAttentionUnit(config.hidden)
        # Each token is classified twice: over columns and over rows.
        self.cls_x = nn.Linear(config.hidden, config.bins[0], bias=False)
        self.cls_y = nn.Linear(config.hidden, config.bins[1], bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The published initialization."""
        initialize_head(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C, H, W)`` to logits ``(N, K, 2W)`` and ``(N, K, 2H)`` over the bins of x and y."""
        # (N, K, H * W) -> (N, K, hidden)
        tokens = self.gau(self.mlp(self.final_layer(x).flatten(2)))
        return self.cls_x(tokens), self.cls_y(tokens)


class RTMPose(nn.Module):
    """The network for one crop per person."""

    def __init__(self, config: RTMPoseConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = CSPNeXt(config.backbone)
        self.head = RTMPoseHead(config)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Normalized crops ``(N, 3, H, W)`` to logits over the bins; see :class:`RTMPoseHead`."""
        bins: tuple[Tensor, Tensor] = self.head(self.backbone(crops)[-1])
        return bins


def initialize_head(head: nn.Module) -> None:
    """Small normal weights (convolutions 0.001, linear layers 0.01), zero biases."""
    # Small weights, so that all bins start about equal.
    for module in head.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.001)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
