"""Which channels of a network have to be removed together.

A channel rarely stands alone: what a shortcut adds, an attention gate multiplies or a depthwise
convolution passes on must be removed or kept in all those places at once. The network is traced,
every channel of every map gets a label, and operations that couple two channels give them one
label. Channels with one label are a *unit*; units that occur in the same places are a *group*.
This holds for every network of the family, without rules per layer. What cannot be followed (the
input image, the outputs, everything behind ``flatten``) is kept whole.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from rtmpose.errors import ModelError

Labels = NDArray[np.int64]
Side = Literal["in", "out"]
Place = tuple[str, Side, int]
"""Layer, side, and which call of it: 0 where all calls share weights."""

Unit = dict[Place, list[int]]
"""The channel indices of one unit, place by place."""

_ELEMENTWISE = (operator.add, operator.mul, operator.sub, torch.add, torch.mul, torch.sub)
_CHANNELWISE = (
    nn.SiLU,
    nn.Hardswish,
    nn.ReLU,
    nn.Hardsigmoid,
    nn.Sigmoid,
    nn.Identity,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Upsample,
    nn.Dropout,
)


@dataclass(frozen=True, eq=False)
class ChannelUse:
    """Where the units of a group lie in one layer.

    Attributes:
        layer: Name of the module; depthwise convolutions, norms and other layers that keep channels
            apart have the side ``out`` only.
        side: Of its input or of its output channels.
        positions: ``(units, copies)`` int64; more than one copy where a map is concatenated with
            itself (SPP).
        area: Map cells per image that the layer is computed for.
    """

    layer: str
    side: Side
    positions: Labels
    area: int


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Units that occur in the same places; each of them can be removed by itself.

    Attributes:
        uses: All those places.
    """

    uses: tuple[ChannelUse, ...]

    def __len__(self) -> int:
        return len(self.uses[0].positions)

    @property
    def name(self) -> str:
        """The first layer that writes these channels."""
        return next(use.layer for use in self.uses if use.side == "out")


@dataclass(frozen=True, eq=False)
class ChannelGraph:
    """A network's graph, independent of its widths: it stays valid while channels are removed.

    Attributes:
        graph: One node per operation.
        areas: Map cells per image that a layer is computed for, by its name, call by call.
    """

    graph: fx.Graph
    areas: Mapping[str, tuple[int, ...]]


def trace(network: nn.Module, input_wh: tuple[int, int]) -> ChannelGraph:
    """Record a network's graph.

    Args:
        network: Any network of the family; left as it is.
        input_wh: Width and height of an image.

    Raises:
        ModelError: the network's control flow depends on its data.
    """
    # fx runs the code with placeholders: control flow by values is an error.
    try:
        graph = fx.Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError) as error:
        raise ModelError(
            f"the channels of a {type(network).__name__} cannot be followed: {error}"
        ) from error
    layers = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    return ChannelGraph(graph, _measure_areas(network, layers, input_wh))


def _measure_areas(
    network: nn.Module, layers: Iterable[str], input_wh: tuple[int, int]
) -> dict[str, tuple[int, ...]]:
    """Map cells that each layer is computed for, from a run on one empty image."""
    names = {network.get_submodule(layer): layer for layer in layers}
    areas: dict[str, list[int]] = {}

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # These two work once per input cell, all others once per output cell.
        by_input = isinstance(module, nn.ConvTranspose2d | nn.AdaptiveAvgPool2d)
        cells = (inputs[0] if by_input else output).shape[2:]
        areas.setdefault(names[module], []).append(math.prod(cells))

    # One run on an empty image, in evaluation mode; the mode is put back.
    parameter = next(network.parameters())
    width, height = input_wh
    image = torch.zeros(1, 3, height, width, device=parameter.device, dtype=parameter.dtype)
    handles = [module.register_forward_hook(record) for module in names]
    training = network.training
    try:
        with torch.inference_mode():
            network.eval()(image)
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return {name: tuple(calls) for name, calls in areas.items()}


class _ChannelLabels:
    """Labels of all channels so far, with a union-find over those that are coupled."""

    def __init__(self) -> None:
        self.parent: list[int] = [0]  # label 0: the channels that must stay
        self.sides: dict[Place, Labels] = {}
        self.calls: Counter[str] = Counter()

    def new(self, count: int) -> Labels:
        """Fresh labels for the channels of a new map."""
        first = len(self.parent)
        self.parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, label: int) -> int:
        """The representative of all labels coupled with this one."""
        while self.parent[label] != label:
            # Halving the path keeps the next look-up short.
            self.parent[label] = self.parent[self.parent[label]]
            label = self.parent[label]
        return label

    def union(self, a: Labels, b: Labels) -> None:
        """Couple labels pairwise; the lower root wins, so that 0 stays 0."""
        for one, other in zip(a.tolist(), b.tolist(), strict=True):
            low, high = sorted((self.root(one), self.root(other)))
            self.parent[high] = low

    def pin(self, labels: Labels | None) -> None:
        """Keep these channels whole: couple them with label 0."""
        if labels is not None:
            self.union(labels, np.zeros_like(labels))

    def record(self, layer: str, side: Side, labels: Labels, call: int = 0) -> Labels:
        """Record the labels of a layer's channels; a layer with weights needs the same at each
        call.
        """
        recorded = self.sides.setdefault((layer, side, call), labels)
        if recorded is not labels:
            self.union(recorded, labels)
        return recorded


