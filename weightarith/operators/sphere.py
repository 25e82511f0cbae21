"""Means on the sphere: of many directions, each with a weight.

Points and tangents are combinations of the operands, so the whole iteration runs on their inner products: one
pass over the weights, however many steps it takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from weightarith.errors import RecipeError
from weightarith.operators.angles import tensor_products
from weightarith.operators.field import Field, Mixed
from weightarith.operators.linear import WEIGHTS, normalised
from weightarith.operators.operator import COMPAT, Operator, Option
from weightarith.operators.slerp import ANTIPODAL
from weightarith.operators.statistics import Doubles

STEPS, EXACT = 1000, 1e-12
CANCELLED = 1e-7
"""Unit vectors whose weighted sum is no longer than this have no mean direction."""

MERGEKIT_LEAST = 1e-8


def multislerp(field: Field, *, weights: Sequence[float], normalize: bool = True, compat: str = "") -> Mixed:
    """Return the weighted mean of the operands on the sphere: `slerp` for any number of them.

    The direction is the point with the least weighted sum of squared angles to the operands, the norm the
    weighted mean of their norms. What is zero has no direction and counts for the norm alone. Where no
    direction is left, the operands cancelling out, the result is the plain weighted mean.

    Args:
        field: the operands.
        weights: one for each, not negative.
        normalize: whether the norm is divided by the sum of the weights; the direction never depends on it.
        compat: `mergekit` takes the direction of the weighted mean of `x / (‖x‖ + 1e-8)`: the tangent step it
            goes on with is always zero. Negative weights are allowed.

    Raises:
        RecipeError: a weight is negative, or they sum to 0.
    """
    shares = normalised(weights, field.name)
    products, scales = tensor_products(field), np.asarray(shares if normalize else weights)
    if compat == "mergekit":
        units = scales / (np.sqrt(np.diag(products)) + MERGEKIT_LEAST)
        return _with_norm(_unit(units, products), products, scales)
    if min(weights) < 0:
        raise RecipeError(
            f"a mean on the sphere has weights of 0 or more, not {min(weights):.12g}",
            hint="slerp with t outside [0, 1] goes beyond an operand",
        )
    return _with_norm(mean_direction(products, np.asarray(shares), STEPS, EXACT), products, scales)


def karcher(field: Field, *, max_iter: int = STEPS, tol: float = EXACT) -> Mixed:
    """Return the mean of the operands on the sphere, each counting the same.

    As `multislerp` with equal weights; what is zero counts for the mean of the norms.

    Args:
        field: the operands.
        max_iter: steps, at most; the last point stands if they do not suffice.
        tol: the step, in radians, that is too small to be taken.
    """
    products, operands = tensor_products(field), len(field.keys)
    shares = np.full(operands, 1 / operands)
    return _with_norm(mean_direction(products, shares, max_iter, tol), products, shares)


def mean_direction(products: Doubles, weights: Doubles, max_iter: int, tol: float) -> Doubles | None:
    """Return what the operands are multiplied by to make the unit vector that is their mean; None for none.

    Steps of unit length along the mean of the logarithms, from the normalised mean. Buss and Fillmore (2001),
    "Spherical averages and applications to spherical splines and interpolation", algorithm A1,
    https://doi.org/10.1145/502122.502124

    Args:
        products: inner products of the operands, (operands, operands).
        weights: of the operands, not negative.
        max_iter: steps, at most.
        tol: the step, in radians, at which to stop.
    """
    sizes = np.sqrt(np.diag(products))
    inverse = np.divide(1, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    cosines = products * np.outer(inverse, inverse)
    shares = np.where(sizes > 0, weights, 0.0)
    shares = shares / max(shares.sum(), np.finfo(np.float64).tiny)
    point = _unit(shares, cosines)
    for _ in range(max_iter):
        if point is None:
            return None
        step = _step(point, cosines, shares)
        # The second is never less than the length, and is small when the first is lost to cancellation.
        length = min(math.sqrt(max(step @ cosines @ step, 0.0)), float(np.abs(step).sum()))
        if length <= tol:
            break
        point = _unit(np.cos(length) * point + np.sinc(length / np.pi) * step, cosines)
    return None if point is None else point * inverse


def _step(point: Doubles, cosines: Doubles, shares: Doubles) -> Doubles:
    """Return the weighted mean of the logarithms of all directions at `point`."""
    towards = np.clip(cosines @ point, -1, 1)
    apart, together = 1 - towards, 1 + towards
    bent = (apart > 0) & (together > ANTIPODAL)
    angle = 2 * np.arctan2(np.sqrt(apart), np.sqrt(together))
    stretch = np.divide(angle, np.sqrt(apart * together), out=np.ones_like(angle), where=bent)
    pull = shares * np.where(together > ANTIPODAL, stretch, 0.0)  # what lies opposite pulls nowhere
    change: Doubles = pull - (pull @ towards) * point
    return change


def _unit(coefficients: Doubles, products: Doubles) -> Doubles | None:
    """Return the coefficients of the vector made a unit vector; None if its length is nothing."""
    squared = float(coefficients @ products @ coefficients)
    length = math.sqrt(max(squared, 0.0))
    return coefficients / length if length > CANCELLED else None


def _with_norm(direction: Doubles | None, products: Doubles, scales: Doubles) -> Mixed:
    """Return a direction times the weighted norm of the operands."""
    norm = scales @ np.sqrt(np.diag(products))
    found = scales if direction is None else norm * direction
    return Mixed(tuple(float(one) for one in found))


MULTISLERP = Operator(
    name="multislerp",
    run=multislerp,
    source="Buss and Fillmore (2001), algorithm A1, https://doi.org/10.1145/502122.502124",
    takes="either",
    fewest=2,
    options=(
        WEIGHTS,
        Option("normalize", "flag", True, help="divide the norm by the sum of the weights"),
        COMPAT,
    ),
)
KARCHER = Operator(
    name="karcher",
    run=karcher,
    source="Buss and Fillmore (2001), algorithm A1, https://doi.org/10.1145/502122.502124",
    takes="either",
    fewest=2,
    options=(
        Option("max_iter", "whole", STEPS, low=1, high=1e6, help="steps, at most"),
        Option("tol", default=EXACT, low=0, help="the step, in radians, at which to stop"),
    ),
)
