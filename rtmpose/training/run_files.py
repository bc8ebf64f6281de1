"""The files that a training leaves besides its state and its metrics."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import nn

from rtmpose.errors import InputError
from rtmpose.files import write_bytes
from rtmpose.model_card import ModelCard
from rtmpose.networks.checkpoint import save_safetensors
from rtmpose.text_files import parse_json, to_json
from rtmpose.training import batch_norm
from rtmpose.training.checkpoint import TrainState
from rtmpose.training.recipes import Recipe, changed_fields, recipe_from_dict, to_dict

log = logging.getLogger(__name__)

HARMLESS_CHANGES = {"data.workers", "schedule.save_minutes", "schedule.eval_every", "name"}
"""Fields that may differ after a resume without a word."""


def recipe_json(recipe: Recipe) -> str:
    """The recipe for a file's metadata."""
    return to_json(to_dict(recipe))


def write_recipe(folder: Path, recipe: Recipe, card: ModelCard) -> None:
    """Write ``recipe.json``: every number of the training; ``rtmpose train FOLDER/recipe.json``
    reads it.

    Raises:
        OutputError: it cannot be written.
    """
    # The version of torch, as numbers may differ between versions.
    content = {"recipe": to_dict(recipe), "model": card.id, "torch": torch.__version__}
    write_bytes(folder / "recipe.json", to_json(content, indent=2).encode())


def save_model(
    path: Path,
    network: nn.Module,
    card: ModelCard,
    recipe: Recipe,
    *,
    step: str,
    metrics: dict[str, float],
    half: bool = False,
) -> None:
    """Write a checkpoint with its card: a plain network, without what training added; ``half``
    stores its weights in 16 bits.

    Raises:
        OutputError: it cannot be written.
    """
    # Without centers, fused passes and hooks: what the runtime's exporters expect.
    save_safetensors(
        path,
        batch_norm.plain(network),
        card,
        half=half,
        recipe=recipe_json(recipe),
        step=step,
        metrics=to_json(metrics),
    )


def check_state(state: TrainState, recipe: Recipe, steps_per_epoch: int) -> None:
    """Whether a training can go on from a state; a changed recipe is only a warning.

    Raises:
        InputError: an epoch has another number of steps than before.
    """
    # A changed recipe may be meant; it is named, except for fields that change no numbers.
    before = recipe_from_dict(parse_json(state["recipe"], "the recipe of the training"))
    changed = [path for path in changed_fields(before, recipe) if path not in HARMLESS_CHANGES]
    if changed:
        log.warning("the recipe has changed since the training began: %s", ", ".join(changed))

    # Another number of steps would repeat or skip samples of the epoch.
    if state["per_epoch"] != steps_per_epoch:
        raise InputError(
            f"an epoch had {state['per_epoch']} steps and now has {steps_per_epoch}: the data, the"
            " batch size or the number of devices has changed; start anew from last.safetensors"
            " (--init)"
        )
