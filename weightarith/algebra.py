"""Checkpoint and Vector, and the flattened sum that types them.

Weights form an affine space: a checkpoint is a point, a vector a displacement. An expression is flattened to
`Σ cᵢ·xᵢ` and typed by its *degree*, the sum of the coefficients on checkpoints: 1 is a checkpoint, 0 a
vector, anything else has no meaning. So `a + b - base` is legal whatever the parentheses, and `a + b` is not.

Coefficients are fractions: 0.1 + 0.2 + 0.7 is 1. Task vectors and their arithmetic: Ilharco et al. (2022),
section 2, https://arxiv.org/abs/2212.04089
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

from weightarith.errors import DegreeError, RecipeError, UnsupportedError, quoted
from weightarith.store import Source, open_source, open_streamed
from weightarith.weighting import Weighting
from weightarith.wording import diagnosis, remedy, shown, shown_sum

Number = int | float | Fraction | Decimal
ZERO, ONE = Fraction(0), Fraction(1)


def exact(number: Number) -> Fraction:
    """Return `number` as a fraction; a float counts as the decimal it prints as, so 0.1 is one tenth.

    Raises:
        RecipeError: `number` is NaN or infinite.
    """
    try:
        return Fraction(float.__repr__(number)) if isinstance(number, float) else Fraction(number)
    except (ValueError, OverflowError):
        raise RecipeError(f"a coefficient must be a finite number, not {number}") from None


class Linear:
    """Anything that can be added and scaled: what `+`, `-`, `*` and `/` mean, written once."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """The summands, in order of first appearance."""
        raise NotImplementedError

    def __add__(self, other: Linear) -> Sum:
        if not isinstance(other, Linear):
            return NotImplemented
        return collect((*self.terms, *other.terms))

    def __sub__(self, other: Linear) -> Sum:
        if not isinstance(other, Linear):
            return NotImplemented
        return self + -other

    def __mul__(self, number: Number) -> Sum:
        if not isinstance(number, Number):
            return NotImplemented
        factor = exact(number)
        return Sum(tuple(replace(term, coefficient=factor * term.coefficient) for term in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, number: Number) -> Sum:
        if not isinstance(number, Number):
            return NotImplemented
        if exact(number) == 0:
            raise RecipeError("division by zero")
        return self * (1 / exact(number))

    def __neg__(self) -> Sum:
        return self * -1

    def __pos__(self) -> Sum:
        return self * 1

    def weighted(self, weighting: Weighting) -> Sum:
        """Return the same sum, every coefficient multiplied by `weighting` tensor by tensor."""
        return Sum(tuple(replace(term, weightings=(*term.weightings, weighting)) for term in self.terms))


class Atom(Linear):
    """What a sum is made of: an input, or what an operator makes of other sums.

    Attributes:
        label: its name in a recipe, its path, or the call that makes it.
        point: whether it is a checkpoint; if not, it is a vector.
    """

    label: str
    point: bool

    @property
    def key(self) -> str:
        """What makes two atoms the same, whatever they are called."""
        raise NotImplementedError

    def written(self, name: Callable[[str], str]) -> str:
        """Return the label, with the label of every input passed through `name`."""
        raise NotImplementedError

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """The inputs it rests on, in order of first appearance."""
        raise NotImplementedError

    @property
    def terms(self) -> tuple[Term, ...]:
        """The atom itself, once."""
        return (Term(self, ONE),)

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, eq=False)
class Leaf(Atom):
    """One opened input. `label` is its name in a recipe, or its path; equal paths are equal inputs."""

    source: Source
    label: str

    @cached_property
    def key(self) -> str:  # asked for at every tensor
        """The path of the input, and what was done to its layers."""
        return f"{self.source.path.resolve()}{self.source.edit}"

    def written(self, name: Callable[[str], str]) -> str:
        """Return what `name` makes of the label."""
        return name(self.label)

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """The input itself."""
        return (self,)


@dataclass(frozen=True, eq=False)
class Checkpoint(Leaf):
    """All weights of one model, a point; only headers have been read."""

    point = True

    @classmethod
    def open(cls, path: str | Path, *, label: str = "", stream: bool = False) -> Checkpoint:
        """Return the checkpoint at `path`, a transformers folder or one safetensors file.

        With `stream` it may also be a name on the Hub, and what is not on this machine is read from there.

        Raises:
            HubError: the Hub does not deliver.
            InvalidFileError: a file is not what its name, header or index says.
            UnsupportedError: `path` holds a vector or an adapter, or quantised weights.
        """
        return cls(_opened(path, "checkpoint", stream=stream), label or str(path))


@dataclass(frozen=True, eq=False)
class Vector(Leaf):
    """A displacement: a vector file, or an adapter folder read as the change it makes.

    `base` is the checkpoint an adapter with fully trained tensors was trained on; it stores those tensors
    whole, and only `trained − base` is a displacement.
    """

    point = False
    base: Checkpoint | None = None

    @classmethod
    def open(
        cls, path: str | Path, *, label: str = "", base: Checkpoint | None = None, stream: bool = False
    ) -> Vector:
        """Return the vector at `path`: a vector file or folder, or a PEFT LoRA folder.

        With `stream` it may also be a name on the Hub, and what is not on this machine is read from there.

        Raises:
            HubError: the Hub does not deliver.
            InvalidFileError: a file is not what its name, header or index says.
            UnsupportedError: `path` holds a checkpoint, or an adapter of a kind that is no displacement.
        """
        return cls(_opened(path, "vector", stream=stream), label or str(path), base)

    @cached_property
    def key(self) -> str:
        """The path, and that of the base where one is given."""
        path = f"{self.source.path.resolve()}{self.source.edit}"
        return f"{path}|{self.base.key}" if self.base else path


def _opened(path: str | Path, wanted: Literal["checkpoint", "vector"], *, stream: bool) -> Source:
    source = open_streamed(str(path)) if stream else open_source(Path(path))
    if (source.kind == "checkpoint") != (wanted == "checkpoint"):
        article = "an adapter" if source.kind == "adapter" else f"a {source.kind}"
        raise UnsupportedError(f"{quoted(str(path))} is {article}, expected a {wanted}")
    return source


@dataclass(frozen=True)
class Term:
    """One summand: a coefficient, what it multiplies, and how that varies from tensor to tensor."""

    leaf: Atom
    coefficient: Fraction
    weightings: tuple[Weighting, ...] = ()

    @property
    def mark(self) -> str:
        """What stands behind the name of the input where the term takes only part of it."""
        return "[in part]" if self.weightings else ""

    def at(self, name: str, depth: int) -> Fraction:
        """Return the coefficient at tensor `name` in a model of `depth` layers."""
        value = self.coefficient
        for weighting in self.weightings:
            value *= weighting.factor(name, depth)
        return value


@dataclass(frozen=True)
class Sum(Linear):
    """`Σ cᵢ·xᵢ`, like terms collected; what cancels stays, with coefficient 0, to be checked and named."""

    summands: tuple[Term, ...]

    @property
    def terms(self) -> tuple[Term, ...]:
        """The summands, in order of first appearance."""
        return self.summands

    @property
    def degree(self) -> Fraction:
        """The sum of the coefficients on checkpoints, weightings left aside."""
        return sum((term.coefficient for term in self.checkpoints), ZERO)

    @property
    def checkpoints(self) -> tuple[Term, ...]:
        """The terms on points."""
        return tuple(term for term in self.summands if term.leaf.point)

    @property
    def kind(self) -> Literal["checkpoint", "vector"]:
        """What the sum is.

        Raises:
            DegreeError: the degree is neither 1 nor 0.
        """
        if self.degree == 1 and self.checkpoints:
            return "checkpoint"
        if self.degree == 0:
            return "vector"
        models = [(term.coefficient, term.leaf.label) for term in self.checkpoints if term.coefficient]
        raise DegreeError(
            f"{diagnosis(str(self), models)}: coefficients on checkpoints sum to {shown(self.degree)}, "
            "and only 1 (a checkpoint) or 0 (a vector) has a meaning",
            hint=remedy(models),
        )

    def written(self, name: Callable[[str], str]) -> str:
        """Return the sum in words, with the label of every input passed through `name`."""
        present = (term for term in self.summands if term.coefficient)
        return shown_sum((term.coefficient, term.leaf.written(name) + term.mark) for term in present)

    def __str__(self) -> str:
        return self.written(str)


def collect(terms: Iterable[Term]) -> Sum:
    """Return the sum of `terms` with like terms (same input, same weightings) added up."""
    found: dict[tuple[str, tuple[Weighting, ...]], Term] = {}
    for term in terms:
        key = (term.leaf.key, term.weightings)
        known = found.get(key)
        found[key] = replace(known, coefficient=known.coefficient + term.coefficient) if known else term
    return Sum(tuple(found.values()))
