"""Recipes: everything a training needs besides network, data and devices."""

from rtmpose.training.recipes.overrides import (
    changed_fields,
    override,
    recipe_from_dict,
    with_settings,
)
from rtmpose.training.recipes.recipe import (
    BatchNormSettings,
    Data,
    DetectorSettings,
    Distillation,
    Ema,
    Loss,
    Optimizer,
    Recipe,
    Schedule,
    to_dict,
)
from rtmpose.training.recipes.table import all_recipes, find_recipe, read_recipe

__all__ = [
    "BatchNormSettings",
    "Data",
    "DetectorSettings",
    "Distillation",
    "Ema",
    "Loss",
    "Optimizer",
    "Recipe",
    "Schedule",
    "all_recipes",
    "changed_fields",
    "find_recipe",
    "override",
    "read_recipe",
    "recipe_from_dict",
    "to_dict",
    "with_settings",
]
