"""Tracing a network for converters that read TorchScript."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from rtmpose.networks.fuse import fuse_norms


class FlatOutputs(nn.Module):
    """Outputs of a network as a flat tuple: converters do not know lists of maps."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Images to one tensor or a tuple of tensors."""
        outputs = self.network(images)
        # A detector: maps of logits, maps of distances.
        if isinstance(outputs, tuple) and isinstance(outputs[0], list):
            return (*outputs[0], *outputs[1])
        flat: Tensor | tuple[Tensor, ...] = outputs
        return flat


def trace_network(network: nn.Module, input_wh: tuple[int, int]) -> torch.jit.ScriptModule:
    """TorchScript of a network with its norms folded, for one image of that width and height."""
    width, height = input_wh
    example = torch.zeros(1, 3, height, width)  # converters want one fixed shape
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about shapes that are fixed here on purpose
        traced: torch.jit.ScriptModule = torch.jit.trace(FlatOutputs(fuse_norms(network)), example)
    return traced
