"""Batch norms in training that starts from an export, whose statistics are gone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from types import MethodType
from typing import Protocol, TypeAlias, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtmpose.networks.layers import ConvModule
from rtmpose.training.task import Batch, SupportsForward, Task

MEASURED = 12
"""Batches that the statistics of an export are estimated from."""

BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm

B = TypeVar("B")


class CenteredConv(Protocol):
    """What :func:`center` adds to a convolution.

    Attributes:
        center: ``(C,)`` buffer that is subtracted from the input.
        border: The padding that the convolution had; it is done before the subtraction.
    """

    center: Tensor
    border: tuple[int, int]


def norms(network: nn.Module) -> list[BatchNorm]:
    """The batch norms of a network, SyncBN included."""
    return [m for m in network.modules() if isinstance(m, BatchNorm)]


def statistics(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """The running mean and variance of a norm, which all norms of this package have."""
    mean = norm.running_mean
    variance = norm.running_var
    assert mean is not None
    assert variance is not None
    return mean, variance


def is_folded(network: nn.Module) -> bool:
    """Whether the norms are those that :mod:`rtmpose.networks.from_onnx` makes: mean 0, variance 1
    - eps.
    """
    found = norms(network)
    return bool(found) and all(_is_neutral(m) for m in found)


def _is_neutral(norm: BatchNorm) -> bool:
    mean, variance = statistics(norm)
    return not bool(mean.any()) and bool((variance - (1 - norm.eps)).abs().max() < 1e-6)


def freeze(network: nn.Module) -> None:
    """Norms use and keep their stored statistics; their gains and offsets still learn."""
    for module in norms(network):
        module.eval()


@torch.no_grad()
def estimate_statistics(
    network: nn.Module, batches: Iterable[B], run: Callable[[nn.Module, B], object]
) -> int:
    """Measure the norms' statistics on data without changing the network's function.

    A norm that multiplies by g and adds c gets the mean m and variance v of its input as
    statistics, gain ``g sqrt(v + eps)`` and offset ``c + g m``. Training with live statistics is
    possible from then on.

    Args:
        network: Changed in place; left in evaluation mode.
        batches: A few hundred crops are enough.
        run: Puts one batch through the network.

    Returns:
        How many batches were used.
    """
    network.eval()  # the stored statistics are used, and not moved by the measurement
    sums: dict[nn.Module, list[Tensor]] = {}

    def add_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # Per channel and in float64: the variance is a difference of two large sums.
        x = inputs[0].double()
        axes = [0, *range(2, x.ndim)]  # all but the channels: batch, and rows and columns if any
        count = torch.tensor(x.numel() / x.shape[1], dtype=torch.float64)
        entry = [count, x.sum(axes), (x * x).sum(axes)]
        if module in sums:
            entry = [a + b for a, b in zip(sums[module], entry, strict=True)]
        sums[module] = entry

    # Sums of the inputs of every norm, over all batches.
    found = norms(network)
    handles = [m.register_forward_pre_hook(add_input) for m in found]
    number = 0
    try:
        for number, batch in enumerate(batches, 1):  # noqa: B007
            run(network, batch)
    finally:
        for handle in handles:
            handle.remove()

    # New statistics, and the gain and offset with which the function stays the same.
    for module in found:
        if module not in sums:  # a norm that no batch went through
            continue

        # Mean and variance of the input per channel, (C,).
        count, total, squares = sums[module]
        mean = total / count
        variance = (squares / count - mean**2).clamp(min=0)

        # The norm as a factor and an offset on its input: y = gain x + offset.
        old_mean, old_variance = statistics(module)
        gain = module.weight.double() / (old_variance.double() + module.eps).sqrt()
        offset = module.bias.double() - gain * old_mean.double()

        # The same factor and offset, written with the new mean and variance.
        module.weight.copy_(gain * (variance + module.eps).sqrt())
        module.bias.copy_(offset + gain * mean)
        old_mean.copy_(mean)
        old_variance.copy_(variance)
    return number


@torch.no_grad()
def balance(network: nn.Module) -> int:
    """Give every filter unit norm and put its size into the gain of the norm behind; the function
    is the same.

    Folding multiplies each filter by gain / sqrt(variance) of its norm: sizes that lie orders of
    magnitude apart. The steps of Adam are of one size for all weights and would wreck the small
    filters.

    Args:
        network: Changed in place; only where its norms are folded, see :func:`is_folded`.

    Returns:
        How many norms were changed.
    """
    if not is_folded(network):
        return 0
    sizes: dict[nn.Module, Tensor] = {}
    changed = 0

    # Each filter is divided by its length, and the norm behind is multiplied by it.
    for module in network.modules():
        conv = getattr(module, "conv", None)
        norm = getattr(module, "bn", None)
        if not isinstance(conv, nn.Conv2d) or norm is None:
            continue
        if conv not in sizes:  # levels may share a convolution
            # (out, in * kh * kw) -> one length per filter.
            size = conv.weight.flatten(1).norm(dim=1)
            sizes[conv] = torch.where(size > 0, size, torch.ones_like(size))
            conv.weight.div_(sizes[conv].view(-1, 1, 1, 1))
        norm.weight.mul_(sizes[conv])
        changed += 1
    return changed


@torch.no_grad()
def unfold(network: nn.Module, task: Task, *, centered: bool) -> None:
    """Prepare a network with folded norms for training; its function stays what it was.

    :func:`balance` where it was read from an export, then :func:`estimate_statistics` and, if
    asked for, :func:`center` on the task's first batches.

    Args:
        network: Changed in place.
        task: Whose batches are used; one without ``forward``
            (:class:`rtmpose.training.task.SupportsForward`) leaves the statistics alone.
        centered: For norms that stay frozen.
    """
    # An export's norms have no statistics to train with: filters first, statistics after.
    balance(network)
    if not isinstance(task, SupportsForward):
        return
    forward = task.forward

    # Augmented like the training's batches; which ones does not matter.
    device = next(network.parameters()).device
    batches = list(itertools.islice(task.batches(0, 0, 0, 1), MEASURED))

    def run(net: nn.Module, batch: Batch) -> None:
        forward(net, {"images": batch["images"].to(device)})

    estimate_statistics(network, batches, run)
    if centered:
        center(network, batches, run)


@torch.no_grad()
def center(network: nn.Module, batches: Iterable[B], run: Callable[[nn.Module, B], object]) -> int:
    """Let convolutions work on their inputs less the inputs' means; the norms behind compensate
    for it.

    Many channels behind SiLU hardly leave the function's floor. With frozen statistics every small
    change of a weight on such a channel shifts the whole map behind, for all images alike: steps of
    a useful size wreck the network. A norm with live statistics would take the shift out again; so
    does this, without the noise of a batch's statistics.

    Args:
        network: Changed in place, its function is not; left in evaluation mode. Its state has a
            buffer ``center`` more per convolution, until :func:`plain` takes them out.
        batches: A few hundred crops are enough.
        run: Puts one batch through the network.

    Returns:
        How many convolutions were changed.
    """
    # Convolutions whose output a norm reads: their means can take up what is subtracted.
    network.eval()
    pairs = list(_normed(network))
    sums: dict[nn.Conv2d, tuple[Tensor, int]] = {}

    def add_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.Conv2d)
        x = inputs[0].double()
        total, count = sums.get(module, (torch.zeros((), dtype=torch.float64), 0))
        # (N, C, H, W) -> sums (C,) and a count.
        sums[module] = (total + x.sum((0, 2, 3)), count + x.numel() // x.shape[1])

    # Sums of the inputs of every convolution, over all batches.
    handles = [conv.register_forward_pre_hook(add_input) for conv in {conv for conv, _ in pairs}]
    try:
        for batch in batches:
            run(network, batch)
    finally:
        for handle in handles:
            handle.remove()

    # The border of zeros lies as far from the means as zeros do: it is added before they are
    # subtracted.
    for conv, (total, count) in sums.items():
        assert not isinstance(conv.padding, str)
        conv.register_buffer("center", (total / count).float())
        cast(CenteredConv, conv).border = (conv.padding[0], conv.padding[1])
        conv.padding = (0, 0)
        conv.register_forward_pre_hook(_less_center)

    # The norms' inputs are less by the response to the centers: their means follow.
    _shift_means(pairs, -1)
    return len(sums)


def fuse(network: nn.Module) -> int:
    """Let convolutions and the frozen norms behind them be computed as one convolution while
    training.

    Frozen norms multiply and add constants. To do so with the weights costs nothing; with whole
    maps it is, with the means that :func:`center` subtracts, about a fifth of a training step on a
    CPU. Functions and gradients are the same. Nothing is fused in mixed precision, where the order
    of operations matters, and where norms follow the batch.

    Args:
        network: Computes in another way from now on, until :func:`plain`; its state is as before.

    Returns:
        How many convolutions it concerns.
    """
    # The forward pass is replaced on the instance: weights, names and state stay the same.
    found = [m for m in network.modules() if isinstance(m, ConvModule)]
    for module in found:
        module.forward = MethodType(_fused, module)  # type: ignore[method-assign]
    return len(found)


@torch.no_grad()
def plain(network: nn.Module) -> nn.Module:
    """A copy of the network without what :func:`center` and :func:`fuse` added, of the same
    function.
    """
    copy = deepcopy(network)
    for module in copy.modules():
        if isinstance(module, ConvModule):
            module.__dict__.pop("forward", None)

    # The means go back to where they were before the centers are taken out.
    pairs = list(_normed(copy))
    _shift_means(pairs, 1)
    for conv in {conv for conv, _ in pairs}:
        centered = _centered(conv)
        if centered is None:
            continue

        # Padding inside the convolution again, and no hook before it.
        conv.padding = centered.border
        del centered.center, centered.border
        hooks = conv._forward_pre_hooks
        for key in [k for k, hook in hooks.items() if hook is _less_center]:
            del hooks[key]
    return copy


def norms_behind(network: nn.Module) -> dict[nn.Module, list[nn.BatchNorm2d]]:
    """The norms that read what a convolution writes; levels may share a convolution, each with its
    own norm.
    """
    found: dict[nn.Module, list[nn.BatchNorm2d]] = {}
    for conv, norm in _normed(network):
        found.setdefault(conv, []).append(norm)
    return found


def _centered(conv: nn.Module) -> CenteredConv | None:
    """The convolution as one that :func:`center` has changed; None for others."""
    return cast(CenteredConv, conv) if hasattr(conv, "center") else None


def _less_center(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The hook that pads a convolution's input and subtracts its center."""
    centered = cast(CenteredConv, module)
    x = inputs[0]
    rows, columns = centered.border
    if rows or columns:
        x = functional.pad(x, (columns, columns, rows, rows))
    return (x - centered.center.to(x.dtype).view(1, -1, 1, 1), *inputs[1:])


