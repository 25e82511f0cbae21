"""Operators on sums whose numbers are never written out, a block at a time.

Thin callers of machine code, as in `linear`; the loops themselves are in `forms`. Each gives the bits that
`linear.values` and the plain kernels, or arrays, would.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weightarith.kernels.formats import TILE
from weightarith.kernels.linear import Terms
from weightarith.kernels.machine import address, entries

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]


class Forms:
    """Sums of rows of one workspace, packed together; `scratch` is theirs."""

    def __init__(self, workspace: Bytes, forms: Sequence[Terms]) -> None:
        before = np.cumsum([0, *(form.rows.size for form in forms)])
        self._packed = Terms(
            np.concatenate([form.rows for form in forms]),
            np.concatenate([form.codes for form in forms]),
            np.concatenate([form.signs for form in forms]),
            np.concatenate([form.ends + start for form, start in zip(forms, before, strict=False)]),
            np.concatenate([form.multipliers for form in forms]),
            np.concatenate([form.origins for form in forms]),
        )
        self._bounds = np.cumsum([0, *(form.ends.size for form in forms)], dtype=np.int64)
        self._workspace = workspace  # held, as only its address is told
        self._scratch = np.empty((len(forms), TILE))
        self._nonfinite = np.zeros(1, np.int64)
        told = (address(workspace), workspace.shape[1], workspace.shape[0], *self._packed.addresses)
        self._head = np.array((*told, address(self._bounds), len(forms)), np.int64)

    def products(self, count: int) -> tuple[Doubles, int]:
        """Return the inner products of a block of every sum with one another, and how many are not finite."""
        forms = self._bounds.size - 1
        out = np.zeros((forms, forms))
        entries().products(
            address(self._head), count, address(self._scratch), address(out), address(self._nonfinite)
        )
        return np.tril(out) + np.tril(out, -1).T, int(self._nonfinite[0])

    def sizes_between(
        self, form: int, count: int, low: float, high: float, kept: Doubles
    ) -> tuple[int, int, int, int, int]:
        """Do what `elect.between` does with magnitudes of one sum; return how many are not finite, too."""
        counts = np.zeros(4, np.int64)
        entries().sizes_between(
            address(self._head), form, count, low, high, address(counts), address(kept),
            address(self._scratch), address(self._nonfinite),
        )  # fmt: skip
        above, at_high, at_low, inside = counts.tolist()
        return above, at_high, at_low, inside, int(self._nonfinite[0])

    def vote(
        self, terms: Sequence[Sequence[float]], out: Doubles, *, normalize: bool, plus: bool, checked: bool
    ) -> int:
        """Do what `elect.elect` does with the sums, into `out`; return how many numbers are not finite.

        Args:
            terms: `least`, `factors`, `weights` and `shares`.
            out: for as many elements as it has.
            normalize: whether to divide by the sum of the shares.
            plus: whether a sum of zero elects plus.
            checked: whether the sums are known to be finite.
        """
        each = [np.array(one, np.float64) for one in terms]
        entries().vote(
            address(self._head), *map(address, each), normalize, plus, checked, address(self._scratch),
            out.size, address(out), address(self._nonfinite),
        )  # fmt: skip
        return int(self._nonfinite[0])
