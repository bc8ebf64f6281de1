"""Parameters and multiply-adds, counted as the published tables count them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Number of learned values; shared ones count once."""
    return sum(p.numel() for p in network.parameters())


def count_multiply_adds(network: nn.Module, input_wh: tuple[int, int]) -> int:
    """Multiply-adds of one image.

    Convolutions and matrix products, plus what the published tables count besides: two per value of
    a norm, one per input value of a global mean, one per output value of an upsampling.

    Args:
        network: Any network of the family; left as it is.
        input_wh: Width and height of the image.
    """
    # torch counts convolutions and products; the hooks below add the rest.
    others = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal others
        if isinstance(module, nn.BatchNorm2d):
            others += 2 * output.numel()
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            others += inputs[0].numel()
        else:
            others += output.numel()

    # Norms, means and upsamplings are all that the published tables count besides.
    handles = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d | nn.AdaptiveAvgPool2d | nn.Upsample)
    ]
    parameter = next(network.parameters())
    width, height = input_wh
    image = torch.zeros(1, 3, height, width, device=parameter.device, dtype=parameter.dtype)

    # One empty image in evaluation mode; hooks and mode are put back.
    training = network.training
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network.eval()(image)
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    # torch counts a multiplication and an addition as two.
    return int(counter.get_total_flops()) // 2 + others
