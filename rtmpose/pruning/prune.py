"""Structured channel pruning by group Fisher information (Liu et al., Group Fisher Pruning, ICML
2021).

How much the loss would grow without a channel is estimated from the gradient with respect to a mask
on it: per image the sum over positions of activation times gradient, added up over the layers that
read the coupled channels, squared, added up over images (section 3.1). Divided by what the channel
costs this orders channels across the network. The network is trained on between removals, and is a
plain, ever smaller network all the time: there are no masks in it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from rtmpose.errors import InputError, ModelError
from rtmpose.model_card import ModelCard
from rtmpose.networks.complexity import count_multiply_adds, count_parameters
from rtmpose.networks.cspnext import REDUCED_SUFFIX
from rtmpose.pruning.channel_graph import ChannelGroup, channel_groups, reading_uses, trace
from rtmpose.pruning.compensate import InputMoments, compensate
from rtmpose.pruning.importance import MaskGradients, Scores, fisher_scores, magnitude_scores
from rtmpose.pruning.options import PruneOptions, PruneResult, PruneRound
from rtmpose.pruning.removal import remove_channels
from rtmpose.pruning.selection import select_units
from rtmpose.training import batch_norm
from rtmpose.training.devices import to_device
from rtmpose.training.least_squares import Moments
from rtmpose.training.task import Batch, Task

BatchT = TypeVar("BatchT")
Loss = Callable[[nn.Module, BatchT], Tensor]
"""The network (or one that wraps it) and a batch to a scalar: a mean over the images, or a multiple
of it.
"""

OnRound = Callable[[PruneRound], None]

TOLERANCE = 0.01
"""How far below the budget the network may end, as long as there is a choice."""


def prune(
    network: nn.Module,
    input_wh: tuple[int, int],
    batches: Iterator[BatchT],
    loss: Loss[BatchT],
    options: PruneOptions,
    on_round: OnRound | None = None,
) -> PruneResult:
    """Train a network and remove channels until it meets a budget.

    Norms stay in evaluation mode: weights read from an export have no statistics that could be
    updated.

    Args:
        network: Changed in place: narrower layers, the same graph.
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
    rounds = _Rounds(network, input_wh, options)
    done: list[PruneRound] = []

    # Norms keep their statistics; the mode comes back at the end.
    training = network.training
    network.eval()
    for number in range(1, options.rounds + 1):
        done.append(rounds.one(number, batches, loss))
        if on_round:
            on_round(done[-1])
    network.train(training)
    return PruneResult(tuple(done), rounds.widths())


class _Rounds:
    """The network that gets narrower, and what is carried from round to round.

    Args:
        network: Changed in place.
        input_wh: Width and height of the images that the budget is for.
        options: Budget and pace.
    """

    def __init__(
        self, network: nn.Module, input_wh: tuple[int, int], options: PruneOptions
    ) -> None:
        self.network = network
        self.input_wh = input_wh
        self.options = options

        # The graph stays valid while channels go; the groups are made anew after each removal.
        self.graph = trace(network, input_wh)
        self.groups = channel_groups(network, self.graph)
        self.names = [group.name for group in self.groups]
        self.full_sizes = [len(group) for group in self.groups]
        self.start = _cost(network, input_wh)
        self.cost = self.start

        # Adam's state, and the importance found so far.
        self.optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
        self.scores: Scores = [np.zeros(size) for size in self.full_sizes]

    def one(self, number: int, batches: Iterator[BatchT], loss: Loss[BatchT]) -> PruneRound:
        """Train a little, remove the least important channels, and count what is left."""
        # The training also measures importance; older measurements fade.
        options = self.options
        _set_learning_rate(self.optimizer, options, number)
        mean_loss, found, moments = _train(
            self.network, self.groups, batches, loss, self.optimizer, options
        )
        pairs = zip(self.scores, found, strict=True)
        self.scores = [options.score_decay * old + new for old, new in pairs]

        # The cost of what is left decides how much the next round takes.
        selected = self._selected(number)
        self._remove(selected, moments)
        self.cost = _cost(self.network, self.input_wh)
        return PruneRound(number, mean_loss, sum(map(len, selected)), *self.cost)

    def widths(self) -> dict[str, tuple[int, int]]:
        """Widths before and after, by group."""
        sizes = zip(self.full_sizes, map(len, self.groups), strict=True)
        return dict(zip(self.names, sizes, strict=True))

    def _selected(self, number: int) -> list[list[int]]:
        """The units of every group that go in a round."""
        # A round may run ahead of its share of the budget, but not past the budget.
        multiply_adds, parameters = self.cost
        target, target_parameters = _targets(self.start, self.options, number)
        return select_units(
            self.network,
            self.groups,
            self.scores,
            self.options,
            self.full_sizes,
            excess_multiply_adds=multiply_adds - target,
            excess_parameters=parameters - target_parameters,
            max_overshoot=target - self.options.max_multiply_adds * (1 - TOLERANCE),
        )

    def _remove(self, selected: list[list[int]], moments: dict[str, Moments]) -> None:
        """Take units out of the network."""
        # Weights are corrected while the channels they correct for are still there.
        if self.options.compensate:
            compensate(self.network, self.groups, selected, moments)
        remove_channels(self.network, zip(self.groups, selected, strict=True), self.optimizer)
        pairs = zip(self.scores, selected, strict=True)
        self.scores = [np.delete(values, units) for values, units in pairs]
        self.groups = channel_groups(self.network, self.graph)


