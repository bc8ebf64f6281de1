"""CSPNeXt-PAFPN: the path-aggregation neck that mixes the maps of strides 8, 16 and 32 (Liu et al.,
CVPR 2018).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from rtmpose.networks.layers import ConvModule, CSPLayer, conv_class


class CSPNeXtPAFPN(nn.Module):
    """From coarse to fine and back.

    Args:
        channels: Of the input maps, the finest first.
        outputs: Channels of all output maps; None keeps those of each level and adds no
            convolution.
        blocks: Per cross-stage partial layer.
        depthwise: Separable convolutions.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        outputs: int | None,
        blocks: int,
        *,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        conv = conv_class(depthwise)

        def layer(inputs: int, outputs: int) -> CSPLayer:
            return CSPLayer(
                inputs, outputs, blocks, shortcut=False, attention=False, depthwise=depthwise
            )

        # Pairs of channels of neighboring levels, the coarsest first.
        coarse_to_fine = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.reduce_layers = nn.ModuleList(ConvModule(high, low, 1) for high, low in coarse_to_fine)
        self.top_down_blocks = nn.ModuleList(layer(2 * low, low) for _, low in coarse_to_fine)
        self.downsamples = nn.ModuleList(conv(c, c, 3, stride=2) for c in channels[:-1])
        self.bottom_up_blocks = nn.ModuleList(
            layer(2 * low, high) for low, high in pairwise(channels)
        )

        # Detectors bring all levels to the same width; RTMW keeps them.
        if outputs is None:
            self.out_convs: nn.ModuleList | None = None
        else:
            self.out_convs = nn.ModuleList(conv(c, outputs, 3) for c in channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of falling resolution to maps of the same resolutions."""
        # Top-down: coarse maps, upsampled, join the finer ones.
        inner = [maps[-1]]
        for fine, reduce, block in zip(
            maps[-2::-1], self.reduce_layers, self.top_down_blocks, strict=True
        ):
            inner[0] = reduce(inner[0])
            inner.insert(0, block(torch.cat([self.upsample(inner[0]), fine], dim=1)))

        # Bottom-up: and back to the coarse ones.
        outs = [inner[0]]
        for coarse, down, block in zip(
            inner[1:], self.downsamples, self.bottom_up_blocks, strict=True
        ):
            outs.append(block(torch.cat([down(outs[-1]), coarse], dim=1)))
        if self.out_convs is None:
            return outs
        return [conv(x) for conv, x in zip(self.out_convs, outs, strict=True)]
