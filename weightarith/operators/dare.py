"""DARE: drop elements at random, scale the others up so that the expected vector is the same.

What is dropped depends on the seed, the vector, the tensor and the element only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from array_api_compat import array_namespace

from weightarith.operators.election import NORMALIZE, SUMMED, WEIGHTS, blockwise
from weightarith.operators.field import Array, Blockwise, Field
from weightarith.operators.masks import uniform
from weightarith.operators.operator import COMPAT, SEED, Operator, Option
from weightarith.operators.trim import NEGLIGIBLE, Thin, keep, l1_factors, scaled

SOURCE = "Yu et al. (2023), Language Models are Super Mario, section 3.2, https://arxiv.org/abs/2311.03099"
EXPECTED = Option("density", default=None, low=0, high=1, each=True, help="chance of an element to stay")
RESCALING = Option(
    "rescale",
    "choice",
    "",
    choices=("", "density", "l1", "none"),
    help="density: what stays is divided by it (the default); l1: it gets the L1 norm of all (mergekit)",
)


def dropped(field: Field, density: Sequence[float], seed: int, rescale: str, compat: str) -> Thin:
    """Return what is left of each operand: an element stays with the chance `density`, and is rescaled.

    Args:
        field: for the keys of its operands, and its blocks where the L1 norm is asked for.
        density: one for each operand.
        seed: of the masks.
        rescale: `density` divides by it, `l1` restores the L1 norm, `none` neither; "" is the default.
        compat: `mergekit` rescales by `l1`, and not at all where a norm is negligible.
    """

    def drop(values: Array, start: int) -> Sequence[Array]:
        return [_drop(values[row, ...], key, seed, start, density[row]) for row, key in enumerate(field.keys)]

    chosen = rescale or ("l1" if compat == "mergekit" else "density")
    if chosen == "l1":
        factors = l1_factors(field.blocks(), drop, NEGLIGIBLE if compat == "mergekit" else 0.0)
    else:
        factors = tuple(1 / each if chosen == "density" and each else 1.0 for each in density)
    return lambda values, start: scaled(drop(values, start), factors)


def _drop(value: Array, key: int, seed: int, start: int, density: float) -> Array:
    if density >= 1:
        return value
    if density <= 0:
        return array_namespace(value).zeros_like(value)
    return keep(value, uniform(key, seed, start, value) < density)


def dare(field: Field, *, density: float, seed: int, rescale: str) -> Blockwise:
    """Drop elements of a vector at random, and divide what stays by the density."""
    thin = dropped(field, (density,), seed, rescale, "")
    return Blockwise(lambda values, start: thin(values, start)[0])


def dare_linear(
    field: Field,
    *,
    density: Sequence[float],
    weights: Sequence[float],
    seed: int,
    normalize: bool,
    rescale: str,
    compat: str,
) -> Blockwise:
    """Drop elements of each vector at random, rescale, and add the vectors up."""
    thin = dropped(field, density, seed, rescale, compat)
    return Blockwise(blockwise(thin, weights, elect=False, normalize=normalize, compat=compat))


def dare_ties(
    field: Field,
    *,
    density: Sequence[float],
    weights: Sequence[float],
    seed: int,
    normalize: bool,
    rescale: str,
    compat: str,
) -> Blockwise:
    """Drop elements of each vector at random, rescale, elect signs, and average what agrees."""
    thin = dropped(field, density, seed, rescale, compat)
    return Blockwise(blockwise(thin, weights, elect=True, normalize=normalize, compat=compat))


DARE = Operator(
    name="dare", run=dare, source=SOURCE, most=1, options=(replace(EXPECTED, each=False), SEED, RESCALING)
)
DARE_LINEAR = Operator(
    name="dare_linear",
    run=dare_linear,
    source=SOURCE,
    options=(EXPECTED, WEIGHTS, SEED, SUMMED, RESCALING, COMPAT),
)
DARE_TIES = Operator(
    name="dare_ties",
    run=dare_ties,
    source=SOURCE,
    options=(EXPECTED, WEIGHTS, SEED, NORMALIZE, RESCALING, COMPAT),
)