def _cost(network: nn.Module, input_wh: tuple[int, int]) -> tuple[int, int]:
    """Multiply-adds of one image, and parameters."""
    return count_multiply_adds(network, input_wh), count_parameters(network)


def _targets(start: tuple[int, int], options: PruneOptions, number: int) -> tuple[int, int]:
    """Multiply-adds and parameters that a round may leave: equal steps from the start to the
    budget.
    """
    # Without a limit for parameters they may stay as they are.
    multiply_adds, parameters = start
    goal = parameters if options.max_parameters is None else options.max_parameters
    return (
        multiply_adds + (options.max_multiply_adds - multiply_adds) * number // options.rounds,
        parameters + (goal - parameters) * number // options.rounds,
    )


def _set_learning_rate(
    optimizer: torch.optim.Optimizer, options: PruneOptions, number: int
) -> None:
    """The rate in the middle of a round: linear warm-up, then constant."""
    # Steps done in the middle of the round, at most those of the warm-up.
    done = min((number - 0.5) * options.steps_per_round, options.warmup_steps)
    share = done / options.warmup_steps if options.warmup_steps else 1
    for settings in optimizer.param_groups:
        settings["lr"] = options.learning_rate * share


def _train(
    network: nn.Module,
    groups: Sequence[ChannelGroup],
    batches: Iterator[BatchT],
    loss: Loss[BatchT],
    optimizer: torch.optim.Optimizer,
    options: PruneOptions,
) -> tuple[float, Scores, dict[str, Moments]]:
    """A few steps; the mean loss, the importance of every unit and the moments of the layers'
    inputs, on those batches.
    """
    # Only layers that read prunable channels are watched, and only what the options need.
    fisher = options.criterion == "fisher"
    reading = sorted({use.layer for group in groups for use in reading_uses(network, group)})
    dense = [n for n in reading if options.compensate and _is_dense(network.get_submodule(n))]
    scores: Scores = [np.zeros(len(group)) for group in groups]
    forward: nn.Module = _Bfloat16(network) if options.bf16 else network
    total = 0.0
    with (
        MaskGradients(network, reading if fisher else []) as gradients,
        InputMoments(network, dense) as moments,
    ):
        for _ in range(options.steps_per_round):
            value = _finite_loss(loss, forward, batches)
            optimizer.zero_grad()
            value.backward()
            # Scores are taken before the gradients of the weights are clipped or applied.
            if fisher:
                found = fisher_scores(network, groups, gradients.take())
                scores = [old + new for old, new in zip(scores, found, strict=True)]
            if options.grad_clip_norm:
                nn.utils.clip_grad_norm_(network.parameters(), options.grad_clip_norm)
            optimizer.step()
            total += float(value.detach())

    # Magnitudes need no gradients: the weights after the steps.
    if not fisher:
        scores = magnitude_scores(network, groups)
    return total / options.steps_per_round, scores, moments.found


