"""The gated attention unit that refines keypoint tokens (Hua et al., ICML 2022; RTMPose, section
3.3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ScaleNorm(nn.Module):
    """Tokens over their root mean square, times one learned gain (Nguyen and Salazar, 2019)."""

    def __init__(self, dims: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.scale = dims**-0.5
        self.eps = eps
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, K, dims)``; shape is kept."""
        # The root mean square of each token, (N, K, 1)
        norm = torch.linalg.vector_norm(x, dim=2, keepdim=True) * self.scale
        return x / norm.clamp(min=self.eps) * self.g  # eps: an all-zero token stays finite


class Scale(nn.Module):
    """One learned factor per channel."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dims))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, K, dims)``; shape is kept."""
        return x * self.scale


class GatedAttentionUnit(nn.Module):
    """Self-attention and gating in one layer, with a squared-ReLU attention kernel.

    Args:
        dims: Token width.
        expansion: Factor of the gated branch's width.
        attention: Width of queries and keys.
    """

    def __init__(self, dims: int = 256, expansion: int = 2, attention: int = 128) -> None:
        super().__init__()

        # Factors and offsets that turn the shared projection into queries and keys.
        self.gamma = nn.Parameter(torch.rand(2, attention))
        self.beta = nn.Parameter(torch.rand(2, attention))
        self.o = nn.Linear(expansion * dims, dims, bias=False)
        self.uv = nn.Linear(dims, 2 * expansion * dims + attention, bias=False)
        self.ln = ScaleNorm(dims)
        self.res_scale = Scale(dims)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(N, K, dims)``; shape is kept."""
        # One projection makes gates, values, and what queries and keys are made from.
        gated = self.o.in_features  # width of gates and values, also of a pruned unit
        attention = self.gamma.shape[1]
        projected = nn.functional.silu(self.uv(self.ln(x)))
        gates, values, shared = projected.split([gated, gated, attention], dim=2)

        # Queries and keys differ by a learned factor and offset only.
        queries, keys = (shared.unsqueeze(2) * self.gamma + self.beta).unbind(dim=2)
        # (N, K, K)
        kernel = torch.relu(torch.bmm(queries, keys.transpose(1, 2)) / attention**0.5).square()
        y: Tensor = self.res_scale(x) + self.o(gates * torch.bmm(kernel, values))
        return y
