"""Losses and targets of pose training, in torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from rtmpose.model_card import Codec


def simcc_targets(
    points: Tensor, weights: Tensor, codec: Codec, input_wh: tuple[int, int]
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Keypoints as Gaussians over the bins of x and y: :func:`rtmpose.ops.simcc.encode` on the
    training device.

    Args:
        points: ``(N, K, 2)`` float32 in input pixels; finite also where the weight is 0.
        weights: ``(N, K)``; 0 for unlabeled points.
        codec: Bins per pixel and spread.
        input_wh: Network input size.

    Returns:
        Targets ``(N, K, 2W)`` and ``(N, K, 2H)`` peaking at 1, and the weights, 0 where the
        Gaussian lies outside; nothing is drawn where the weight is 0.
    """
    # Bins of the keypoints, rounded as the published codec does.
    centers = (points * codec.split_ratio).round()
    inside = torch.ones_like(weights, dtype=torch.bool)
    targets = []
    for axis in range(2):
        size = round(input_wh[axis] * codec.split_ratio)
        spread = float(codec.sigma[axis])
        middle = centers[..., axis]
        # A Gaussian counts where at least its 3-sigma range reaches the bins.
        inside &= (middle - 3 * spread < size) & (middle + 3 * spread + 1 >= 0)
        bins = torch.arange(size, device=points.device, dtype=torch.float32)
        # (N, K, bins)
        targets.append(torch.exp((bins - middle[..., None]) ** 2 * (-0.5 / spread**2)))

    # Points outside or without a label have no target.
    kept = weights * inside
    drawn = (kept > 0)[..., None]
    return (targets[0] * drawn, targets[1] * drawn), kept


def kl_discrete(
    predicted: Sequence[Tensor],
    targets: Sequence[Tensor],
    weights: Tensor | None,
    *,
    beta: float = 10.0,
    label_softmax: bool = True,
    label_beta: float = 10.0,
) -> Tensor:
    """The published SimCC loss: Kullback-Leibler divergence over bins (RTMPose, section 3.2).

    Args:
        predicted: Logits ``(N, K, bins)`` of x and of y.
        targets: The same shapes.
        weights: ``(N, K)``, or None for ones.
        beta: Factor on the logits before their softmax.
        label_softmax: Whether the targets become distributions by a softmax, with ``label_beta``.
        label_beta: Factor on the targets before their softmax.

    Returns:
        The sum over the batch and both axes, of means over keypoints and bins.
    """
    # x and y have different numbers of bins: one divergence each.
    total = predicted[0].new_zeros(())
    for logits, target in zip(predicted, targets, strict=True):
        log_p = functional.log_softmax(logits * beta, dim=-1)
        label = functional.softmax(target * label_beta, dim=-1) if label_softmax else target
        divergence = functional.kl_div(log_p, label, reduction="none").mean(dim=-1)  # (N, K)
        total = total + (divergence if weights is None else divergence * weights).sum()
    return total / predicted[0].shape[1]


def heatmap_targets(
    points: Tensor, weights: Tensor, codec: Codec, input_wh: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Keypoints as UDP heat maps: :func:`rtmpose.ops.heatmap.encode` on the training device.

    Returns:
        Maps ``(N, K, h, w)`` peaking at 1, and the weights ``(N, K)``, 0 where the Gaussian lies
        outside.
    """
    # The published spread, where the card has none.
    assert codec.heatmap_wh is not None
    sigma = float(codec.sigma[0]) if codec.sigma else 2.0
    radius = 3 * sigma
    inside = torch.ones_like(weights, dtype=torch.bool)
    rows = []
    for axis in range(2):
        # The center in map pixels, exact; what is cut off is so around the nearest pixel.
        size = codec.heatmap_wh[axis]
        center = points[..., axis] / ((input_wh[axis] - 1) / (size - 1))
        middle = (center + 0.5).trunc()
        inside &= (middle - radius < size) & (middle + radius + 1 >= 0)
        grid = torch.arange(size, device=points.device, dtype=torch.float32)
        near = (grid - middle[..., None]).abs() <= radius
        rows.append(torch.exp((grid - center[..., None]) ** 2 * (-0.5 / sigma**2)) * near)

    # The two-dimensional Gaussian is the product of its rows and columns.
    kept = weights * inside
    # (N, K, h, w) from (N, K, h, 1) and (N, K, 1, w)
    return rows[1][..., :, None] * rows[0][..., None, :] * (kept > 0)[..., None, None], kept


def keypoint_mse(predicted: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """Mean squared difference of heat maps ``(N, K, h, w)``, each times its weight ``(N, K)``."""
    if weights is None:
        return functional.mse_loss(predicted, targets)
    squares = functional.mse_loss(predicted, targets, reduction="none")  # (N, K, h, w)
    return (squares * weights[..., None, None]).mean()


def distribution_kl(
    predicted: Sequence[Tensor], teacher: Sequence[Tensor], weights: Tensor, *, beta: float = 10.0
) -> Tensor:
    """Kullback-Leibler divergence of the student's bins from the teacher's, both raw logits.

    Args:
        predicted: Logits ``(N, K, bins)`` of x and of y.
        teacher: The same shapes.
        weights: ``(N, K)``.
        beta: Factor on both before their softmax: that of :func:`kl_discrete`.

    Returns:
        As :func:`kl_discrete`: the sum over the batch and axes of means over keypoints and bins.
    """
    return kl_discrete(predicted, teacher, weights, beta=beta, label_beta=beta)
