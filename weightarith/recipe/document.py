"""A recipe: named inputs, one expression, and what is to be done with its result.

The document is strict YAML, its expression becomes the same flattened sum that the Python API builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from weightarith.algebra import Checkpoint, Leaf, Linear, Sum
from weightarith.engine.settings import Output, Policy
from weightarith.errors import DegreeError, RecipeError, StorageError, quoted
from weightarith.recipe.draft import Draft, Phrase, read_draft
from weightarith.recipe.evaluate import evaluate, total
from weightarith.recipe.functions import described
from weightarith.recipe.inputs import meaning, needs, open_inputs
from weightarith.recipe.lookup import names_in
from weightarith.recipe.strictyaml import LARGEST, Place, decoded, read_yaml

MOST_BYTES = 4 * LARGEST  # of UTF-8, so that the longest text fits


@dataclass(frozen=True)
class Recipe:
    """A recipe, read: its sum, and what the run may do and where it writes.

    Attributes:
        total: the flattened expression, of degree 1 (a checkpoint) or 0 (a vector).
        policy: what happens where inputs disagree.
        output: where the result goes; None where the recipe does not say.
        text: the document, as it was written.
        warnings: what is most likely a mistake, such as an input that is never used.
        inputs: every input by name, as it was opened.
        expression: the expression, as it was written.
    """

    total: Sum
    policy: Policy
    output: Output | None
    text: str
    warnings: tuple[str, ...]
    inputs: Mapping[str, Leaf]
    expression: str


def load_recipe(path: Path, params: Mapping[str, str] | None = None) -> Recipe:
    """Return the recipe in a file, its inputs opened by their headers.

    Args:
        path: the file; paths in it are relative to its folder.
        params: numbers in place of those under `params:`, as text: `{"k": "1.5"}`.

    Raises:
        RecipeError: the recipe means nothing, with file, line and column.
        InvalidFileError: an input is not what its name, header or index says.
        UnsupportedError: an input or a key is recognised, and not supported.
    """
    if not path.is_file():
        found = (
            "it is a folder" if path.is_dir() else "no such file" if not path.exists() else "no regular file"
        )
        raise RecipeError(f"no recipe at {quoted(str(path))}: {found}")
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise StorageError(f"cannot read {quoted(str(path))}: {error.strerror}") from error
    return parse_recipe(decoded(data, str(path)), folder=path.parent, params=params, source=str(path))


def parse_recipe(
    text: str, *, folder: Path, params: Mapping[str, str] | None = None, source: str = "recipe"
) -> Recipe:
    """Return the recipe in `text`, its inputs opened by their headers.

    Args:
        text: the document.
        folder: what paths in it are relative to.
        params: numbers in place of those under `params:`.
        source: what errors call the document.

    Raises:
        RecipeError: the recipe means nothing, with line and column.
        InvalidFileError: an input is not what its name, header or index says.
        UnsupportedError: an input or a key is recognised, and not supported.
    """
    draft = read_draft(read_yaml(text, source), folder, params or {})
    leaves = open_inputs(draft.inputs, folder)
    _check_like(draft, leaves)
    names = draft.names
    for name, each in draft.inputs.items():
        names.values[name] = draft.weightings.applied(name, meaning(each, leaves))
        names.uses[name] = frozenset(needs(each, leaves)) | draft.weightings.uses.get(name, frozenset())
    for name, phrase in draft.lets.items():
        names.values[name] = draft.weightings.applied(name, _let(name, phrase, draft))
        names.uses[name] |= draft.weightings.uses.get(name, frozenset())
    result = _result(draft)
    used = [*names_in(draft.expression.tree), *([draft.output.like] if draft.output else [])]
    warnings = tuple(_unused(name, draft, names.places[name]) for name in names.unused(used))
    return Recipe(result, draft.policy, draft.output, text, warnings, leaves, draft.expression.text.text)


def _let(name: str, phrase: Phrase, draft: Draft) -> Linear | Fraction:
    value = evaluate(phrase.tree, draft.names.scope(phrase.text))
    if not isinstance(value, Sum | Fraction):
        raise phrase.text.error(phrase.tree.at, f"{name} is {described(value)}, expected a sum or a number")
    return value


def _result(draft: Draft) -> Sum:
    """Return the sum of the recipe's expression, which is a checkpoint or a vector."""
    text, tree = draft.expression.text, draft.expression.tree
    result = total(tree, draft.names.scope(text))
    try:
        _ = result.kind
    except DegreeError as error:
        raise DegreeError(text.error(tree.at, error.message).message, hint=error.hint) from None
    return result


def _check_like(draft: Draft, leaves: Mapping[str, Leaf]) -> None:
    like = draft.output.like if draft.output else ""
    if like and not isinstance(leaves[like], Checkpoint):
        raise RecipeError(f"{draft.inputs[like].place}: like: {like}, and {like} is no model")


def _unused(name: str, draft: Draft, place: Place) -> str:
    what = "input" if name in draft.inputs else "let" if name in draft.lets else "param"
    return f"{place}: {what} {name} is never used"
