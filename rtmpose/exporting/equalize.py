"""The same network, shaped so that 8 bits are enough.

Before every convolution each channel is shifted by its typical value and divided by its own range;
the weights and a constant added behind undo both exactly. Then one scale per tensor fits all
channels. Padding is taken into account: where the kernel reaches past the border, the constant is
another, so it is a map as large as the output.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtmpose.model_card import ModelCard
from rtmpose.networks.fuse import fuse_norms
from rtmpose.networks.load import to_tensor

BALANCE = 0.75
"""Share of a channel's range that is taken out of the activations; the weights take the rest (Xiao
et al., SmoothQuant, ICML 2023). Measured best among 0.25, 0.5, 0.75 and 0.9 for RTMPose-s."""
RANGE_PERCENTILE = 99.99
"""Percentile of the values that counts as a channel's range."""
SAMPLES = 512
"""Map cells per image that are sampled for it."""


class EqualizedConv(nn.Module):
    """A convolution on shifted and scaled channels.

    Args:
        conv: Left as it is; a copy of it takes the scale.
        center: Typical value per input channel.
        scale: Divisor per input channel.
        size_hw: Height and width of the input map.
    """

    center: Tensor
    gain: Tensor
    offset: Tensor

    def __init__(
        self, conv: nn.Conv2d, center: Tensor, scale: Tensor, size_hw: tuple[int, int]
    ) -> None:
        super().__init__()
        weight = conv.weight.detach()

        # What the convolution makes of the centers, border included, is added behind.
        flat = center.double().view(1, -1, 1, 1).expand(1, -1, *size_hw)
        moved = nn.functional.conv2d(
            flat, weight.double(), None, conv.stride, conv.padding, conv.dilation, conv.groups
        )
        if conv.padding == (0, 0):  # without padding the constant is the same everywhere
            moved = moved[:, :, :1, :1]
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
        self.register_buffer("center", center.view(1, -1, 1, 1))
        self.register_buffer("gain", (1 / scale).view(1, -1, 1, 1))
        self.register_buffer("offset", (moved + bias.double().view(1, -1, 1, 1)).float())

        # The weights undo the scale: along their inputs, which depthwise filters have as outputs.
        self.conv = copy.deepcopy(conv)
        self.conv.bias = None
        factors = scale.view(-1, 1, 1, 1) if conv.groups > 1 else scale.view(1, -1, 1, 1)
        self.conv.weight = nn.Parameter(weight * factors)

    def forward(self, x: Tensor) -> Tensor:
        """The same values as the convolution it replaces."""
        y: Tensor = self.conv((x - self.center) * self.gain) + self.offset
        return y


def equalize(
    network: nn.Module, card: ModelCard, images: NDArray[np.uint8], balance: float = BALANCE
) -> nn.Module:
    """A copy with every convolution but the first and those of the channel attention equalized.

    Args:
        network: From :func:`rtmpose.networks.load_network`.
        card: Its description.
        images: Crops or frames ``(N, h, w, 3)`` whose activations are measured.
        balance: See :data:`BALANCE`.
    """
    # Norms are folded first: a convolution with its bias is then all there is to equalize.
    network = fuse_norms(network)

    # The first convolution reads pixels, whose channels have one range already.
    convolutions = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.in_channels > 3
    }
    values, sizes = _sample_inputs(network, convolutions, card, images)
    for name, conv in convolutions.items():
        if sizes[name] == (1, 1):  # the gates of the channel attention
            continue
        center, scale = _center_and_scale(torch.cat(values[name], 1).numpy(), conv, balance)
        parent, _, last = name.rpartition(".")
        equalized = EqualizedConv(conv, center, scale, sizes[name])
        setattr(network.get_submodule(parent), last, equalized)
    return network.eval()


def _sample_inputs(
    network: nn.Module,
    convolutions: Mapping[str, nn.Conv2d],
    card: ModelCard,
    images: NDArray[np.uint8],
) -> tuple[dict[str, list[Tensor]], dict[str, tuple[int, int]]]:
    """By layer: samples ``(C, n)`` of its input per image, and the height and width of it."""
    # Hooks sample the inputs of all convolutions while the images pass.
    values: dict[str, list[Tensor]] = {name: [] for name in convolutions}
    sizes: dict[str, tuple[int, int]] = {}
    generator = torch.Generator().manual_seed(0)

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0][0]  # (C, H, W) of the one image
            sizes[name] = (x.shape[1], x.shape[2])
            flat = x.flatten(1)  # (C, H * W)
            count = min(SAMPLES, flat.shape[1])
            cells = torch.randint(flat.shape[1], (count,), generator=generator)
            # A sample misses the extremes, which the range needs.
            extremes = torch.stack([flat.amin(1), flat.amax(1)], 1)
            values[name].append(torch.cat([flat[:, cells], extremes], 1))

        return hook

    handles = [conv.register_forward_pre_hook(watch(name)) for name, conv in convolutions.items()]
    with torch.inference_mode():
        for image in images:
            network(to_tensor(image[None], card.normalization))
    for handle in handles:
        handle.remove()
    return values, sizes


def _center_and_scale(
    samples: NDArray[np.float32], conv: nn.Conv2d, balance: float
) -> tuple[Tensor, Tensor]:
    """Shift and divisor ``(C,)`` for the input channels of a convolution."""
    # The typical value of each channel, and how far it reaches to either side.
    center = np.median(samples, axis=1)
    low = np.percentile(samples, 100 - RANGE_PERCENTILE, axis=1)
    high = np.percentile(samples, RANGE_PERCENTILE, axis=1)
    reach = np.maximum(np.maximum(high - center, center - low), 1e-4)

    # How strongly the weights read each channel.
    weight = conv.weight.detach().abs().numpy()
    if conv.groups > 1:  # one channel, one filter: the weights' own scale takes all of it
        strength = weight.reshape(len(weight), -1).max(1)
        balance = 1.0
    else:
        strength = weight.transpose(1, 0, 2, 3).reshape(weight.shape[1], -1).max(1)

    # Scales around 1, so that the weights keep their size on the whole.
    scale = reach**balance / np.maximum(strength, 1e-6) ** (1 - balance)
    scale /= np.exp(np.log(scale).mean())
    return torch.from_numpy(center.astype(np.float32)), torch.from_numpy(scale.astype(np.float32))
