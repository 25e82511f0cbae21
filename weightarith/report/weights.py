"""The vector itself in numbers: where its norm lies, and how many directions hold it.

Factors are not multiplied out: their spectrum comes from two QR decompositions and a small matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from weightarith.algebra import Vector, collect
from weightarith.engine.devices import cores
from weightarith.engine.visit import plan_of, visit
from weightarith.measure import by_layer, by_role, norms, total
from weightarith.operators.factored import decomposed_product, is_matrix
from weightarith.operators.field import Field
from weightarith.operators.spectrum import decomposed
from weightarith.operators.statistics import on_host
from weightarith.store import Source

AFFORDABLE = 1 << 31
"""Operations, about, up to which a dense matrix is decomposed; factors always are."""
LISTED = 12
"""Tensors that are listed by name, the largest."""


@dataclass(frozen=True)
class Largest:
    """One of the tensors that hold most of a vector."""

    name: str
    shape: tuple[int, ...]
    rank: int | None  # of its factors, None where it is dense
    norm: float
    share: float  # of the squared norm of the whole
    stable_rank: float | None  # ‖Δ‖² over the square of its largest singular value


@dataclass(frozen=True)
class Weights:
    """What a vector measures.

    Attributes:
        norm: Frobenius, over all tensors.
        tensors: how many there are.
        elements: of all of them.
        ranks: of the factors, each once.
        layers: norm by layer, `outside` before them.
        roles: of each role norm and share of the squared norm, the largest first.
        largest: the tensors with the largest norm.
        energies: sum over tensors of the squared i-th singular value, i from 1.
        decomposed: tensors that went into `energies`.
        squared: their squared norm.
        skipped: matrices that did not, being dense and large.
    """

    norm: float
    tensors: int
    elements: int
    ranks: tuple[int, ...]
    layers: tuple[tuple[str, float], ...]
    roles: tuple[tuple[str, float, float], ...]
    largest: tuple[Largest, ...]
    energies: tuple[float, ...]
    decomposed: int
    squared: float
    skipped: int

    @cached_property
    def kept(self) -> tuple[float, ...]:
        """The share of `squared` that the first i directions of every tensor hold, i from 1."""
        held, found = 0.0, []
        for energy in self.energies:
            held += energy
            found.append(min(held / self.squared, 1.0) if self.squared else 0.0)
        return tuple(found)

    def rank_for(self, share: float) -> int | None:
        """Return the fewest directions a tensor that hold a share, None where none were counted."""
        return next((place for place, kept in enumerate(self.kept, 1) if kept >= share - 1e-12), None)


def measured(vector: Vector, progress: Callable[[int], None] = lambda _moved: None) -> Weights:
    """Return what a vector measures; its weights are read twice, and `progress` is told of the first time.

    Raises:
        WeightArithError: a file is damaged, or the vector needs its base and has none.
    """
    source = vector.source
    found = norms(source, threads=cores(), progress=progress)
    spectra = visit(plan_of(collect(vector.terms)), _values)
    counted = {name: values for name, values in spectra.items() if values is not None}
    whole, energies = total(found.values()), _energies(counted.values())
    order = sorted(found, key=lambda name: (-found[name].norm, name))[:LISTED]
    roles = sorted(by_role(found).items(), key=lambda item: (-item[1], item[0]))
    return Weights(
        norm=whole,
        tensors=len(found),
        elements=sum(one.count for one in found.values()),
        ranks=tuple(sorted({one.rank for one in source.factors.values()})),
        layers=tuple(by_layer(found).items()),
        roles=tuple((role, norm, _part(norm, whole)) for role, norm in roles),
        largest=tuple(_largest(name, source, found[name].norm, whole, counted.get(name)) for name in order),
        energies=energies,
        decomposed=len(counted),
        squared=sum(energies),
        skipped=sum(values is None and len(_shape(name, source)) == 2 for name, values in spectra.items()),
    )


def _largest(
    name: str, source: Source, norm: float, whole: float, values: tuple[float, ...] | None
) -> Largest:
    stable = sum(value * value for value in values) / values[0] ** 2 if values else None
    rank = source.factors[name].rank if name in source.factors else None
    return Largest(name, _shape(name, source), rank, norm, _part(norm, whole), stable)


def _energies(spectra: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """Return the sum over spectra of the square of each value, by its place."""
    return tuple(sum(value * value for value in row) for row in zip_longest(*spectra, fillvalue=0.0))


def _part(norm: float, whole: float) -> float:
    """Return the share of a squared norm."""
    return (norm / whole) ** 2 if whole else 0.0


def _shape(name: str, source: Source) -> tuple[int, ...]:
    if name in source.factors:
        return tuple(source.factors[name].shape)
    if name in source.encoded:
        return tuple(source.encoded[name].shape)
    return tuple({**source.tensors, **source.replaced}[name].info.shape)


def _values(field: Field) -> tuple[float, ...] | None:
    """Return the singular values of a tensor, largest first; None of one that is no matrix, or too large."""
    if not is_matrix(field):
        return None
    (product,) = field.factors()
    if product is not None:
        return tuple(map(float, on_host(decomposed_product(product).values)))
    if field.count * min(field.shape) > AFFORDABLE:
        return None
    (matrix,) = field.whole()
    return tuple(map(float, on_host(decomposed(matrix).values)))
