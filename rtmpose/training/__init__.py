"""Training, in torch (``pip install 'rtmpose[train]'``).

:mod:`~rtmpose.training.loop` trains any :class:`~rtmpose.training.task.Task`;
:mod:`~rtmpose.training.recipes` holds the published recipes as numbers;
:mod:`~rtmpose.training.pose.task` is the task of pose networks.
"""

from rtmpose.training.loop import train
from rtmpose.training.recipes import Distillation, Recipe, find_recipe, override, with_settings
from rtmpose.training.task import Task, TrainResult, TrainStatus

__all__ = [
    "Distillation",
    "Recipe",
    "Task",
    "TrainResult",
    "TrainStatus",
    "find_recipe",
    "override",
    "train",
    "with_settings",
]
