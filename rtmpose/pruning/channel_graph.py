"""Which channels of a network belong together, and taking them out.

A channel rarely stands alone: what a shortcut adds, an attention gate multiplies or a depthwise
convolution passes on has to go or stay in all those places at once. The network is traced, every
channel of every map gets a label, and operations that need two channels to stay together give them
one label. Channels with one label are a *unit*; units that occur in the same places are a *group*.
This holds for every network of the family, with nothing said about its layers by hand. What cannot
be followed (the input image, the outputs, everything behind ``flatten``) is kept whole.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from rtmpose.errors import ModelError

Labels = NDArray[np.int64]
Side = Literal["in", "out"]
Place = tuple[str, Side, int]
"""Layer, side, and which call of it: 0 where all calls share weights."""

_ELEMENTWISE = (operator.add, operator.mul, operator.sub, torch.add, torch.mul, torch.sub)
_CHANNELWISE = (
    nn.SiLU,
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
        positions: ``(units, copies)`` int64; more than one copy where a map is joined with itself
            (SPP).
        area: Map cells per image that the layer is computed for.
    """

    layer: str
    side: Side
    positions: Labels
    area: int


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Units that occur in the same places; each can be taken out, one by one.

    Attributes:
        uses: All those places.
    """

    uses: tuple[ChannelUse, ...]

    def __len__(self) -> int:
        return len(self.uses[0].positions)

    @property
    def name(self) -> str:
        """The first layer that makes these channels."""
        return next(use.layer for use in self.uses if use.side == "out")


@dataclass(frozen=True, eq=False)
class ChannelGraph:
    """A network's graph, independent of its widths: it stays valid while channels are taken out.

    Attributes:
        graph: One node per operation.
        areas: Map cells per image that a layer is computed for, by its name, call by call.
    """

    graph: fx.Graph
    areas: Mapping[str, tuple[int, ...]]


def trace(network: nn.Module, input_wh: tuple[int, int]) -> ChannelGraph:
    """Follow a network's graph.

    Args:
        network: Any network of the family; left as it is.
        input_wh: Width and height of an image.

    Raises:
        ModelError: the network's control flow depends on its data.
    """
    try:
        graph = fx.Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError) as error:
        raise ModelError(
            f"the channels of a {type(network).__name__} cannot be followed: {error}"
        ) from error
    names = {
        network.get_submodule(n.target): str(n.target) for n in graph.nodes if n.op == "call_module"
    }
    areas: dict[str, list[int]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        by_input = isinstance(module, nn.ConvTranspose2d | nn.AdaptiveAvgPool2d)
        areas.setdefault(names[module], []).append(
            math.prod((inputs[0] if by_input else output).shape[2:])
        )

    handles = [module.register_forward_hook(note) for module in names]
    parameter = next(network.parameters())
    image = torch.zeros(
        1, 3, input_wh[1], input_wh[0], device=parameter.device, dtype=parameter.dtype
    )
    training = network.training
    try:
        with torch.inference_mode():
            network.eval()(image)
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return ChannelGraph(graph, {name: tuple(calls) for name, calls in areas.items()})


class _Followed:
    """The labels so far: what :func:`channel_groups` gathers on its way along the graph."""

    def __init__(self) -> None:
        self.parent: list[int] = [0]  # label 0: the channels that stay
        self.sides: dict[Place, Labels] = {}
        self.calls: Counter[str] = Counter()

    def new(self, count: int) -> Labels:
        first = len(self.parent)
        self.parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, label: int) -> int:
        while self.parent[label] != label:
            self.parent[label] = self.parent[self.parent[label]]
            label = self.parent[label]
        return label

    def join(self, a: Iterable[int], b: Iterable[int]) -> None:
        for one, other in zip(a, b, strict=True):
            low, high = sorted((self.root(one), self.root(other)))
            self.parent[high] = low

    def keep(self, values: Labels | None) -> None:
        if values is not None:
            self.join(values.tolist(), [0] * len(values))

    def note(self, layer: str, side: Side, labels: Labels, call: int = 0) -> Labels:
        """Note the labels of a layer's channels; a layer with weights needs the same at each call."""
        known = self.sides.setdefault((layer, side, call), labels)
        if known is not labels:
            self.join(known.tolist(), labels.tolist())
        return known


