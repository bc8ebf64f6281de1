"""Making an RTMPose head smaller where channels cannot be taken out: taps of its convolution, units
of its attention.

What goes is made up for as in :mod:`rtmpose.pruning.compensate`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from rtmpose.errors import InputError, ModelError
from rtmpose.networks.rtmpose import RTMPose
from rtmpose.pruning.compensate import InputMoments, Moments, regress
from rtmpose.training.batch_norm import MEASURED
from rtmpose.training.task import Task

Run = Callable[[nn.Module, Any], Any]
"""Puts a batch through a network."""


@torch.no_grad()
def trim_kernel(network: nn.Module, size: int, batches: Iterable[Any], run: Run) -> None:
    """Keep the middle ``size`` x ``size`` taps of the convolution that makes one map per keypoint.

    What the others added on average goes into its bias. In a map of 8x6 cells most of the outer
    taps of a 7x7 kernel reach beyond the border.

    Args:
        network: Changed in place.
        size: Odd, at most what it is.
        batches: A few hundred crops.
        run: See :data:`Run`.

    Raises:
        ModelError: it is no RTMPose.
        InputError: the size does not fit.
    """
    layer = _head(network).final_layer
    before = layer.kernel_size[0]
    if not 0 < size <= before or size % 2 == 0:
        raise InputError(
            f"a kernel of {before}x{before} can be cut down to an odd size below, not to {size}"
        )
    if size == before:
        return
    edge = (before - size) // 2
    outer = layer.weight.clone()
    outer[:, :, edge:-edge, edge:-edge] = 0
    lost: list[Tensor] = []

    def note(module: nn.Conv2d, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].float()
        lost.append(nn.functional.conv2d(x, outer.to(x), padding=module.padding).mean((0, 2, 3)))

    handle = layer.register_forward_pre_hook(note)
    try:
        for batch in batches:
            run(network, batch)
    finally:
        handle.remove()
    layer.weight = nn.Parameter(layer.weight[:, :, edge:-edge, edge:-edge].contiguous())
    layer.kernel_size, layer.padding = (size, size), (size // 2, size // 2)
    layer.bias += torch.stack(lost).mean(0).to(layer.bias.dtype)


@torch.no_grad()
def trim_attention(network: nn.Module, units: int, batches: Iterable[Any], run: Run) -> None:
    """Keep the gated units that matter most to the tokens: variance times the size of what is done
    with it.

    Args:
        network: Changed in place.
        units: How many to keep.
        batches: A few hundred crops.
        run: See :data:`Run`.

    Raises:
        ModelError: it is no RTMPose.
        InputError: there are not as many.
    """
    gau = _head(network).gau
    before = gau.o.in_features
    if not 0 < units <= before:
        raise InputError(
            f"of {before} gated units at least 1 and at most all can be kept, not {units}"
        )
    if units == before:
        return
    layer = "head.gau.o"
    with InputMoments(network, [layer]) as seen:
        for batch in batches:
            run(network, batch)
    moments = seen.found[layer]
    mean = moments.total / moments.count
    variance = (moments.products.diagonal() / moments.count - mean**2).clamp(min=0)
    weight = variance.sqrt() * gau.o.weight.double().norm(dim=0).cpu()
    stay = weight.argsort(descending=True)[:units].sort().values
    gone = torch.tensor(sorted(set(range(before)) - set(stay.tolist())))
    # The layer behind has no bias that could take a constant: a regression through the origin.
    factors, _ = regress(
        Moments(moments.count, torch.zeros_like(mean), moments.products), stay, gone
    )
    out = gau.o.weight.double().cpu()
    out = out[:, stay] + out[:, gone] @ factors.T
    rows = torch.cat([stay, stay + before, torch.arange(2 * before, gau.uv.out_features)])
    gau.uv.weight = nn.Parameter(gau.uv.weight[rows.to(gau.uv.weight.device)].contiguous())
    gau.o.weight = nn.Parameter(out.to(gau.o.weight))
    gau.uv.out_features, gau.o.in_features = len(rows), units


def trim_head(task: Task, kernel: int | None, units: int | None) -> None:
    """Both, on a training task's own crops; None leaves a part alone.

    Args:
        task: Its network is changed in place.
        kernel: See :func:`trim_kernel`.
        units: See :func:`trim_attention`.
    """
    if kernel is None and units is None:
        return
    forward = getattr(task, "forward", None)
    if forward is None:
        raise ModelError(f"{task.card.id} is no RTMPose: its head cannot be trimmed")
    batches = list(itertools.islice(task.batches(0, 0, 0, 1), MEASURED))
    network = task.network.eval()
    if kernel is not None:
        trim_kernel(network, kernel, batches, forward)
    if units is not None:
        trim_attention(network, units, batches, forward)


def _head(network: nn.Module) -> Any:
    if not isinstance(network, RTMPose):
        raise ModelError(
            f"only the head of an RTMPose can be trimmed, not that of a {type(network).__name__}"
        )
    return network.head