def _fused(module: ConvModule, x: Tensor) -> Tensor:
    """The forward pass of a convolution with a frozen norm, as one convolution."""
    conv = module.conv
    norm = module.bn

    # Live statistics come from the batch, and rounding depends on the order of operations.
    if norm.training or torch.is_autocast_enabled(x.device.type):
        return ConvModule.forward(module, x)

    # The norm as a factor per output channel.
    mean, variance = statistics(norm)
    gain = norm.weight * (variance + norm.eps).rsqrt()
    padding = conv.padding

    # Subtracting the center from the input is subtracting its response from the output.
    centered = _centered(conv)
    if centered is not None:
        mean = mean + _response(conv, centered.center.to(mean.dtype))
        padding = centered.border

    # Into the weights (out, in, kh, kw), and one offset per output channel.
    weight = conv.weight * gain.view(-1, 1, 1, 1)
    offset = norm.bias - gain * mean
    y = functional.conv2d(x, weight, offset, conv.stride, padding, conv.dilation, conv.groups)
    activated: Tensor = module.activate(y)
    return activated


def _response(conv: nn.Conv2d, values: Tensor) -> Tensor:
    """What a convolution makes of a map that has these values everywhere."""
    # (out, in, kh, kw) -> (out, in): a constant map meets all taps of a filter.
    taps = conv.weight.to(values.dtype).sum((2, 3))
    # In a depthwise convolution every channel has its own filter.
    return taps[:, 0] * values if conv.groups > 1 else taps @ values


def _normed(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Ordinary and depthwise convolutions with a norm behind; levels may share a convolution."""
    for module in network.modules():
        conv = getattr(module, "conv", None)
        norm = getattr(module, "bn", None)
        if not isinstance(conv, nn.Conv2d) or norm is None:
            continue

        # Only zero padding can be done by the hook, and only these groups have a simple response.
        ordinary = conv.groups in (1, conv.in_channels) and conv.padding_mode == "zeros"
        if ordinary and isinstance(conv.padding, tuple):
            yield conv, norm


def _shift_means(pairs: Iterable[tuple[nn.Conv2d, nn.BatchNorm2d]], sign: int) -> None:
    """Add the response to the centers, times the sign, to the means of the norms behind."""
    for conv, norm in pairs:
        centered = _centered(conv)
        if centered is not None:
            mean, _ = statistics(norm)
            mean.add_(sign * _response(conv, centered.center.double()))
