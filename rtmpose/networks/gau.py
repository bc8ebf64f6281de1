"""The gated attention unit that refines keypoint tokens (Hua et al., ICML 2022; RTMPose, section
3.3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ScaleNorm(nn.Module):
    """Tokens divided by their root mean square, times one learned gain (Nguyen and Salazar, 2019)."""

    def __init__(self, dims: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.scale, self.eps = dims**-0.5, eps
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, K, dims)``; shape is kept."""
        norm = torch.linalg.vector_norm(x, dim=2, keepdim=True) * self.scale
        return x / norm.clamp(min=self.eps) * self.g


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
        self.gamma = nn.Parameter(torch.rand(2, attention))
        self.beta = nn.Parameter(torch.rand(2, attention))
        self.o = nn.Linear(expansion * dims, dims, bias=False)
        self.uv = nn.Linear(dims, 2 * expansion * dims + attention, bias=False)
        self.ln = ScaleNorm(dims)
        self.res_scale = Scale(dims)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(N, K, dims)``; shape is kept."""
        gated, attention = self.o.in_features, self.gamma.shape[1]
        u, v, base = nn.functional.silu(self.uv(self.ln(x))).split([gated, gated, attention], dim=2)
        queries, keys = (base.unsqueeze(2) * self.gamma + self.beta).unbind(dim=2)
        kernel = torch.relu(torch.bmm(queries, keys.transpose(1, 2)) / attention**0.5).square()
        y: Tensor = self.res_scale(x) + self.o(u * torch.bmm(kernel, v))
        return y
