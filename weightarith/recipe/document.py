"""A recipe: named inputs, one expression, and what is to be done with its result.

The document is strict YAML, its expression becomes the same flattened sum that the Python API builds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from weightarith.algebra import Checkpoint, Leaf, Linear, Sum
from weightarith.engine.settings import Output, Policy
from weightarith.errors import DegreeError, RecipeError, StorageError, quoted
from weightarith.operators.direction import Direction
from weightarith.operators.operator import Operator
from weightarith.recipe.calls import functions_with
from weightarith.recipe.destination import Destination
from weightarith.recipe.draft import Draft, Phrase, read_draft
from weightarith.recipe.evaluate import evaluate, total
from weightarith.recipe.functions import described
from weightarith.recipe.inputs import Places, meaning, needs, open_directions, open_inputs
from weightarith.recipe.lookup import names_in
from weightarith.recipe.strictyaml import LARGEST, Place, decoded, read_yaml
from weightarith.weighting import Varying

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
        directions: every input by name that is a direction.
        destination: the repository of the Hub that the result is pushed to; None where the recipe names none.
    """

    total: Sum
    policy: Policy
    output: Output | None
    text: str
    warnings: tuple[str, ...]
    inputs: Mapping[str, Leaf]
    expression: str
    directions: Mapping[str, Direction] = field(default_factory=dict)
    destination: Destination | None = None


def load_recipe(
    path: Path,
    params: Mapping[str, str] | None = None,
    *,
    operators: Iterable[Operator] = (),
    given: Places = MappingProxyType({}),
    stream: bool = False,
) -> Recipe:
    """Return the recipe in a file, its inputs opened by their headers.

    Args:
        path: the file; paths in it are relative to its folder.
        params: numbers in place of those under `params:`, as text: `{"k": "1.5"}`.
        operators: further ones, which the recipe may call by their names.
        given: where inputs lie, by name, in place of where the recipe says.
        stream: whether the weights of inputs that are on the Hub stay there until they are needed.

    Raises:
        RecipeError: the recipe means nothing, with file, line and column.
        InvalidFileError: an input is not what its name, header or index says.
        UnsupportedError: an input or a key is recognised, and not supported.
    """
    text = read_text(path)
    return parse_recipe(
        text, folder=path.parent, params=params, source=str(path), operators=operators, given=given,
        stream=stream,
    )  # fmt: skip


def read_text(path: Path) -> str:
    """Return the text of a recipe's file.

    Raises:
        RecipeError: there is no such file, it is too long, or it is no text.
        StorageError: it cannot be read.
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
    return decoded(data, str(path))


def parse_recipe(
    text: str,
    *,
    folder: Path,
    params: Mapping[str, str] | None = None,
    source: str = "recipe",
    operators: Iterable[Operator] = (),
    given: Places = MappingProxyType({}),
    stream: bool = False,
) -> Recipe:
    """Return the recipe in `text`, its inputs opened by their headers.

    Args:
        text: the document.
        folder: what paths in it are relative to.
        params: numbers in place of those under `params:`.
        source: what errors call the document.
        operators: further ones, which the recipe may call by their names.
        given: where inputs lie, by name, in place of where the recipe says.
        stream: whether the weights of inputs that are on the Hub stay there until they are needed.

    Raises:
        RecipeError: the recipe means nothing, with line and column.
        InvalidFileError: an input is not what its name, header or index says.
        UnsupportedError: an input or a key is recognised, and not supported.
    """
    draft = read_draft(read_yaml(text, source), folder, params or {}, functions_with(operators))
    leaves = open_inputs(draft.inputs, folder, given, stream=stream)
    names = draft.names
    directions = open_directions(draft.inputs, folder, given)
    names.values.update(directions)
    _fill(draft, leaves)
    result = _result(draft)
    output = _output(draft, leaves, result)
    used = [*names_in(draft.expression.tree), *([output.like, output.tokenizer] if output else [])]
    warnings = tuple(_unused(name, draft, names.places[name]) for name in names.unused(used))
    expression = draft.expression.text.text
    return Recipe(
        result, draft.policy, output, text, warnings, leaves, expression, directions, draft.destination
    )


def _fill(draft: Draft, leaves: Mapping[str, Leaf]) -> None:
    """Put the meaning of inputs and lets, in their order, under their names."""
    names = draft.names
    for name, each in draft.inputs.items():
        if each.kind == "direction":
            continue
        names.values[name] = draft.weightings.applied(name, meaning(each, leaves))
        names.uses[name] = frozenset(needs(each, leaves)) | draft.weightings.uses.get(name, frozenset())
    for name, phrase in draft.lets.items():
        names.values[name] = draft.weightings.applied(name, _let(name, phrase, draft))
        names.uses[name] |= draft.weightings.uses.get(name, frozenset())


def _let(name: str, phrase: Phrase, draft: Draft) -> Linear | Fraction | Varying:
    value = evaluate(phrase.tree, draft.names.scope(phrase.text))
    if not isinstance(value, Sum | Fraction | Varying):
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


def _output(draft: Draft, leaves: Mapping[str, Leaf], result: Sum) -> Output | None:
    """Return where the result goes, with the models it names that are no part of the sum."""
    if draft.output is None:
        return None
    summed = {leaf.label for term in result.terms for leaf in term.leaf.leaves}
    others = {}
    for key, name in (("like", draft.output.like), ("tokenizer", draft.output.tokenizer)):
        leaf = leaves.get(name)
        if name and not isinstance(leaf, Checkpoint):
            raise RecipeError(f"{draft.inputs[name].place}: {key}: {name}, and {name} is no model")
        if isinstance(leaf, Checkpoint) and name not in summed:
            others[name] = leaf
    return replace(draft.output, others=tuple(others.values()))


def _unused(name: str, draft: Draft, place: Place) -> str:
    what = "input" if name in draft.inputs else "let" if name in draft.lets else "param"
    return f"{place}: {what} {name} is never used"
