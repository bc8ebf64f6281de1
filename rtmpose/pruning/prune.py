"""Structured channel pruning by group Fisher information (Liu et al., Group Fisher Pruning, ICML
2021).

How much the loss would grow without a channel is estimated from the gradient with respect to a mask
on it: per image the sum over positions of activation times gradient, added up over the layers that
read the coupled channels, squared, added up over images (section 3.1). Divided by what the channel
costs this orders channels across the network. The network is trained on between removals, and is a
plain, ever smaller network all the time: there are no masks in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from rtmpose.errors import InputError, ModelError
from rtmpose.model_card import ModelCard
from rtmpose.networks.complexity import count_multiply_adds, count_parameters
from rtmpose.networks.reduced import SUFFIX
from rtmpose.pruning.channel_graph import (
    ChannelGroup,
    channel_groups,
    readers,
    remove_channels,
    saved_memory,
    saved_multiply_adds,
    saved_parameters,
    trace,
    widths_of,
)
from rtmpose.pruning.compensate import InputMoments, Moments, compensate
from rtmpose.pruning.importance import MaskGradients, Scores, fisher_scores, magnitude_scores
from rtmpose.training import batch_norm
from rtmpose.training.task import Task

Loss = Callable[[Any, Any], Tensor]
"""The network (or something called like it) and a batch to a scalar: a mean over the images, or a
multiple of it.
"""

TOLERANCE = 0.01
"""How far below the budget the network may end, as long as there is a choice."""


@dataclass(frozen=True)
class PruneOptions:
    """How channels are chosen and how the network is trained in between.

    Attributes:
        multiply_adds: Budget: prune until one image costs no more.
        parameters: The same for the size of the network; None for no limit. Each round first takes
            what is least important per value, down to its share of this, then what is least
            important by ``per``.
        rounds: Removals on the way; each takes an equal share of the multiply-adds.
        steps: Optimization steps, and batches that the importance is estimated on, before each
            removal.
        chunk: Channels of a group that go together. Widths that are multiples of 8 stay so with 8,
            and CPU engines, which work on 8 or 16 channels at once, gain all that the count
            promises.
        floor: Share of its channels that every group keeps, in whole chunks.
        criterion: ``fisher``; ``magnitude``, the norm of the weights that make a channel; both from
            small to large.
        per: What importance is divided by: the ``memory`` (activations) or the ``multiply-adds``
            saved, or ``nothing``.
        uniform: Take the same share of every group instead of ordering channels across the network.
        decay: What is left of the importance found in earlier rounds.
        learning_rate: Of Adam; constant after the warm-up.
        warmup: Steps over which the rate rises from 0.
        clip: Largest norm of the gradient; 0 for no limit.
        compensate: Change the weights that stay so that they make up for what goes, see
            :mod:`rtmpose.pruning.compensate`.
        bf16: Run the network in bfloat16 where that is safe (autocast); weights, losses and
            importance stay float32.
    """

    multiply_adds: int
    parameters: int | None = None
    rounds: int = 150
    steps: int = 4
    chunk: int = 8
    floor: float = 0.25
    criterion: Literal["fisher", "magnitude"] = "fisher"
    per: Literal["multiply-adds", "memory", "nothing"] = "memory"
    uniform: bool = False
    decay: float = 0.8
    learning_rate: float = 1e-4
    warmup: int = 50
    clip: float = 35.0
    compensate: bool = True
    bf16: bool = False

    def __post_init__(self) -> None:
        budgets = (self.multiply_adds, 1 if self.parameters is None else self.parameters)
        if min(budgets) <= 0 or self.rounds < 1 or self.steps < 1 or self.chunk < 1:
            raise InputError("a budget, rounds, steps and chunk of pruning must be positive")
        if not 0 <= self.floor < 1 or not 0 <= self.decay < 1:
            raise InputError(
                f"floor and decay are shares from 0 to below 1, not {self.floor} and {self.decay}"
            )


@dataclass(frozen=True)
class PruneRound:
    """What is reported after each removal: its number, mean loss before it, channels taken, and
    what is left.
    """

    number: int
    loss: float
    removed: int
    multiply_adds: int
    parameters: int


@dataclass(frozen=True)
class PruneResult:
    """What :func:`prune` did.

    Attributes:
        rounds: In order.
        widths: Group name to channels before and after.
    """

    rounds: tuple[PruneRound, ...]
    widths: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def choose(
    network: nn.Module,
    groups: Sequence[ChannelGroup],
    scores: Scores,
    surplus: int,
    options: PruneOptions,
    full: Sequence[int],
    spare: float = math.inf,
    values: int = 0,
) -> list[list[int]]:
    """The units to take: the least important ones, until the surplus is gone.

    Args:
        network: That the groups are of.
        groups: Its groups.
        scores: Importance of every unit.
        surplus: Multiply-adds to save at least.
        options: The criterion.
        full: Units of every group before any pruning.
        spare: How many more than the surplus may go.
        values: Parameters to save at least.

    Returns:
        Unit indices per group.

    Raises:
        ModelError: every group is down to its floor before the surplus is gone.
    """
    order = [np.argsort(s, kind="stable") for s in scores]
    taken = [0] * len(groups)
    widths = widths_of(network)
    floors = [
        min(max(math.ceil(options.floor * n / options.chunk), 1) * options.chunk, n) for n in full
    ]
    while surplus > 0 or values > 0:
        best: tuple[bool, float, int, int, int, int] | None = None
        for i, group in enumerate(groups):
            count = min(options.chunk, len(group) - taken[i] - floors[i])
            if count <= 0:
                continue
            saved = saved_multiply_adds(network, group, count, widths)
            lighter = saved_parameters(network, group, count, widths)
            if options.uniform:
                score = -(len(group) - taken[i]) / full[i]
            else:
                price = {
                    "multiply-adds": saved,
                    "memory": saved_memory(network, group, count),
                    "nothing": count,
                }
                importance = float(scores[i][order[i][taken[i] : taken[i] + count]].sum())
                score = importance / (lighter if values > 0 else price[options.per])
            # What would miss the budget by far is taken only where nothing else is left.
            candidate = (values <= 0 and saved > surplus + spare, score, i, count, saved, lighter)
            best = candidate if best is None or candidate < best else best
        if best is None:
            raise ModelError(
                f"{max(surplus, 0) / 1e6:.0f} million multiply-adds and {max(values, 0) / 1e6:.2f}"
                " million parameters too many are left, and every group of channels is down to"
                f" {options.floor:.0%}: raise the budget or lower the floor"
            )
        _, _, i, count, saved, lighter = best
        surplus -= saved
        values -= lighter
        taken[i] += count
        for use in groups[i].uses:
            if (use.layer, use.side) in widths:
                widths[use.layer, use.side] -= count * use.positions.shape[1]
    return [order[i][:n].tolist() for i, n in enumerate(taken)]


def prune(
    network: nn.Module,
    input_wh: tuple[int, int],
    batches: Iterator[Any],
    loss: Loss,
    options: PruneOptions,
    on_round: Callable[[PruneRound], None] | None = None,
) -> PruneResult:
    """Train a network and take channels out until it meets a budget.

    Norms stay in evaluation mode: weights read from an export have no statistics that could be
    updated.

    Args:
        network: Changed in place: narrower layers, the same wiring.
        input_wh: Width and height of the images that the budget is for.
        batches: Endless; each batch goes to ``loss``.
        loss: See :data:`Loss`.
        options: Budget and pace.
        on_round: Called after every removal.

    Raises:
        ModelError: the network cannot be followed, the budget cannot be met, or the loss is no
            finite number.
        InputError: the batches ran out.
    """
    wiring = trace(network, input_wh)
    groups = channel_groups(network, wiring)
    full = [len(g) for g in groups]
    names = [g.name for g in groups]
    start = now = count_multiply_adds(network, input_wh)
    heavy = weight = count_parameters(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    scores: Scores = [np.zeros(n) for n in full]
    rounds: list[PruneRound] = []
    training = network.training
    network.eval()
    for number in range(1, options.rounds + 1):
        done = min((number - 0.5) * options.steps, options.warmup)
        for settings in optimizer.param_groups:
            settings["lr"] = options.learning_rate * (
                done / options.warmup if options.warmup else 1
            )
        mean, found, moments = _train(network, groups, batches, loss, optimizer, options)
        scores = [options.decay * old + new for old, new in zip(scores, found, strict=True)]
        target = start + (options.multiply_adds - start) * number // options.rounds
        # A round may run ahead of its share, but not past the budget.
        spare = target - options.multiply_adds * (1 - TOLERANCE)
        light = (
            heavy
            if options.parameters is None
            else heavy + (options.parameters - heavy) * number // options.rounds
        )
        chosen = choose(network, groups, scores, now - target, options, full, spare, weight - light)
        if options.compensate:
            compensate(network, groups, chosen, moments)
        remove_channels(network, zip(groups, chosen, strict=True), optimizer)
        scores = [np.delete(s, units) for s, units in zip(scores, chosen, strict=True)]
        groups = channel_groups(network, wiring)
        now, weight = count_multiply_adds(network, input_wh), count_parameters(network)
        rounds.append(PruneRound(number, mean, sum(map(len, chosen)), now, weight))
        if on_round:
            on_round(rounds[-1])
    network.train(training)
    widths = {name: (n, len(g)) for name, n, g in zip(names, full, groups, strict=True)}
    return PruneResult(tuple(rounds), widths)


def _train(
    network: nn.Module,
    groups: Sequence[ChannelGroup],
    batches: Iterator[Any],
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    options: PruneOptions,
) -> tuple[float, Scores, dict[str, Moments]]:
    """A few steps; the mean loss, the importance of every unit and what the layers read, on those
    batches.
    """
    watched = sorted({use.layer for group in groups for use in readers(network, group)})
    dense = [n for n in watched if options.compensate and _is_dense(network.get_submodule(n))]
    scores: Scores = [np.zeros(len(g)) for g in groups]
    run = _in_bf16(network) if options.bf16 else network
    total = 0.0
    with (
        MaskGradients(network, watched if options.criterion == "fisher" else []) as gradients,
        InputMoments(network, dense) as moments,
    ):
        for _ in range(options.steps):
            batch = next(batches, None)
            if batch is None:
                raise InputError(
                    "the training images ran out before the network was pruned: pass an endless"
                    " iterator"
                )
            value = loss(run, batch)
            if not torch.isfinite(value):
                raise ModelError(
                    "the loss is not a finite number any more: lower the learning rate"
                )
            optimizer.zero_grad()
            value.backward()
            found = (
                fisher_scores(network, groups, gradients.take())
                if options.criterion == "fisher"
                else None
            )
            if options.clip:
                nn.utils.clip_grad_norm_(network.parameters(), options.clip)
            optimizer.step()
            total += float(value.detach())
            if found is not None:
                scores = [old + new for old, new in zip(scores, found, strict=True)]
    if options.criterion == "magnitude":
        scores = magnitude_scores(network, groups)
    return total / options.steps, scores, moments.found


def _is_dense(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == 1


def _in_bf16(network: nn.Module) -> Callable[..., Any]:
    device = next(network.parameters()).device.type

    def run(images: Tensor) -> Any:
        with torch.autocast(device, torch.bfloat16):
            return _as_float(network(images))

    return run


def _as_float(output: Any) -> Any:
    if isinstance(output, Tensor):
        return output.float()
    return type(output)(_as_float(part) for part in output)


def endless(task: Task, seed: int) -> Iterator[Any]:
    """The task's batches, epoch after epoch."""
    epoch = 0
    while True:
        yield from task.batches(epoch, seed, 0, 1)
        epoch += 1


