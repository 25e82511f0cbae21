"""Recipes of mergekit: their document in, ours out, as text. Nothing is computed here.

What mergekit says silently, or ignores, is written into the recipe or refused, with line and column.
"""

from weightarith.mergekit.convert import recipe_text
from weightarith.mergekit.document import is_mergekit
from weightarith.mergekit.load import convert, load_recipe

__all__ = ["convert", "is_mergekit", "load_recipe", "recipe_text"]
