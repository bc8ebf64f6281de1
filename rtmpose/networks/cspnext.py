"""CSPNeXt: the backbone of RTMDet and RTMPose (Lyu et al., arXiv 2212.07784, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from rtmpose.networks.layers import SPP, ConvModule, CSPLayer, conv_class, replace_silu

STAGES = ((64, 128, 3, True), (128, 256, 6, True), (256, 512, 6, True), (512, 1024, 3, False))
"""Input and output channels at width 1, blocks at depth 1, whether blocks have shortcuts; stage 4
starts with SPP.
"""

REDUCED_SUFFIX = "-reduced"
"""In the architecture of a card, before ``-pruned``: see :mod:`rtmpose.networks.reduced`."""

HARDSWISH_SUFFIX = "-hardswish"
"""Likewise, behind ``-reduced``: see :mod:`rtmpose.networks.hardswish`."""

REDUCED_SCALE = 0.75
"""Side of a reduced network's crops over that of the network it was made from."""

_STAGE3_STRIDE = 16


@dataclass(frozen=True)
class CSPNeXtConfig:
    """What shapes a CSPNeXt.

    Attributes:
        depth: Factor on the number of blocks.
        width: Factor on the number of channels.
        depthwise: Separable convolutions in place of dense 3x3 ones.
        attention: Channel attention in every stage.
        enlarge: Height and width that the map of stage 3 is brought to before stage 4; None leaves
            it as it is. See :mod:`rtmpose.networks.reduced`.
        hardswish: Whether stem and stage 1 have hard swish in place of SiLU. See
            :mod:`rtmpose.networks.hardswish`.
    """

    depth: float
    width: float
    depthwise: bool = False
    attention: bool = True
    enlarge: tuple[int, int] | None = None
    hardswish: bool = False

    def channels(self, full: int) -> int:
        """Channels at this width for ``full`` channels at width 1."""
        return int(full * self.width)

    @property
    def stage_channels(self) -> tuple[int, int, int, int]:
        """Output channels of the four stages (strides 4, 8, 16, 32)."""
        a, b, c, d = (self.channels(stage[1]) for stage in STAGES)
        return a, b, c, d


SIZES = {
    "nano": CSPNeXtConfig(0.33, 0.25, depthwise=True),
    "tiny": CSPNeXtConfig(0.167, 0.375),
    "s": CSPNeXtConfig(0.33, 0.5),
    "m": CSPNeXtConfig(0.67, 0.75),
    "l": CSPNeXtConfig(1.0, 1.0),
    "x": CSPNeXtConfig(1.33, 1.25),
}
"""The published sizes; RTMPose-t is built on ``tiny``."""


def enlarged_map(input_wh: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the map that stage 4 of a reduced network reads, for crops of
    ``input_wh``: as large as for the crops of full size.
    """
    width, height = input_wh
    return (
        round(height / REDUCED_SCALE) // _STAGE3_STRIDE,
        round(width / REDUCED_SCALE) // _STAGE3_STRIDE,
    )


class CSPNeXt(nn.Module):
    """The backbone: a stem at stride 2 and four stages at strides 4, 8, 16, 32."""

    def __init__(self, config: CSPNeXtConfig) -> None:
        super().__init__()
        # The stem halves the resolution and brings the channels to those of stage 1.
        stem = config.channels(64)
        self.stem = nn.Sequential(
            ConvModule(3, stem // 2, 3, stride=2),
            ConvModule(stem // 2, stem // 2, 3),
            ConvModule(stem // 2, stem, 3),
        )

        # Four stages: downsampling convolution, SPP in the last one, cross-stage partial layer.
        for number, (inputs, outputs, blocks, shortcut) in enumerate(STAGES, 1):
            c_in = config.channels(inputs)
            c_out = config.channels(outputs)
            # Each stage halves the resolution, then works at it.
            layers: list[nn.Module] = [conv_class(config.depthwise)(c_in, c_out, 3, stride=2)]
            if number == len(STAGES):
                layers.append(SPP(c_out, c_out))
            layers.append(
                CSPLayer(
                    c_out,
                    c_out,
                    max(round(blocks * config.depth), 1),
                    shortcut=shortcut,
                    attention=config.attention,
                    depthwise=config.depthwise,
                )
            )
            self.add_module(f"stage{number}", nn.Sequential(*layers))
        # Corners on corners: the one bilinear rule that all engines share.
        self.enlarge = (
            nn.Upsample(size=config.enlarge, mode="bilinear", align_corners=True)
            if config.enlarge
            else None
        )
        if config.hardswish:
            set_hardswish(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images ``(N, 3, H, W)``, sides multiples of 32, to the maps of the four stages."""
        x = self.stem(x)  # (N, C, H / 2, W / 2)
        maps = []

        # Stage 4 of a reduced network reads an enlarged map.
        for number in range(1, len(STAGES) + 1):
            if number == len(STAGES) and self.enlarge is not None:
                x = self.enlarge(x)
            x = self.get_submodule(f"stage{number}")(x)
            maps.append(x)
        return maps


def set_hardswish(backbone: nn.Module) -> None:
    """Put hard swish in the place of SiLU in stem and stage 1 of a CSPNeXt, in place."""
    for part in ("stem", "stage1"):
        replace_silu(backbone.get_submodule(part))
