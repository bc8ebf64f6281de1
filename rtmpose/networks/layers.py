"""The building blocks that all networks of the family share.

Attribute names are those of the published checkpoints, so that their tensors load without renaming.
All tensors are float32 ``(N, C, H, W)`` unless said otherwise.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvModule(nn.Module):
    """Convolution, batch norm, activation.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        kernel: Odd kernel size; padded so that stride 1 keeps the size.
        stride: Step of the kernel.
        groups: ``inputs`` for a depthwise convolution.
        activation: Behind the norm.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: type[nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()

        # No bias: the norm has an offset.
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(outputs)
        self.activate = activation(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H / stride, W / stride)``."""
        y: Tensor = self.activate(self.bn(self.conv(x)))
        return y


class DepthwiseSeparable(nn.Module):
    """Depthwise and pointwise convolution, each with norm and activation (Chollet, CVPR 2017)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise_conv = ConvModule(inputs, inputs, kernel, stride=stride, groups=inputs)
        self.pointwise_conv = ConvModule(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H / stride, W / stride)``."""
        y: Tensor = self.pointwise_conv(self.depthwise_conv(x))
        return y


def conv_class(depthwise: bool) -> type[ConvModule] | type[DepthwiseSeparable]:
    """The module for k x k convolutions: dense, or depthwise separable in the smallest networks."""
    return DepthwiseSeparable if depthwise else ConvModule


class ChannelAttention(nn.Module):
    """Weights every channel by a gate computed from the global mean of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Conv2d(channels, channels, 1)
        self.act = nn.Hardsigmoid(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Shape is kept."""
        return x * self.act(self.fc(self.global_avgpool(x)))  # the gates are (N, C, 1, 1)


class CSPNeXtBlock(nn.Module):
    """A 3x3 and a depthwise-separable 5x5 convolution; with ``shortcut`` the input is added."""

    def __init__(self, channels: int, *, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        self.conv1 = conv_class(depthwise)(channels, channels, 3)
        self.conv2 = DepthwiseSeparable(channels, channels, 5)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Shape is kept."""
        y: Tensor = self.conv2(self.conv1(x))
        return y + x if self.shortcut else y


class CSPLayer(nn.Module):
    """Cross-stage partial layer: half the channels go through the blocks, half past them (Wang et
    al., 2020).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        blocks: int,
        *,
        shortcut: bool,
        attention: bool,
        depthwise: bool,
    ) -> None:
        super().__init__()
        # Half of the channels for each path, joined again at the end.
        middle = outputs // 2
        self.main_conv = ConvModule(inputs, middle, 1)
        self.short_conv = ConvModule(inputs, middle, 1)
        self.final_conv = ConvModule(2 * middle, outputs, 1)
        self.blocks = nn.Sequential(
            *(CSPNeXtBlock(middle, shortcut=shortcut, depthwise=depthwise) for _ in range(blocks))
        )
        if attention:
            self.attention: ChannelAttention | None = ChannelAttention(2 * middle)
        else:
            self.attention = None

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        # First, as in the published exports: they are read back in the order of execution.
        short = self.short_conv(x)
        y = torch.cat([self.blocks(self.main_conv(x)), short], dim=1)  # (N, 2 * middle, H, W)
        if self.attention is not None:
            y = self.attention(y)
        final: Tensor = self.final_conv(y)
        return final


class SPP(nn.Module):
    """Spatial pyramid pooling: maxima over 5, 9 and 13 pixels joined with the input (He et al.,
    2014).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # Larger windows one by one; the input itself is the window of 1.
        middle = inputs // 2
        self.conv1 = ConvModule(inputs, middle, 1)
        self.poolings = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9, 13))
        self.conv2 = ConvModule(4 * middle, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        x = self.conv1(x)
        # (N, 4 * middle, H, W)
        y: Tensor = self.conv2(torch.cat([x, *(pool(x) for pool in self.poolings)], dim=1))
        return y


def replace_silu(network: nn.Module) -> None:
    """Put hard swish in the place of every SiLU of a network, in place."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.SiLU):
                setattr(module, name, nn.Hardswish(inplace=child.inplace))
