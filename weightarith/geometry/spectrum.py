"""Singular values of a displacement, and how many directions they amount to.

Factors are not multiplied out: their values come from two QR decompositions and a small matrix. A dense
matrix goes through the inner products of its shorter side in float64, rows at a time; values below a
millionth of the largest are rounding there and count as zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weightarith.algebra import Linear
from weightarith.engine.settings import Policy
from weightarith.engine.together import Together, plan_of_all, visit_all
from weightarith.geometry.products import Doubles
from weightarith.geometry.stacked import Stacked
from weightarith.operators.factored import decomposed_product, is_matrix
from weightarith.operators.spectrum import FLOORS
from weightarith.operators.statistics import on_host


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Singular values of one matrix.

    Attributes:
        values: those above zero, largest first, (count,).
        shape: of the matrix.
        exact: whether they come from factors, rather than from a dense matrix.
    """

    values: Doubles
    shape: tuple[int, ...]
    exact: bool

    @property
    def count(self) -> int:
        """How many there are: the numerical rank."""
        return int(self.values.size)

    @cached_property
    def energy(self) -> float:
        """The sum of their squares, the square of the Frobenius norm."""
        return math.fsum(self.values**2)

    @property
    def effective_rank(self) -> float:
        """See `effective_rank`."""
        return effective_rank(self.values)

    @property
    def stable_rank(self) -> float:
        """See `stable_rank`."""
        return stable_rank(self.values)

    def kept(self) -> Doubles:
        """Return the share of the energy that the largest i values hold, i from 1, (count,)."""
        return np.cumsum(self.values**2) / self.energy if self.energy else np.zeros(0)


@dataclass(frozen=True)
class Spectra:
    """Singular values of every matrix of a vector.

    Attributes:
        found: by name of the tensor.
        skipped: matrices that were not decomposed, since it was more work than was allowed.
    """

    found: Mapping[str, Spectrum]
    skipped: tuple[str, ...]


def effective_rank(values: Doubles) -> float:
    """Return the exponential of the entropy of singular values, normalised to sum to 1; 0 of none.

    It is the number of equal values that would be as spread out. Roy and Vetterli (2007), "The effective
    rank: a measure of effective dimensionality", EUSIPCO, https://ieeexplore.ieee.org/document/7098875
    """
    total = float(values.sum())
    if not total:
        return 0.0
    shares = values[values > 0] / total
    return math.exp(-math.fsum(shares * np.log(shares)))


def stable_rank(values: Doubles) -> float:
    """Return the squared Frobenius norm over the square of the largest value, 1 or more; 0 of none.

    Rudelson and Vershynin (2007), "Sampling from large matrices", https://doi.org/10.1145/1255443.1255449
    """
    largest = float(values.max(initial=0.0))
    return float(((values / largest) ** 2).sum()) if largest else 0.0


def spectrum(
    vector: Linear,
    *,
    policy: Policy | None = None,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> dict[str, Spectrum]:
    """Return the singular values of every matrix of a vector, by name; tensors of other shapes have none.

    Raises:
        WeightArithError: it is no vector, or an input is damaged or not finite.
    """
    return dict(spectra(vector, policy=policy, threads=threads, progress=progress).found)


def spectra(
    vector: Linear,
    *,
    work: int | None = None,
    policy: Policy | None = None,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Spectra:
    """Return what `spectrum` does, dense matrices left aside that take more than `work` multiplications.

    A dense matrix takes its elements times its shorter side.

    Raises:
        WeightArithError: see `spectrum`.
    """

    def look(field: Together) -> Spectrum | bool:
        return _looked_at(field, work)

    seen = visit_all(plan_of_all([vector], policy), look, threads=threads, progress=progress)
    found = {name: one for name, one in seen.items() if isinstance(one, Spectrum)}
    return Spectra(found, tuple(name for name, one in seen.items() if one is True))


def _looked_at(field: Together, work: int | None) -> Spectrum | bool:
    """Return the values of a matrix; whether it was too much work, of anything else."""
    if not is_matrix(field):
        return False
    (operand,) = field.operands
    if not operand.parts:
        values = on_host(decomposed_product(Stacked(field).product).values)
        return Spectrum(values, field.shape, exact=True)
    if work is not None and field.count * min(field.shape) > work:
        return True
    return Spectrum(_dense_values(field), field.shape, exact=False)


def _dense_values(field: Together) -> Doubles:
    if field.operands[0].double:
        values = np.linalg.svd(field.whole()[0], compute_uv=False)
        return np.asarray(values[values > FLOORS[8] * values[0]], np.float64)
    squared = np.linalg.eigvalsh(_inner(field))[::-1]
    values = np.sqrt(np.maximum(squared, 0.0))
    return np.asarray(values[values > FLOORS[4] * values[0]], np.float64)


def _inner(field: Together) -> Doubles:
    """Return the inner products of the shorter side of a matrix with itself."""
    rows, columns = field.shape
    if columns <= rows:
        found = np.zeros((columns, columns))
        for _, values in field.rows():
            found += values[0].T @ values[0]
        return found
    matrix, found = field.whole()[0], np.zeros((rows, rows))
    for start in range(0, columns, _WIDE):
        block = np.asarray(matrix[:, start : start + _WIDE], np.float64)
        found += block @ block.T
    return found


_WIDE = 1024
"""Columns that are multiplied in float64 at a time."""
