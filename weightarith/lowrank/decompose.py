"""Every tensor of a vector looked at once, and its largest singular directions put by.

What is stored as two factors already, of no higher rank than asked for, stays to the bit as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from array_api_compat import array_namespace

from weightarith.engine.visit import visit
from weightarith.errors import NonFiniteError, quoted
from weightarith.lowrank.goal import Job
from weightarith.lowrank.scratch import Place, Scratch
from weightarith.operators.compress import approximated
from weightarith.operators.factored import is_matrix, recompress
from weightarith.operators.field import Field, Product
from weightarith.operators.statistics import gram

NO_MATRIX = "no matrix"
NO_LOW_RANK = "no low-rank form"


@dataclass(frozen=True)
class Found:
    """What is known of one tensor.

    Attributes:
        norm: Frobenius norm.
        rank: of what is kept; None where the tensor stays whole.
        error: norm of what is left out.
        excess: how far that is above the smallest possible at this rank, relative; an estimate.
        exact: whether the tensor came in factors, and these are kept.
        why: why it stays whole.
        wanted: the rank that was too high to be worth it, where there is no low-rank form.
        place: of the factors in the scratch file.
    """

    norm: float
    rank: int | None = None
    error: float = 0.0
    excess: float = 0.0
    exact: bool = False
    why: str = ""
    wanted: int | None = None
    place: Place | None = None

    @property
    def energy(self) -> float:
        """The share of the squared norm that is kept, 0 to 1."""
        return max(1.0 - (self.error / self.norm) ** 2, 0.0) if self.norm else 1.0


@dataclass(frozen=True, eq=False)
class Decomposed:
    """What was found of every tensor, by name; the factors are in the scratch file, if there is one."""

    found: Mapping[str, Found]
    scratch: Scratch | None

    @cached_property
    def norm(self) -> float:
        """Of the whole vector."""
        return math.sqrt(math.fsum(one.norm**2 for one in self.found.values()))

    @cached_property
    def energy(self) -> float:
        """The share of the vector's squared norm that is kept, whole tensors included; 1 of a zero vector."""
        lost = math.fsum(one.error**2 for one in self.found.values())
        return max(1.0 - lost / self.norm**2, 0.0) if self.norm else 1.0

    def share(self, names: Mapping[str, object]) -> float:
        """Return the share of the vector's squared norm that lies in some tensors."""
        held = math.fsum(self.found[name].norm ** 2 for name in names)
        return held / self.norm**2 if self.norm else 0.0

    def product(self, name: str) -> Product:
        """Return the factors of a tensor.

        Raises:
            StorageError: the disk failed.
        """
        one = self.found[name]
        if self.scratch is None or one.place is None:
            raise RuntimeError(f"{quoted(name)} was looked at, and its factors were not kept")
        factors = self.scratch.take(one.place)
        return Product(factors.left, factors.right, one.norm, one.error)


def decompose(
    job: Job,
    scratch: Scratch | None,
    *,
    threads: int = 0,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Decomposed:
    """Return what there is to know of every tensor, in float64.

    Args:
        job: what `prepare` returned.
        scratch: where factors are put by; None keeps none of them.
        threads: at work at once; 0 is one a core.
        progress: called now and then with the bytes of the tensors done so far, of `job.read_bytes`.

    Raises:
        NonFiniteError: a number is NaN or infinite.
        InvalidFileError: an input changed meanwhile.
        StorageError: the disk failed.
    """
    asked = job.made.at("", 0)

    def look(field: Field) -> Found:
        why = job.whole.get(field.name) or ("" if is_matrix(field) else NO_MATRIX)
        if why:
            return Found(_norm(field), why=why)
        return _taken_apart(field, asked["rank"], asked["energy"], scratch)

    return Decomposed(visit(job.plan, look, threads=threads, progress=progress), scratch)


def _norm(field: Field) -> float:
    products = gram(field)
    return math.sqrt(products[0, 0]) if products.size else 0.0


def _taken_apart(field: Field, rank: int, energy: float, scratch: Scratch | None) -> Found:
    (given,) = field.factors()
    if given is not None:
        found = _kept_factors(field.name, given, rank, energy)
        if found is not None:
            return _put_by(found, given, scratch)
    truncated = approximated(field, rank or min(field.shape), energy)
    if truncated is None:  # no matrix, and those have been left aside
        raise RuntimeError(f"{quoted(field.name)} has no singular directions")
    found = Found(
        float(truncated.norm), truncated.values.shape[0], float(truncated.error), float(truncated.excess)
    )
    if given is None and not is_smaller(field.shape, truncated.values.shape[0]):
        return Found(found.norm, why=NO_LOW_RANK, wanted=found.rank)
    return _put_by(found, truncated.product, scratch)


def is_smaller(shape: tuple[int, ...], rank: int) -> bool:
    """Return whether two factors of a matrix hold fewer numbers than it does."""
    rows, columns = shape
    return rank * (rows + columns) < rows * columns


def _kept_factors(name: str, given: Product, rank: int, energy: float) -> Found | None:
    """Return what there is to know of factors that stay as they are, None where some must go.

    Raises:
        NonFiniteError: they hold NaN or infinity.
    """
    xp = array_namespace(given.left)
    if not bool(xp.all(xp.isfinite(given.left))) or not bool(xp.all(xp.isfinite(given.right))):
        raise NonFiniteError(
            f"a factor of {quoted(name)} holds NaN or infinity",
            hint="an input is damaged: train or download it again",
        )
    own = given.left.shape[1]
    if rank and own > rank:
        return None
    found = recompress(given, rank, energy)
    if energy and found.values.shape[0] < own:
        return None
    return Found(float(found.norm), own, exact=True)


def _put_by(found: Found, product: Product, scratch: Scratch | None) -> Found:
    return found if scratch is None else replace(found, place=scratch.keep(product))
