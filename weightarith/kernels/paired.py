"""Two rows of a workspace compared without forming their numbers: which sums can be, and what comes of it.

A thin caller of machine code, as in `linear`; the loops are in `pairs`. What it returns is for reports: other
kernels sum in another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightarith.kernels.formats import FIRST, PAIR, SECOND, THIRD
from weightarith.kernels.linear import Terms
from weightarith.kernels.machine import address, entries

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]

NO_BASE = (-1, 0)
"""In place of the row that both are measured from: there is none."""

Held = tuple[int, int]
"""A row, and the format of what lies in it."""


@dataclass(frozen=True)
class Simple:
    """A sum that is `factor · (plus − minus)`; without `minus` it is `factor · plus`."""

    factor: float
    plus: Held
    minus: Held | None


@dataclass(frozen=True, eq=False)
class Paired:
    """Sums that two rows, and perhaps a third that both are measured from, are enough for.

    Attributes:
        one, other: the rows.
        base: the third, or `NO_BASE`.
        apart: whether what is summed besides squares is (x − y)², and not x·y.
        factors: of each sum.
        places: how much of `FIRST`, `SECOND`, `THIRD` each inner product is, (sums, sums, PAIR).
    """

    one: Held
    other: Held
    base: Held
    apart: bool
    factors: tuple[float, ...]
    places: Doubles

    def products(self, workspace: Bytes, count: int) -> Doubles | None:
        """Return the inner products of the sums, (sums, sums); None where a number is NaN or infinite."""
        sums = np.zeros(PAIR)
        entries().pair(
            address(workspace), workspace.shape[1], workspace.shape[0], *self.one, *self.other, *self.base,
            self.apart, count, address(sums),
        )  # fmt: skip
        if not math.isfinite(sums.sum()):  # squares: no two infinities cancel
            return None
        found: Doubles = self.places @ sums
        return found * np.outer(self.factors, self.factors)


def paired(forms: Sequence[Terms]) -> Paired | None:
    """Return sums as two rows compared, None where they are more than that.

    They may be one plain difference; two plain rows, or differences from one base; or two rows and their
    difference, the first less the second.
    """
    found = [simple for form in forms if (simple := _simple(form)) is not None]
    if len(found) != len(forms) or not 1 <= len(found) <= 3:
        return None
    factors = tuple(one.factor for one in found)
    plain = [one.minus is None for one in found]
    match found:
        case [Simple(_, plus, minus)]:
            alone = minus is None
            return Paired(plus, minus or plus, NO_BASE, not alone, factors, _ONE if alone else _DIFFERENCE)
        case [one, other] if all(plain):
            return Paired(one.plus, other.plus, NO_BASE, False, factors, _TWO)
        case [one, other] if not any(plain):
            return _from_one_base(one, other)
        case [one, other, Simple(_, plus, minus)] if plain == [True, True, False]:
            if (plus, minus) == (one.plus, other.plus):
                return Paired(one.plus, other.plus, NO_BASE, True, factors, _THREE)
    return None


def _from_one_base(one: Simple, other: Simple) -> Paired | None:
    factors = (one.factor, other.factor)
    if one.minus is not None and one.minus == other.minus:
        return Paired(one.plus, other.plus, one.minus, False, factors, _TWO)
    if one.plus == other.plus and one.minus is not None and other.minus is not None:
        return Paired(one.minus, other.minus, one.plus, False, (-factors[0], -factors[1]), _TWO)
    return None


def _simple(form: Terms) -> Simple | None:
    if form.ends.size != 1 or form.origins[0] or form.rows.size not in (1, 2):
        return None
    held = list(zip(form.rows.tolist(), form.codes.tolist(), strict=True))
    factor = float(form.multipliers[0] * form.signs[0])
    if len(held) == 1:
        return Simple(factor, held[0], None)
    return Simple(factor, held[0], held[1]) if form.signs[0] == -form.signs[1] else None


_XX, _YY, _LAST = np.eye(PAIR)[[FIRST, SECOND, THIRD]]
_ONE, _DIFFERENCE = np.array([[_XX]]), np.array([[_LAST]])
_TWO = np.array([[_XX, _LAST], [_LAST, _YY]])
_XY = (_XX + _YY - _LAST) / 2
_X, _Y = (_XX - _YY + _LAST) / 2, (_XX - _YY - _LAST) / 2  # ⟨x, x − y⟩ and ⟨y, x − y⟩
_THREE = np.array([[_XX, _XY, _X], [_XY, _YY, _Y], [_X, _Y, _LAST]])
