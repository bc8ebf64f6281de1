"""Predicting some channels of a map from others by linear least squares, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGE = 1e-2
"""Ridge penalty over the mean variance of the predicting channels. It keeps the factors small where
channels are nearly copies of each other.
"""

MAX_POSITIONS = 768
"""Positions per image that are used; larger maps are read with a stride."""


@dataclass
class Moments:
    """First and second moments of the channels of a map, summed over positions and images.

    Attributes:
        count: Number of positions.
        total: Sums ``(C,)`` float64.
        products: Sums of products ``(C, C)`` float64.
    """

    count: int
    total: Tensor
    products: Tensor

    @classmethod
    def none(cls) -> Moments:
        """The moments of no positions, to start from."""
        return cls(0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64))

    def add(self, x: Tensor) -> None:
        """Add maps ``(N, C, H, W)`` or tokens ``(N, K, C)``."""
        if x.ndim == 4:  # (N, C, H, W): subsampled, channels last
            step = 1
            while x.shape[2] * x.shape[3] > MAX_POSITIONS * step * step:
                step += 1
            x = x[:, :, ::step, ::step].permute(0, 2, 3, 1)

        # Products of one batch fit float32; the sum over many batches does not.
        rows = x.reshape(-1, x.shape[-1]).float()  # (positions, C)
        self.count += len(rows)
        self.total = self.total + rows.sum(0).double()
        self.products = self.products + (rows.T @ rows).double()


def regress(moments: Moments, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Ridge regression of some channels on others.

    Args:
        moments: Of all channels together.
        inputs: Indices ``(I,)`` of the channels to predict from.
        targets: Indices ``(T,)`` of the channels to predict.

    Returns:
        Factors ``(I, T)`` and offsets ``(T,)``, float64.
    """
    # Mean and covariance of all channels from the sums.
    mean = moments.total / moments.count
    covariance = moments.products / moments.count - torch.outer(mean, mean)

    # Solve (C_ii + ridge) F = C_it for the factors F.
    within = covariance[inputs][:, inputs]
    ridge = RIDGE * within.diagonal().mean().clamp(min=1e-12)
    factors = torch.linalg.solve(
        within + ridge * torch.eye(len(inputs), dtype=within.dtype),
        covariance[inputs][:, targets],
    )
    return factors, mean[targets] - mean[inputs] @ factors