def prune_task(
    task: Task,
    options: PruneOptions,
    *,
    seed: int = 0,
    on_round: Callable[[PruneRound], None] | None = None,
) -> PruneResult:
    """Prune the network of a training task with the task's own data and losses; its card is made to
    fit.

    Args:
        task: Its network is changed in place.
        options: Budget and pace.
        seed: Of the order of the data.
        on_round: Called after every removal.

    Raises:
        ModelError: as :func:`prune` and :func:`pruned_card`.
    """
    pruned_card(task.card, task.network)  # complain before the work rather than after
    task.network.to(memory_format=torch.channels_last)
    batch_norm.unfold(task.network, task, centered=True)

    def loss(network: Any, batch: Any) -> Tensor:
        return torch.stack([value.float() for value in task.losses(network, batch).values()]).sum()

    batches = endless(task, seed)
    try:
        result = prune(task.network, task.card.input_wh, batches, loss, options, on_round)
    finally:
        batches.close()  # type: ignore[attr-defined]
    task.network = batch_norm.plain(task.network)
    task.card = pruned_card(task.card, task.network)
    return result


def pruned_card(card: ModelCard, network: nn.Module, notes: str = "") -> ModelCard:
    """The card of what pruning made of a model: says that the file's own widths hold, with its size
    and cost.

    Raises:
        ModelError: pruned networks of that architecture cannot be read back.
    """
    family = card.architecture.removesuffix("-pruned")
    base = family.removesuffix(SUFFIX)
    if family.endswith("-humanart"):
        raise ModelError(
            f"{card.id} keeps unused classes; a pruned {family} cannot be read back. Prune another"
            " model"
        )
    return replace(
        card,
        id=(
            card.id
            if "-pruned" in card.architecture + card.id
            else card.id.replace(base, f"{base}-pruned", 1)
        ),
        architecture=f"{family}-pruned",
        aliases=(),
        files=(),
        published={},
        params_m=round(count_parameters(network) / 1e6, 2),
        gflops=round(count_multiply_adds(network, card.input_wh) / 1e9, 3),
        notes=notes
        or f"Channels of {card.id} pruned by group Fisher information; not the layer widths of {family}.",
    )
