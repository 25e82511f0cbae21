"""Recipes from files, ours and mergekit's alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from weightarith import recipe
from weightarith.hub import locate
from weightarith.mergekit.convert import recipe_text
from weightarith.mergekit.document import is_mergekit
from weightarith.operators.operator import Operator
from weightarith.recipe import Recipe, parse_recipe
from weightarith.recipe.strictyaml import read_yaml
from weightarith.store import depth_of, open_source


def load_recipe(
    path: Path, params: Mapping[str, str] | None = None, *, operators: Iterable[Operator] = ()
) -> Recipe:
    """Return the recipe in a file, of weightarith or of mergekit, its inputs opened by their headers.

    Args:
        path: the file; paths in it are relative to its folder, those in a document of mergekit to the working
            directory, as they are to mergekit.
        params: numbers in place of those under `params:`, as text: `{"k": "1.5"}`.
        operators: further ones, which the recipe may call by their names.

    Raises:
        RecipeError: the recipe means nothing, with file, line and column.
        InvalidFileError: an input is not what its name, header or index says.
        UnsupportedError: an input or a key is recognised, and not supported.
    """
    text = recipe.read_text(path)
    if is_mergekit(read_yaml(text, str(path))):
        text = recipe_text(text, str(path), layers_in)
        return parse_recipe(
            text, folder=Path(), params=params, source=f"{path} (converted)", operators=operators
        )
    return parse_recipe(text, folder=path.parent, params=params, source=str(path), operators=operators)


def convert(path: Path) -> str:
    """Return the recipe that does what a mergekit document asks for, as text.

    Raises:
        RecipeError: the document means nothing, or holds what mergekit would ignore, with line and column.
        UnsupportedError: it asks for something that is not done here.
    """
    return recipe_text(recipe.read_text(path), str(path), layers_in)


def layers_in(model: str) -> int:
    """Return the number of layers of a model, by its path or Hub id with `@revision`."""
    path = Path(model)
    return depth_of(open_source(path if path.exists() else locate(model), "checkpoint"), model)