def channel_groups(network: nn.Module, wiring: ChannelGraph) -> tuple[ChannelGroup, ...]:
    """The groups of channels that can be taken out, in the order in which the network makes them.

    Args:
        network: With today's widths.
        wiring: From :func:`trace`.
    """
    followed = _Followed()
    values: dict[fx.Node, Labels | None] = {}
    for node in wiring.graph.nodes:
        values[node] = _follow(node, network, followed, values)

    places: dict[int, dict[Place, list[int]]] = {}
    for place, labels in followed.sides.items():
        for position, label in enumerate(labels.tolist()):
            root = followed.root(label)
            if root != followed.root(0):
                places.setdefault(root, {}).setdefault(place, []).append(position)
    alike: dict[tuple[tuple[Place, int], ...], list[dict[Place, list[int]]]] = {}
    for unit in places.values():
        alike.setdefault(tuple((place, len(at)) for place, at in unit.items()), []).append(unit)
    return tuple(
        ChannelGroup(tuple(_use(place, units, network, wiring) for place in units[0]))
        for units in alike.values()
    )


def _use(
    place: Place, units: list[dict[Place, list[int]]], network: nn.Module, wiring: ChannelGraph
) -> ChannelUse:
    layer, side, call = place
    areas = wiring.areas[layer]
    area = sum(areas) if _weighted(network.get_submodule(layer)) else areas[call]
    return ChannelUse(layer, side, np.array([unit[place] for unit in units]), area)


def _follow(
    node: fx.Node, network: nn.Module, followed: _Followed, values: Mapping[fx.Node, Labels | None]
) -> Labels | None:
    """Labels of the channels (axis 1) that a node puts out; None where they are not followed."""
    inputs = [values[n] for n in node.all_input_nodes]
    if node.op == "call_module":
        result = _follow_module(
            str(node.target), network.get_submodule(str(node.target)), inputs[0], followed
        )
        if result is not None:
            return result
    elif node.op == "call_function" and node.target is torch.cat:
        parts = [values[n] for n in node.args[0]]
        known = [labels for labels in parts if labels is not None]
        if len(known) == len(parts) and (node.kwargs.get("dim") == 1 or node.args[1:] == (1,)):
            return np.concatenate(known)
    elif node.op == "call_function" and node.target in _ELEMENTWISE:
        known = [labels for labels in inputs if labels is not None]
        if len(known) == len(inputs) and len({len(labels) for labels in known}) == 1:
            for other in known[1:]:
                followed.join(known[0].tolist(), other.tolist())
            return known[0]
    for labels in inputs:
        followed.keep(labels)
    return None


def _follow_module(
    name: str, module: nn.Module, labels: Labels | None, followed: _Followed
) -> Labels | None:
    call, followed.calls[name] = followed.calls[name], followed.calls[name] + 1
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.groups == 1:
        if labels is not None:
            followed.note(name, "in", labels)
        known = followed.sides.get((name, "out", 0))
        return (
            followed.note(name, "out", followed.new(module.out_channels))
            if known is None
            else known
        )
    if labels is None:
        return None
    if isinstance(module, nn.PixelShuffle):
        rows = labels.reshape(-1, module.upscale_factor**2)
        for column in range(1, rows.shape[1]):
            followed.join(rows[:, 0].tolist(), rows[:, column].tolist())
        return np.asarray(rows[:, 0])
    if isinstance(module, nn.BatchNorm2d) or _is_depthwise(module):
        return followed.note(name, "out", labels)
    if isinstance(module, _CHANNELWISE):
        return followed.note(name, "out", labels, call)
    return None


def _weighted(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d)


def _is_depthwise(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and 1 < module.groups == module.in_channels == module.out_channels
    )


def readers(network: nn.Module, group: ChannelGroup) -> tuple[ChannelUse, ...]:
    """The convolutions that read a group's channels: where a mask on their input takes a unit out."""
    return tuple(
        u for u in group.uses if u.side == "in" or _is_depthwise(network.get_submodule(u.layer))
    )


def widths_of(network: nn.Module) -> dict[tuple[str, Side], int]:
    """Channels on each side of each convolution."""
    widths: dict[tuple[str, Side], int] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            widths[name, "in"], widths[name, "out"] = module.in_channels, module.out_channels
    return widths


def saved_multiply_adds(
    network: nn.Module, group: ChannelGroup, units: int, widths: Mapping[tuple[str, Side], int]
) -> int:
    """Multiply-adds that go with units of a group, counted as
    :func:`rtmpose.networks.count_multiply_adds` does.

    Args:
        network: Its kernels and kinds of layers count, its widths do not.
        group: Whose units are taken.
        units: How many.
        widths: What is left of each layer before, see :func:`widths_of`.
    """
    return _saved(network, group, units, widths, of_values=False)


