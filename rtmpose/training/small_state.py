"""The state of a training in a sixth of the bytes: for machines from which little can be copied.

Averaged weights are kept in 16 bits, what the trained ones differ by in 4 bits, and of the
optimizer the second moments by their means over rows and columns (as Adafactor keeps them, Shazeer
and Stern, 2018). First moments are left out: they are built up again in ten steps.

A training that saves such a state goes on from what it saved. So one that is resumed takes the very
same steps as one that was not stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

import torch
from torch import Tensor

from rtmpose.networks.checkpoint import halved
from rtmpose.training.checkpoint import TrainState

Tensors = dict[str, Tensor]

LEVELS = 7
"""Of a difference, up and down."""


class SmallState(TypedDict):
    """What :func:`compact` makes; plain data and tensors.

    Attributes:
        rest: The fields of the state that are small.
        weights: The averages, or the trained weights where there are none.
        differences: Codes and scales of what the trained weights differ by, by name; the exact
            weights for vectors. None without averages.
        auxiliary: Of the module that is trained along.
        moments: Of each parameter of the optimizer, by number.
        groups: Of the optimizer.
    """

    rest: dict[str, object]
    weights: Tensors
    differences: dict[str, list[Tensor]] | None
    auxiliary: Tensors | None
    moments: dict[int, list[Tensor]]
    groups: object


def compact(state: TrainState) -> SmallState:
    """The small form of a state."""
    large = ("network", "auxiliary", "ema", "optimizer")
    rest = {key: value for key, value in state.items() if key not in large}
    average = state["ema"]
    weights = _halved(state["network"] if average is None else average)
    differences = None
    if average is not None:
        differences = {
            key: _difference(value, weights[key]) for key, value in state["network"].items()
        }
    auxiliary = state["auxiliary"]
    optimizer = state["optimizer"]
    kept = cast("dict[int, Tensors]", optimizer["state"])
    return {
        "rest": rest,
        "weights": weights,
        "differences": differences,
        "auxiliary": None if auxiliary is None else _halved(auxiliary),
        "moments": {number: _moments(row) for number, row in kept.items()},
        "groups": optimizer["param_groups"],
    }


def whole(state: Mapping[str, object]) -> TrainState:
    """A state as it was read, in its whole form."""
    if "differences" in state:
        return expand(cast(SmallState, state))
    return cast(TrainState, state)


def expand(small: SmallState) -> TrainState:
    """The state that a small one stands for."""
    weights = _floats(small["weights"])
    network = weights
    if small["differences"] is not None:
        network = {
            key: _with_difference(value, small["differences"][key])
            for key, value in weights.items()
        }
    auxiliary = small["auxiliary"]
    moments = {number: _expanded(row) for number, row in small["moments"].items()}
    state = {
        **small["rest"],
        "network": network,
        "ema": None if small["differences"] is None else weights,
        "auxiliary": None if auxiliary is None else _floats(auxiliary),
        "optimizer": {"state": moments, "param_groups": small["groups"]},
    }
    return cast(TrainState, state)


# ---- weights


def _halved(state: Tensors) -> Tensors:
    """Matrices and kernels in 16 bits; copies, as the training goes on."""
    return {key: halved(value.detach().cpu()).clone() for key, value in state.items()}


def _floats(state: Tensors) -> Tensors:
    return {key: v.float() if v.dtype == torch.float16 else v.clone() for key, v in state.items()}


def _difference(value: Tensor, base: Tensor) -> list[Tensor]:
    """Two codes of 4 bits in a byte, and a scale per row; the exact value for other tensors."""
    value = value.detach().cpu()
    if base.dtype != torch.float16:
        return [value.clone()]
    rows = (value - base.float()).flatten(1)
    scales = rows.abs().amax(dim=1, keepdim=True) / LEVELS
    codes = (rows / scales.clamp(min=1e-30)).round().add(LEVELS).to(torch.uint8).flatten()
    if len(codes) % 2:
        codes = torch.cat([codes, codes.new_zeros(1)])
    return [codes[::2] | codes[1::2] << 4, scales]


def _with_difference(base: Tensor, stored: list[Tensor]) -> Tensor:
    if len(stored) == 1:
        return stored[0].clone()
    pairs, scales = stored
    codes = torch.stack([pairs & 15, pairs >> 4], dim=1).flatten()[: base.numel()]
    rows = (codes.float() - LEVELS).view(len(base), -1) * scales
    return base + rows.view_as(base)


# ---- the optimizer


def _moments(row: Tensors) -> list[Tensor]:
    """Step, and the second moments: means of rows and columns, or all of a vector."""
    squares = row["exp_avg_sq"].detach().cpu()
    step = row["step"].cpu().clone()
    if squares.ndim < 2:
        return [step, squares.clone()]
    flat = squares.flatten(1)
    shape = torch.tensor(squares.shape)
    return [step, flat.mean(dim=1), flat.mean(dim=0), shape]


def _expanded(stored: list[Tensor]) -> Tensors:
    step, *parts = stored
    if len(parts) == 1:
        squares = parts[0].clone()
    else:
        rows, columns, shape = parts
        outer = rows[:, None] * columns / rows.mean().clamp(min=1e-30)
        squares = outer.view(shape.tolist())
    return {"step": step.clone(), "exp_avg": torch.zeros_like(squares), "exp_avg_sq": squares}
