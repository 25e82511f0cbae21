"""Inner products of several vectors with one another, tensor by tensor: what norms and cosines are made of.

Factored displacements are never multiplied out: ⟨B·A, D·C⟩ = Σ (BᵀD) ∘ (A·Cᵀ), two small matrices; beside a
dense one it is Σ (X·Cᵀ) ∘ D, rows of X at a time. All sums are in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from weightarith.algebra import Linear
from weightarith.engine.plan import Plan
from weightarith.engine.settings import Policy
from weightarith.engine.together import Together, plan_of_all, visit_all
from weightarith.errors import RecipeError
from weightarith.geometry.products import Doubles, Gram
from weightarith.geometry.stacked import Stacked


def gram(
    vectors: Sequence[Linear],
    *,
    labels: Sequence[str] = (),
    policy: Policy | None = None,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Gram:
    """Return the inner products of every pair of vectors at every tensor that one of them moves.

    Every file is read once, whatever the number of pairs, and threads do not change a digit.

    Args:
        vectors: vectors, adapters, and sums that are displacements, such as `model - base`; or models, all of
            them, and then their weights are compared as they are.
        labels: what to call them; by default what they say of themselves.
        policy: what may happen where inputs disagree; None refuses every disagreement.
        threads: how many; 0 takes one a core.
        progress: called now and then with the bytes of the tensors done so far.

    Raises:
        RecipeError: no vector, models among vectors, or another number of labels.
        IncompatibleError: they are of models that do not fit on each other.
        NonFiniteError: one of them holds NaN or infinity, and the policy refuses.
    """
    if not vectors:
        raise RecipeError("there is nothing to compare", hint="name two vectors or more")
    names = tuple(labels) or tuple(str(each) for each in vectors)
    if len(names) != len(vectors):
        raise RecipeError(f"{len(names)} labels for {len(vectors)} vectors")
    return gram_of(plan_of_all(vectors, policy), names, threads=threads, progress=progress)


def gram_of(
    plan: Plan,
    labels: Sequence[str],
    *,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Gram:
    """Return what `gram` does, of a plan by `engine.visit.plan_of_all`, whose `read_bytes` are known."""
    found = visit_all(plan, inner_products, threads=threads, progress=progress)
    return Gram(tuple(labels), found)


def inner_products(field: Together) -> Doubles:
    """Return the inner products of the operands of a field, (operands, operands), symmetric."""
    operands = field.operands
    dense = [number for number, one in enumerate(operands) if one.parts]
    factored = [number for number, one in enumerate(operands) if one.factors and not one.parts]
    found = np.zeros((len(operands), len(operands)))
    if not factored:
        if dense:
            found[np.ix_(dense, dense)] = field.only(dense).inner_products()
        return found
    stacked = Stacked(field.only(factored))
    found[np.ix_(factored, factored)] = stacked.products()
    if dense:
        among, across = stacked.products_with(field.only(dense))
        found[np.ix_(dense, dense)] = among
        found[np.ix_(dense, factored)] = across
        found[np.ix_(factored, dense)] = across.T
    return found


def apart(
    one: Linear,
    other: Linear,
    *,
    labels: tuple[str, str] = ("", ""),
    policy: Policy | None = None,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Gram:
    """Return the inner products of two models, or of two vectors, and of the first less the second.

    The difference is formed number by number, so that its norm is right however small it is beside theirs.
    Its label is `one − other`.

    Raises:
        WeightArithError: see `gram`.
    """
    names = (labels[0] or str(one), labels[1] or str(other))
    plan = plan_of_all([one, other], policy)
    return apart_of(plan, names, threads=threads, progress=progress)


def apart_of(
    plan: Plan,
    labels: tuple[str, str],
    *,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Gram:
    """Return what `apart` does, of a plan by `engine.together.plan_of_all`, whose `read_bytes` are known."""
    found = visit_all(
        plan, lambda field: inner_products(field.with_difference()), threads=threads, progress=progress
    )
    return Gram((*labels, f"{labels[0]} − {labels[1]}"), found)
