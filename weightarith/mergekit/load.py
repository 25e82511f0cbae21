"""Recipes from files, ours and mergekit's alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from weightarith import recipe
from weightarith.hub import locate
from weightarith.mergekit.convert import recipe_text
from weightarith.mergekit.document import is_mergekit
from weightarith.operators.operator import Operator
from weightarith.recipe import Recipe, parse_recipe
from weightarith.recipe.inputs import Places
from weightarith.recipe.strictyaml import read_yaml
from weightarith.store import depth_of, open_source, open_streamed


def load_recipe(
    path: Path,
    params: Mapping[str, str] | None = None,
    *,
    operators: Iterable[Operator] = (),
    given: Places = MappingProxyType({}),
    stream: bool = False,
) -> Recipe:
    """Return the recipe in a file, of weightarith or of mergekit, its inputs opened by their headers.

    Args:
        path: the file; paths in it are relative to its folder, those in a document of mergekit to the working
            directory, as they are to mergekit.
        params: numbers in place of those under `params:`, as text: `{"k": "1.5"}`.
        operators: further ones, which the recipe may call by their names.
        given: where inputs lie, by name, in place of where the recipe says.
        stream: whether the weights of inputs that are on the Hub stay there until they are needed.

    Raises:
        RecipeError: the recipe means nothing, with file, line and column.
        InvalidFileError: an input is not what its name, header or index says.
        UnsupportedError: an input or a key is recognised, and not supported.
    """
    text, folder, source = recipe_at(path, stream=stream)
    return parse_recipe(
        text, folder=folder, params=params, source=source, operators=operators, given=given, stream=stream
    )


def recipe_at(path: Path, *, stream: bool = False) -> tuple[str, Path, str]:
    """Return the text of the recipe in a file, what paths in it are relative to, and what errors call it.

    A document of mergekit is converted.

    Raises:
        RecipeError: there is no such file, or what it holds means nothing.
    """
    text = recipe.read_text(path)
    if is_mergekit(read_yaml(text, str(path))):
        return recipe_text(text, str(path), partial(layers_in, stream=stream)), Path(), f"{path} (converted)"
    return text, path.parent, str(path)


def convert(path: Path) -> str:
    """Return the recipe that does what a mergekit document asks for, as text.

    Raises:
        RecipeError: the document means nothing, or holds what mergekit would ignore, with line and column.
        UnsupportedError: it asks for something that is not done here.
    """
    return recipe_text(recipe.read_text(path), str(path), layers_in)


def layers_in(model: str, *, stream: bool = False) -> int:
    """Return the number of layers of a model, by its path or Hub id with `@revision`."""
    path = Path(model)
    if stream and not path.exists():
        return depth_of(open_streamed(model, "checkpoint"), model)
    return depth_of(open_source(path if path.exists() else locate(model), "checkpoint"), model)
