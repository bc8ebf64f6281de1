"""Recipes: everything a training needs besides network, data and devices."""

from rtmpose.training.recipes.recipe import (
    Distillation,
    Recipe,
    all_recipes,
    find_recipe,
    to_dict,
    with_settings,
)

__all__ = ["Distillation", "Recipe", "all_recipes", "find_recipe", "to_dict", "with_settings"]