def channel_groups(network: nn.Module, graph: ChannelGraph) -> tuple[ChannelGroup, ...]:
    """The groups of channels that can be removed, in the order in which the network writes them.

    Args:
        network: With its present widths.
        graph: From :func:`trace`.
    """
    # Walk the graph once, in the order of execution.
    labels = _ChannelLabels()
    values: dict[fx.Node, Labels | None] = {}
    for node in graph.graph.nodes:
        values[node] = _propagate(node, network, labels, values)

    # A unit is all places with the same root label, except those coupled with what must stay.
    units: dict[int, Unit] = {}
    for place, channels in labels.sides.items():
        for position, label in enumerate(channels.tolist()):
            root = labels.root(label)
            if root != labels.root(0):
                units.setdefault(root, {}).setdefault(place, []).append(position)

    # Units with the same places and the same number of copies form a group.
    alike: dict[tuple[tuple[Place, int], ...], list[Unit]] = {}
    for unit in units.values():
        signature = tuple((place, len(positions)) for place, positions in unit.items())
        alike.setdefault(signature, []).append(unit)
    return tuple(
        ChannelGroup(tuple(_use(place, group, network, graph) for place in group[0]))
        for group in alike.values()
    )


def _use(place: Place, units: list[Unit], network: nn.Module, graph: ChannelGraph) -> ChannelUse:
    layer, side, call = place
    areas = graph.areas[layer]
    # Layers with weights have one entry for all their calls.
    area = sum(areas) if has_channel_weights(network.get_submodule(layer)) else areas[call]
    return ChannelUse(layer, side, np.array([unit[place] for unit in units]), area)


def _propagate(
    node: fx.Node,
    network: nn.Module,
    labels: _ChannelLabels,
    values: Mapping[fx.Node, Labels | None],
) -> Labels | None:
    """Labels of the channels (axis 1) of a node's output; None where they are not followed."""
    # The input image has no labels, and neither has what other operations compute from it.
    inputs = [values[n] for n in node.all_input_nodes]
    result: Labels | None = None
    if node.op == "call_module":
        name = str(node.target)
        result = _propagate_module(name, network.get_submodule(name), inputs[0], labels)
    elif node.op == "call_function" and node.target is torch.cat:
        result = _propagate_concat(node, values)
    elif node.op == "call_function" and node.target in _ELEMENTWISE:
        result = _propagate_elementwise(inputs, labels)

    # Whatever reads channels in another way needs all of them.
    if result is None:
        for channels in inputs:
            labels.pin(channels)
    return result


def _propagate_concat(node: fx.Node, values: Mapping[fx.Node, Labels | None]) -> Labels | None:
    """Maps joined along the channels: their labels one after the other."""
    tensors = node.args[0]
    along_channels = node.kwargs.get("dim") == 1 or node.args[1:] == (1,)
    if not along_channels or not isinstance(tensors, list | tuple):
        return None
    parts = [values[tensor] if isinstance(tensor, fx.Node) else None for tensor in tensors]
    followed = [part for part in parts if part is not None]
    return np.concatenate(followed) if len(followed) == len(parts) else None


def _propagate_elementwise(inputs: list[Labels | None], labels: _ChannelLabels) -> Labels | None:
    """Sums and products couple the channels of their inputs one by one."""
    followed = [channels for channels in inputs if channels is not None]
    if len(followed) != len(inputs) or len({len(channels) for channels in followed}) != 1:
        return None
    for other in followed[1:]:
        labels.union(followed[0], other)
    return followed[0]


def _propagate_module(
    name: str, module: nn.Module, channels: Labels | None, labels: _ChannelLabels
) -> Labels | None:
    """Labels of a layer's output channels; None for a layer that mixes or reshapes them."""
    call = labels.calls[name]
    labels.calls[name] += 1

    # A dense convolution writes new channels: the same ones at every call, as it has one weight.
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.groups == 1:
        if channels is not None:
            labels.record(name, "in", channels)
        written = labels.sides.get((name, "out", 0))
        if written is None:
            written = labels.record(name, "out", labels.new(module.out_channels))
        return written

    if channels is None:
        return None
    if isinstance(module, nn.PixelShuffle):
        # Each output channel is made of a block of input channels, which go together.
        blocks = channels.reshape(-1, module.upscale_factor**2)
        for column in range(1, blocks.shape[1]):
            labels.union(blocks[:, 0], blocks[:, column])
        return np.asarray(blocks[:, 0])
    if isinstance(module, nn.BatchNorm2d) or is_depthwise(module):
        return labels.record(name, "out", channels)
    if isinstance(module, _CHANNELWISE):
        return labels.record(name, "out", channels, call)
    return None


def has_channel_weights(module: nn.Module) -> bool:
    """Whether a layer's parameters have one slice per channel."""
    # A norm's gain, a convolution's filter.
    return isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d)


def is_depthwise(module: nn.Module) -> bool:
    """Whether it is a convolution with one filter per channel."""
    return (
        isinstance(module, nn.Conv2d)
        and 1 < module.groups == module.in_channels == module.out_channels
    )


def reading_uses(network: nn.Module, group: ChannelGroup) -> tuple[ChannelUse, ...]:
    """The convolutions that read a group's channels: where a mask on their input removes a unit."""
    return tuple(
        use
        for use in group.uses
        if use.side == "in" or is_depthwise(network.get_submodule(use.layer))
    )