def saved_parameters(
    network: nn.Module, group: ChannelGroup, units: int, widths: Mapping[tuple[str, Side], int]
) -> int:
    """Learned values that go with units of a group; arguments as :func:`saved_multiply_adds`."""
    return _saved(network, group, units, widths, of_values=True)


def _saved(
    network: nn.Module,
    group: ChannelGroup,
    units: int,
    widths: Mapping[tuple[str, Side], int],
    of_values: bool,
) -> int:
    dense: dict[tuple[str, int], Counter[str]] = {}
    saved = 0
    for use in group.uses:
        module, lost = network.get_submodule(use.layer), units * use.positions.shape[1]
        area = 1 if of_values else use.area
        if of_values and use.side == "out" and isinstance(getattr(module, "bias", None), Tensor):
            saved += lost if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) else 0
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not _is_depthwise(module):
            dense.setdefault((use.layer, area), Counter())[use.side] += lost
        elif isinstance(module, nn.Conv2d):
            saved += area * math.prod(module.kernel_size) * lost
        elif isinstance(module, nn.BatchNorm2d):
            saved += 2 * area * lost
        elif isinstance(module, nn.AdaptiveAvgPool2d | nn.Upsample) and not of_values:
            saved += area * lost
    for (layer, area), lost_on in dense.items():
        a, b = widths[layer, "in"], widths[layer, "out"]
        left = (a - lost_on["in"]) * (b - lost_on["out"])
        saved += area * math.prod(network.get_submodule(layer).kernel_size) * (a * b - left)
    return saved


def saved_memory(network: nn.Module, group: ChannelGroup, units: int) -> int:
    """Values of activations per image that go with units of a group: those that convolutions write."""
    return sum(
        use.area * units * use.positions.shape[1]
        for use in group.uses
        if use.side == "out"
        and isinstance(network.get_submodule(use.layer), nn.Conv2d | nn.ConvTranspose2d)
    )


def remove_channels(
    network: nn.Module,
    cuts: Iterable[tuple[ChannelGroup, Any]],
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Take units out of a network, in place: it stays a plain network with fewer channels.

    Parameters keep their identity, so an optimizer goes on with what is left of its state.

    Args:
        network: That the groups were made of, with the widths it had then.
        cuts: Groups, each with the indices of the units that go.
        optimizer: Whose state is cut along.

    Raises:
        ModelError: a layer would be left without channels.
    """
    going: dict[tuple[str, Side], list[int]] = {}
    for group, units in cuts:
        for use in group.uses:
            going.setdefault((use.layer, use.side), []).extend(
                use.positions[np.asarray(units, np.int64)].ravel()
            )
    for (layer, side), positions in going.items():
        module = network.get_submodule(layer)
        if not _weighted(module):
            continue
        transposed = isinstance(module, nn.ConvTranspose2d)
        axis = int((side == "in") != transposed)
        width = module.weight.shape[axis]
        keep = torch.from_numpy(np.setdiff1d(np.arange(width), positions)).to(module.weight.device)
        if not len(keep):
            raise ModelError(f"{layer} would be left without {side}put channels")
        _select(module, "weight", axis, keep, optimizer)
        reads = side == "in" or _is_depthwise(module)
        if (
            reads and getattr(module, "center", None) is not None
        ):  # rtmpose.training.batch_norm.center
            _select(module, "center", 0, keep, optimizer)
        if side == "out":
            for name in ("bias", "running_mean", "running_var"):
                if getattr(module, name, None) is not None:
                    _select(module, name, 0, keep, optimizer)
        _tell(module, side, len(keep))


def _select(
    module: nn.Module, name: str, axis: int, keep: Tensor, optimizer: torch.optim.Optimizer | None
) -> None:
    value = getattr(module, name)
    before = value.shape
    value.grad = None
    if optimizer is not None and value in optimizer.state:
        state = optimizer.state[value]
        for key, entry in state.items():
            if isinstance(entry, Tensor) and entry.shape == before:
                state[key] = entry.index_select(axis, keep)
    channels_last = value.ndim == 4 and value.is_contiguous(memory_format=torch.channels_last)
    cut = value.data.index_select(axis, keep)
    value.data = cut.contiguous(memory_format=torch.channels_last) if channels_last else cut


def _tell(module: nn.Module, side: Side, width: int) -> None:
    """The widths that a layer knows of itself."""
    if isinstance(module, nn.BatchNorm2d):
        module.num_features = width
    elif _is_depthwise(module):
        module.groups = module.in_channels = module.out_channels = width
    elif side == "in":
        module.in_channels = width
    else:
        module.out_channels = width
