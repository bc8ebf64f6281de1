"""The full state of a training on disk: always one whole state, even where a write is cut short."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from rtmpose.errors import InputError
from rtmpose.files import link_or_copy, move_file, write_bytes

log = logging.getLogger(__name__)

STATE = "state.pt"
PREVIOUS = "state-previous.pt"


class TrainState(TypedDict):
    """All that is needed to go on with a training.

    Attributes:
        step: Optimizer steps done.
        total: Of the whole training.
        per_epoch: Steps per epoch.
        world: Number of processes.
        recipe: As JSON.
        network: Weights and buffers.
        auxiliary: Of the module that is trained along; None for none.
        ema: The averages; None for none.
        ema_steps: Their updates.
        optimizer: Its state.
        best: The best value of the first metric.
        metrics: The newest evaluation.
        random: State of torch's generator.
    """

    step: int
    total: int
    per_epoch: int
    world: int
    recipe: str
    network: dict[str, Tensor]
    auxiliary: dict[str, Tensor] | None
    ema: dict[str, Tensor] | None
    ema_steps: int
    optimizer: dict[str, object]
    best: float
    metrics: dict[str, float]
    random: Tensor


def save_state(folder: Path, state: Mapping[str, object]) -> None:
    """Write a state, whole or small; the one before stays as a second file.

    Raises:
        OutputError: the disk is full or the folder cannot be written; the older states are
            untouched.
    """
    # To memory first, then under a temporary name: a full disk costs no older state.
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    fresh = folder / f"{STATE}.new"
    write_bytes(fresh, buffer.getvalue())
    # The state before gets a second name, so that there is a state under the first at any moment.
    if (folder / STATE).exists():
        link_or_copy(folder / STATE, folder / PREVIOUS)
    move_file(fresh, folder / STATE)


def load_state(folder: Path) -> Mapping[str, object]:
    """The newest state that can be read, whole or small.

    Raises:
        InputError: there is none.
    """
    # The newest first; what lies under the temporary name is whole but was not renamed any more.
    faults = []
    for name in (STATE, f"{STATE}.new", PREVIOUS):
        path = folder / name
        if not path.is_file():
            continue
        try:
            state: Mapping[str, object] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001 - torch raises whatever the damage leads to
            faults.append(
                f"{name} is damaged ({(str(error) or type(error).__name__).splitlines()[0][:80]})"
            )
            log.warning("%s is damaged; trying the state before it", path)
            continue
        return state
    raise InputError(
        f"{folder} holds no training state to resume from: "
        + ("; ".join(faults) or f"no {STATE} in it")
    )
