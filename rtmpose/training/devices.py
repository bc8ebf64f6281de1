"""Devices, processes and precision of a training, through Lightning Fabric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import torch
from torch import Tensor, nn

from rtmpose.errors import InputError, MissingDependencyError
from rtmpose.training.recipes import Recipe
from rtmpose.training.recipes.recipe import Precision

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MIN_SIDE_FOR_BF16 = 96
"""Shortest side of an input, in pixels, that is trained on in bfloat16."""

FABRIC_PRECISIONS: dict[str, Literal["bf16-mixed", "16-mixed", "32-true"]] = {
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
    "fp32": "32-true",
}

HALF_PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}

M = TypeVar("M", bound=nn.Module)
O = TypeVar("O")  # noqa: E741 - an output of any form


def make_fabric(
    recipe: Recipe, accelerator: str = "auto", devices: int = 1, nodes: int = 1
) -> Fabric:
    """Devices, processes and precision, launched.

    Raises:
        MissingDependencyError: lightning-fabric is not installed.
        InputError: the precision or the devices are not available here.
    """
    # Optional dependencies, with a message that says how to install them.
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.utilities.exceptions import MisconfigurationException
    except ImportError as error:
        raise MissingDependencyError(
            "training needs Lightning Fabric: pip install 'rtmpose[train]'"
        ) from error

    # The accelerator, and whether there are enough devices of it.
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator == "cuda" and torch.cuda.device_count() < devices:
        raise InputError(
            f"{devices} CUDA devices were asked for, {torch.cuda.device_count()} are available"
        )

    # Precision by the hardware, and one process per device.
    precision = choose_precision(recipe.precision, accelerator)
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            precision=FABRIC_PRECISIONS[precision],
            strategy="ddp" if devices * nodes > 1 else "auto",
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise InputError(
            f"{devices} x {accelerator} with precision {precision} is not possible here: {error}"
        ) from error

    # Starts the other processes; each runs the program from the beginning.
    fabric.launch()
    return fabric


def to_device(network: M, device: torch.device | str | None = None) -> M:
    """The network on a device, its weights channels last in memory, which convolutions are fastest
    with.
    """
    # torch's types do not know this keyword.
    moved: M = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,unused-ignore]
    return moved


def keep_in_float32(network: nn.Module, names: Sequence[str]) -> None:
    """Exempt parts of a network from mixed precision, where its rounding does damage.

    Args:
        network: Changed in place. Copies made afterwards would run the original's layers.
        names: Of submodules; those that the network does not have are passed over.
    """
    # Replaced on the instance: its inputs and outputs are float32 whatever is around it.
    modules = dict(network.named_modules())
    for name in names:
        module = modules.get(name)
        if module is not None:
            module.forward = partial(_in_float32, module.forward)


def _in_float32(forward: Callable[..., O], *inputs: object) -> O:
    device = next(x.device.type for x in inputs if isinstance(x, Tensor))
    with torch.autocast(device, enabled=False):
        # Inputs may be bfloat16 here.
        return forward(*(x.float() if isinstance(x, Tensor) else x for x in inputs))


def resolve_precision(recipe: Recipe, input_wh: tuple[int, int]) -> Recipe:
    """The recipe with ``auto`` resolved to fp32 where the input is so small that bfloat16 is not
    safe.

    On CPUs with AVX512-BF16 but no AMX, oneDNN's weight gradients of a convolution that reaches
    beyond its whole map (7x7 on 2x2) are made of memory that nobody wrote to: other values each
    time, at times no numbers.
    """
    if recipe.precision == "auto" and min(input_wh) < MIN_SIDE_FOR_BF16:
        return replace(recipe, precision="fp32")
    return recipe


def choose_precision(precision: Precision, accelerator: str) -> Literal["bf16", "fp16", "fp32"]:
    """``auto`` is bf16 where the hardware multiplies bf16 faster than fp32.

    Raises:
        InputError: fp16 was asked for on a CPU.
    """
    if precision == "fp16" and accelerator != "cuda":
        raise InputError("precision fp16 needs CUDA; use bf16 or fp32")

    # A fixed precision is taken as it is.
    if precision != "auto":
        return precision

    # GPUs without bfloat16 take float16; CPUs without it take float32.
    if accelerator == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"
