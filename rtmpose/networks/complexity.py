"""Parameters and multiply-adds, counted as the published tables count them."""

from __future__ import annotations

from typing import Any

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
        network: Any network of the family.
        input_wh: Width and height of the image.
    """
    others = 0

    def norm(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal others
        others += 2 * output.numel()

    def pool(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal others
        others += inputs[0].numel()

    def upsample(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal others
        others += output.numel()

    rules = ((nn.BatchNorm2d, norm), (nn.AdaptiveAvgPool2d, pool), (nn.Upsample, upsample))
    handles = [
        module.register_forward_hook(rule)
        for module in network.modules()
        for kind, rule in rules
        if isinstance(module, kind)
    ]
    training = network.training
    parameter = next(network.parameters())
    image = torch.zeros(
        1, 3, input_wh[1], input_wh[0], device=parameter.device, dtype=parameter.dtype
    )
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network.eval()(image)
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return int(counter.get_total_flops()) // 2 + others
