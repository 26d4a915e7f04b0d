"""Recipes and their loading."""

from rstar_mini.recipes.load import differences, load_recipe, recipe_names
from rstar_mini.recipes.schema import Recipe

__all__ = ["Recipe", "differences", "load_recipe", "recipe_names"]
