"""Recipes: text to the sum it stands for. Nothing here reads a tensor; inputs are opened by their headers."""

from weightarith.recipe.document import Recipe, load_recipe, parse_recipe, read_text
from weightarith.recipe.evaluate import parse_expression

__all__ = ["Recipe", "load_recipe", "parse_expression", "parse_recipe", "read_text"]
