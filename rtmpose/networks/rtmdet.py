"""RTMDet: an anchor-free one-stage detector (Lyu et al., arXiv 2212.07784).

The way of an image: CSPNeXt -> CSPNeXt-PAFPN -> per level class logits and four distances to the
sides of the box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rtmpose.networks.cspnext import CSPNeXt, CSPNeXtConfig
from rtmpose.networks.layers import conv_class, replace_silu
from rtmpose.networks.pafpn import CSPNeXtPAFPN

STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class RTMDetConfig:
    """What shapes an RTMDet.

    Attributes:
        backbone: Its backbone.
        channels: Of neck and head.
        blocks: Per layer of the neck.
        classes: Number of classes.
        share_conv: One set of head convolutions for all levels, each level with its own norms.
        exp_on_reg: Distances are the exponential of the head's outputs.
        input_wh: Width and height it was trained for; any multiples of 32 work.
        hardswish: Whether backbone, neck and head have hard swish in place of SiLU. See
            :mod:`rtmpose.networks.hardswish`.
    """

    backbone: CSPNeXtConfig
    channels: int
    blocks: int
    classes: int = 1
    share_conv: bool = True
    exp_on_reg: bool = False
    input_wh: tuple[int, int] = (640, 640)
    hardswish: bool = False


class RTMDetHead(nn.Module):
    """Separate towers of two convolutions for class and box."""

    def __init__(self, config: RTMDetConfig) -> None:
        super().__init__()
        depthwise = config.backbone.depthwise
        c = config.channels
        self.exp_on_reg = config.exp_on_reg

        # One tower per level; the nano has separate weights, the others share them (below).
        def tower() -> nn.ModuleList:
            conv = conv_class(depthwise)
            return nn.ModuleList(nn.Sequential(conv(c, c, 3), conv(c, c, 3)) for _ in STRIDES)

        self.cls_convs = tower()
        self.reg_convs = tower()
        if config.share_conv:
            # Levels share convolutions but keep their norms.
            for levels in (self.cls_convs, self.reg_convs):
                for level in list(levels)[1:]:
                    for module, first in zip(level.children(), levels[0].children(), strict=True):
                        module.conv = first.conv

        # One logit per class and four distances per cell, level by level.
        self.rtm_cls = nn.ModuleList(nn.Conv2d(c, config.classes, 1) for _ in STRIDES)
        self.rtm_reg = nn.ModuleList(nn.Conv2d(c, 4, 1) for _ in STRIDES)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small random weights; class biases that say 1 % at first (focal-loss initialization)."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.constant_(module.bias, -math.log(99) if "rtm_cls" in name else 0.0)

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Per level, class logits ``(N, C, H, W)``, distances ``(N, 4, H, W)`` in input pixels."""
        logits = []
        distances = []

        # Distances are predicted in cells; the stride makes pixels of them.
        for level, (x, stride) in enumerate(zip(maps, STRIDES, strict=True)):
            logits.append(self.rtm_cls[level](self.cls_convs[level](x)))
            sides = self.rtm_reg[level](self.reg_convs[level](x))
            distances.append((sides.exp() if self.exp_on_reg else sides) * stride)
        return logits, distances


class RTMDet(nn.Module):
    """The detector up to the head's maps; :func:`rtmpose.ops.rtmdet.decode` makes boxes of them."""

    def __init__(self, config: RTMDetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = CSPNeXt(config.backbone)
        self.neck = CSPNeXtPAFPN(
            config.backbone.stage_channels[1:],
            config.channels,
            config.blocks,
            depthwise=config.backbone.depthwise,
        )
        self.bbox_head = RTMDetHead(config)
        if config.hardswish:
            replace_silu(self)

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Normalized images ``(N, 3, H, W)``, sides multiples of 32, to the head's maps; see
        :class:`RTMDetHead`.
        """
        maps: tuple[list[Tensor], list[Tensor]] = self.bbox_head(
            self.neck(self.backbone(images)[1:])
        )
        return maps


class RTMDetBoxes(nn.Module):
    """An RTMDet that returns all candidate boxes and scores in two tensors, as exports without NMS
    do.
    """

    def __init__(self, network: RTMDet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images to boxes ``(N, A, 4)`` xyxy in input pixels and scores ``(N, A, C)`` in 0..1."""
        logits, distances = self.network(images)
        boxes = []
        scores = []
        for level, sides, stride in zip(logits, distances, STRIDES, strict=True):
            # Distances are measured from the upper left corner of each cell.
            height, width = level.shape[2:]
            y = torch.arange(height, device=level.device, dtype=level.dtype) * stride
            x = torch.arange(width, device=level.device, dtype=level.dtype) * stride
            points = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])
            corners = torch.cat([points - sides[:, :2], points + sides[:, 2:]], dim=1)
            # One row per cell, all levels one after the other.
            boxes.append(corners.flatten(2).transpose(1, 2))
            scores.append(level.flatten(2).transpose(1, 2).sigmoid())
        return torch.cat(boxes, dim=1), torch.cat(scores, dim=1)