def _finite_loss(loss: Loss[BatchT], network: nn.Module, batches: Iterator[BatchT]) -> Tensor:
    batch = next(batches, None)
    if batch is None:
        raise InputError(
            "the training images ran out before the network was pruned: pass an endless iterator"
        )
    value = loss(network, batch)
    if not torch.isfinite(value):
        raise ModelError("the loss is not a finite number any more: lower the learning rate")
    return value


def _is_dense(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == 1


class _Bfloat16(nn.Module):
    """Runs a network under autocast and returns float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.device_type = next(network.parameters()).device.type

    def forward(self, images: Tensor) -> object:
        with torch.autocast(self.device_type, torch.bfloat16):
            return _as_float32(self.network(images))


def _as_float32(output: object) -> object:
    if isinstance(output, Tensor):
        return output.float()
    assert isinstance(output, tuple | list)
    return type(output)(_as_float32(part) for part in output)


def repeat_epochs(task: Task, seed: int) -> Generator[Batch, None, None]:
    """The task's batches, epoch after epoch, without end."""
    epoch = 0
    while True:
        yield from task.batches(epoch, seed, 0, 1)
        epoch += 1


def prune_task(
    task: Task, options: PruneOptions, *, seed: int = 0, on_round: OnRound | None = None
) -> PruneResult:
    """Prune the network of a training task with the task's own data and losses; its card is updated
    to match.

    Args:
        task: Its network is changed in place.
        options: Budget and pace.
        seed: Of the order of the data.
        on_round: Called after every removal.

    Raises:
        ModelError: as :func:`prune` and :func:`pruned_card`.
    """
    pruned_card(task.card, task.network)  # complain before the work rather than after
    to_device(task.network)
    batch_norm.unfold(task.network, task, centered=True)

    # Task losses are weighted already: their sum is what training minimizes.
    def loss(network: nn.Module, batch: Batch) -> Tensor:
        values = task.losses(network, batch).values()
        return torch.stack([value.float() for value in values]).sum()

    # Prune, then take the centers out of the convolutions again.
    batches = repeat_epochs(task, seed)
    try:
        result = prune(task.network, task.card.input_wh, batches, loss, options, on_round)
    finally:
        batches.close()  # ends the workers that read images
    task.network = batch_norm.plain(task.network)
    task.card = pruned_card(task.card, task.network)
    return result


def pruned_card(card: ModelCard, network: nn.Module, notes: str = "") -> ModelCard:
    """The card of a pruned model: says that the file's own widths hold, with its size and cost.

    Args:
        card: Of the model before pruning, or of a pruned one that was pruned again.
        network: The pruned network.
        notes: In place of the usual remark.

    Raises:
        ModelError: pruned networks of that architecture cannot be read back.
    """
    # The architecture without its marks: an id has no "-reduced" in it.
    family = card.architecture.removesuffix("-pruned")
    base = family.replace(REDUCED_SUFFIX, "")
    if family.endswith("-humanart"):
        raise ModelError(
            f"{card.id} keeps unused classes; a pruned {family} cannot be read back. Prune another"
            " model"
        )
    # The id says what was done once: a model that is pruned again keeps it.
    marked = "-pruned" in card.architecture + card.id
    remark = (
        f"Channels of {card.id} pruned by group Fisher information; not the layer widths of"
        f" {family}."
    )
    return replace(
        card,
        id=card.id if marked else card.id.replace(base, f"{base}-pruned", 1),
        architecture=f"{family}-pruned",
        aliases=(),
        files=(),
        published={},
        params_m=round(count_parameters(network) / 1e6, 2),
        gflops=round(count_multiply_adds(network, card.input_wh) / 1e9, 3),
        notes=notes or remark,
    )
