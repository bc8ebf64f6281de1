"""The full state of a training on disk: always one whole state, even where a write is cut short."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rtmpose.errors import InputError
from rtmpose.files import move_file, write_bytes

log = logging.getLogger(__name__)

STATE, PREVIOUS = "state.pt", "state-previous.pt"


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the state; the one before stays as a second file.

    Raises:
        OutputError: the disk is full or the folder cannot be written; the older states are
            untouched.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    fresh = folder / f"{STATE}.new"
    write_bytes(fresh, buffer.getvalue())
    if (folder / STATE).exists():
        move_file(folder / STATE, folder / PREVIOUS)
    move_file(fresh, folder / STATE)


def load_state(folder: Path) -> dict[str, Any]:
    """The newest state that can be read.

    Raises:
        InputError: there is none.
    """
    faults = []
    for name in (STATE, f"{STATE}.new", PREVIOUS):
        path = folder / name
        if not path.is_file():
            continue
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
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
