"""The network as it is trained: on its device, with the batch norms that the recipe asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from rtmpose.training import batch_norm
from rtmpose.training.devices import to_device
from rtmpose.training.recipes import Recipe
from rtmpose.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def prepare_network(task: Task, recipe: Recipe, fabric: Fabric) -> tuple[nn.Module, bool]:
    """Move the task's network to its device and set its batch norms up.

    Args:
        task: Its network is changed in place; what the network computes stays the same.
        recipe: Says what the norms do.
        fabric: Knows the device and the number of processes.

    Returns:
        The network, and whether its norms are frozen.
    """
    network = to_device(task.network, fabric.device)
    mode = recipe.batch_norm.bn_mode

    # The statistics of a network from an export are lost: they are measured anew.
    folded = batch_norm.is_folded(network)
    frozen = mode in ("frozen", "centered") or (mode == "auto" and folded)
    if folded or mode == "centered":
        batch_norm.unfold(network, task, centered=frozen)

    # Constants are cheaper to apply to weights than to maps.
    if frozen:
        batch_norm.fuse(network)

    # Norms that follow the batches see those of all GPUs.
    several_gpus = fabric.world_size > 1 and fabric.device.type == "cuda"
    if recipe.batch_norm.sync_bn and several_gpus and not frozen:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        task.network = network
    return network, frozen
