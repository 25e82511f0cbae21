"""Layers of models taken and stacked, written as functions of an expression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from weightarith import store
from weightarith.algebra import Checkpoint, Sum, Vector, collect
from weightarith.errors import WeightArithError
from weightarith.operators.anchor import stacked
from weightarith.recipe.functions import Arguments, described
from weightarith.recipe.rules import layer_range

T = TypeVar("T")


def take(given: Arguments) -> Sum:
    """Return a model cut to some of its layers, numbered from 0: `take(model, "0-15")`.

    A sum of inputs is cut input by input: `take(model + adapter, "0-15")`.
    """
    given.known()
    if len(given.values) != 2 or not isinstance(given.values[1].value, str):
        message = "take() takes a model and its layers"
        raise given.passage.error(given.at, message, hint='take(model, "0-15")')
    model, layers = given.values
    span = layer_range(str(layers.value), given.fail_at(layers.at))
    if not isinstance(model.value, Sum) or model.value.degree != 1:
        raise given.passage.error(model.at, f"take() takes a model, and this is {described(model.value)}")
    terms = []
    for term in model.value.terms:
        if not isinstance(term.leaf, Checkpoint | Vector):
            message = "take() takes inputs and sums of them; this holds what an operator made"
            raise given.passage.error(model.at, message, hint="take the layers first")
        terms.append(replace(term, leaf=_cut(given, term.leaf, span)))
    return collect(terms)


def _cut(given: Arguments, leaf: Checkpoint | Vector, span: tuple[int, int]) -> Checkpoint | Vector:
    label = f"{leaf.label}[{span[0]}-{span[1]}]"
    source = _placed(given, lambda: store.take(leaf.source, *span, leaf.label))
    if isinstance(leaf, Checkpoint):
        return Checkpoint(source, label)
    base = _cut(given, leaf.base, span) if leaf.base is not None else None
    return Vector(source, label, base if isinstance(base, Checkpoint) else None)


def stack(given: Arguments) -> Sum:
    """Return the layers of models one on the other: `stack(take(a, "0-15"), take(b, "8-23"))`.

    Embeddings are the first model's, the final norm and the head the last one's.
    """
    given.known()
    parts = []
    for each in given.values:
        if not isinstance(each.value, Sum) or each.value.degree != 1:
            raise given.passage.error(each.at, f"stack() takes models, and this is {described(each.value)}")
        parts.append(each.value)
    if not parts:
        raise given.passage.error(given.at, "stack() of nothing", hint='stack(take(a, "0-15"), b)')
    made = _placed(given, lambda: stacked(parts))
    plain = all(len(part.terms) == 1 and isinstance(part.terms[0].leaf, Checkpoint) for part in parts)
    return collect((made.skeleton if plain else made).terms)


def _placed(given: Arguments, make: Callable[[], T]) -> T:
    """Return what `make` does; its errors point at the call."""
    try:
        return make()
    except WeightArithError as error:
        raise type(error)(given.passage.error(given.at, error.message).message, hint=error.hint) from None
