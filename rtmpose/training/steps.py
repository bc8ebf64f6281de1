"""Small parts of a training step: the loss that is minimized, and where an epoch is taken up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from rtmpose.errors import InputError
from rtmpose.training.recipes import Recipe
from rtmpose.training.task import Batch, SupportsSkip


def total_loss(losses: dict[str, Tensor], recipe: Recipe) -> Tensor:
    """The sum of a task's losses.

    Raises:
        InputError: there is none.
    """
    # A sum of nothing would be a number without gradients.
    if not losses:
        raise InputError(
            f"the recipe {recipe.name} leaves nothing to learn from: all weights of its losses are"
            " 0 (--set loss.label_weight=1)"
        )

    # Not sum(): it starts from the integer 0.
    first, *rest = losses.values()
    total = first
    for value in rest:
        total = total + value
    return total


def skip_batches(batches: Iterable[Batch], number: int) -> Iterator[Batch]:
    """The batches behind the first ``number``."""
    # Loaders that can skip do not make the batches before.
    if number and isinstance(batches, SupportsSkip):
        batches.skip(number)
        return iter(batches)
    iterator = iter(batches)
    for _ in range(number):
        next(iterator)
    return iterator
