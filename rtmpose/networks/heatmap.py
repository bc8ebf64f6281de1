"""CSPNeXt with a heat-map head (UDP, Huang et al., CVPR 2020): the pre-training of RTMPose, and a
baseline.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from rtmpose.networks.cspnext import CSPNeXt, CSPNeXtConfig
from rtmpose.networks.rtmpose import initialize_head

DECONVOLUTIONS = 3
CHANNELS = 256


@dataclass(frozen=True)
class HeatmapConfig:
    """What shapes a heat-map network.

    Attributes:
        backbone: Its backbone.
        keypoints: K.
        input_wh: Width and height of the crop it was trained for; the maps are a quarter of that.
    """

    backbone: CSPNeXtConfig
    keypoints: int
    input_wh: tuple[int, int] = (192, 256)


class HeatmapHead(nn.Module):
    """Three transposed convolutions, each doubling the resolution (Xiao et al., ECCV 2018)."""

    def __init__(self, config: HeatmapConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = config.backbone.stage_channels[-1]
        # From a 32nd of the input to a quarter of it.
        for _ in range(DECONVOLUTIONS):
            layers += [
                nn.ConvTranspose2d(inputs, CHANNELS, 4, 2, 1, bias=False),
                nn.BatchNorm2d(CHANNELS),
                nn.ReLU(inplace=True),
            ]
            inputs = CHANNELS
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(CHANNELS, config.keypoints, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The published initialization."""
        initialize_head(self)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to maps ``(N, K, 8H, 8W)``."""
        y: Tensor = self.final_layer(self.deconv_layers(x))  # (N, K, 8H, 8W)
        return y


class HeatmapPose(nn.Module):
    """The network for one crop per person."""

    def __init__(self, config: HeatmapConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = CSPNeXt(config.backbone)
        self.head = HeatmapHead(config)

    def forward(self, crops: Tensor) -> Tensor:
        """Normalized crops ``(N, 3, H, W)`` to maps ``(N, K, H/4, W/4)``."""
        y: Tensor = self.head(self.backbone(crops)[-1])  # the coarsest map only
        return y
