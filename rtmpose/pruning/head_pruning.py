"""Pruning parts of an RTMPose head that channel groups do not cover: taps of its convolution, units
of its gated attention.

What is removed is compensated for as in :mod:`rtmpose.pruning.compensate`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

from rtmpose.errors import InputError, ModelError
from rtmpose.networks.rtmpose import RTMPose, RTMPoseHead
from rtmpose.pruning.compensate import InputMoments
from rtmpose.training.batch_norm import MEASURED
from rtmpose.training.least_squares import Moments, regress
from rtmpose.training.task import SupportsForward, Task

BatchT = TypeVar("BatchT")
Forward = Callable[[nn.Module, BatchT], object]
"""Runs a network on a batch."""


@torch.no_grad()
def prune_kernel(
    network: nn.Module, size: int, batches: Iterable[BatchT], forward: Forward[BatchT]
) -> None:
    """Keep the middle ``size`` x ``size`` taps of the convolution that makes one map per keypoint.

    The mean contribution of the others goes into its bias. In a map of 8x6 cells most of the outer
    taps of a 7x7 kernel reach beyond the border.

    Args:
        network: Changed in place.
        size: Odd, at most the present size.
        batches: A few hundred crops.
        forward: See :data:`Forward`.

    Raises:
        ModelError: it is not an RTMPose.
        InputError: the size does not fit.
    """
    layer = _head_of(network).final_layer
    before = layer.kernel_size[0]
    if not 0 < size <= before or size % 2 == 0:
        raise InputError(
            f"a kernel of {before}x{before} can be pruned to an odd size of at most {before}, not"
            f" to {size}"
        )
    if size == before:
        return

    # A copy of the layer with the outer taps alone says what will be missing.
    edge = (before - size) // 2
    outer = layer.weight.clone()
    outer[:, :, edge:-edge, edge:-edge] = 0
    lost: list[Tensor] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].float()
        lost.append(nn.functional.conv2d(x, outer.to(x), padding=before // 2).mean((0, 2, 3)))

    # The mean response of the outer taps over a few batches.
    handle = layer.register_forward_pre_hook(record)
    try:
        for batch in batches:
            forward(network, batch)
    finally:
        handle.remove()

    # The middle taps, with the padding that keeps the map's size.
    layer.weight = nn.Parameter(layer.weight[:, :, edge:-edge, edge:-edge].contiguous())
    layer.kernel_size = (size, size)
    layer.padding = (size // 2, size // 2)
    assert layer.bias is not None  # RTMPoseHead builds it with a bias
    layer.bias += torch.stack(lost).mean(0).to(layer.bias.dtype)


@torch.no_grad()
def prune_attention(
    network: nn.Module, units: int, batches: Iterable[BatchT], forward: Forward[BatchT]
) -> None:
    """Keep the gated units that matter most to the tokens: those with the largest standard
    deviation times norm of their output weights.

    Args:
        network: Changed in place.
        units: The number of units to keep.
        batches: A few hundred crops.
        forward: See :data:`Forward`.

    Raises:
        ModelError: it is not an RTMPose.
        InputError: there are not as many units.
    """
    attention = _head_of(network).gau
    before = attention.o.in_features
    if not 0 < units <= before:
        raise InputError(f"between 1 and all {before} gated units can be kept, not {units}")
    if units == before:
        return

    # Which units matter, and how well the others predict those that do not.
    layer = "head.gau.o"
    with InputMoments(network, [layer]) as inputs:
        for batch in batches:
            forward(network, batch)

    # Importance: how much a unit varies, times how strongly it is read.
    moments = inputs.found[layer]
    mean = moments.total / moments.count
    variance = (moments.products.diagonal() / moments.count - mean**2).clamp(min=0)
    importance = variance.sqrt() * attention.o.weight.double().norm(dim=0).cpu()  # (units,)
    kept = importance.argsort(descending=True)[:units].sort().values
    removed = torch.tensor(sorted(set(range(before)) - set(kept.tolist())))

    # The layer behind has no bias that could take a constant: a regression through the origin.
    centered = Moments(moments.count, torch.zeros_like(mean), moments.products)
    factors, _ = regress(centered, kept, removed)
    weight = attention.o.weight.double().cpu()
    weight = weight[:, kept] + weight[:, removed] @ factors.T

    # The rows of ``uv`` are the gates, the values, then queries and keys in one.
    rest = torch.arange(2 * before, attention.uv.out_features)
    rows = torch.cat([kept, kept + before, rest]).to(attention.uv.weight.device)
    attention.uv.weight = nn.Parameter(attention.uv.weight[rows].contiguous())
    attention.uv.out_features = len(rows)
    attention.o.weight = nn.Parameter(weight.to(attention.o.weight))
    attention.o.in_features = units


def prune_head(task: Task, kernel: int | None, units: int | None) -> None:
    """Both, on a training task's own crops; None leaves a part alone.

    Args:
        task: Its network is changed in place.
        kernel: See :func:`prune_kernel`.
        units: See :func:`prune_attention`.

    Raises:
        ModelError: its network is not an RTMPose.
        InputError: as :func:`prune_kernel` and :func:`prune_attention`.
    """
    if kernel is None and units is None:
        return
    if not isinstance(task, SupportsForward):
        raise ModelError(f"{task.card.id} is not an RTMPose: its head cannot be pruned")

    # A few batches are enough for means and covariances.
    batches = list(itertools.islice(task.batches(0, 0, 0, 1), MEASURED))
    network = task.network.eval()
    if kernel is not None:
        prune_kernel(network, kernel, batches, task.forward)
    if units is not None:
        prune_attention(network, units, batches, task.forward)


def _head_of(network: nn.Module) -> RTMPoseHead:
    if not isinstance(network, RTMPose):
        raise ModelError(
            f"only the head of an RTMPose can be pruned, not that of a {type(network).__name__}"
        )
    return network.head
