"""A vector in a network's own terms: read once, each tensor on the device and in the dtype of its place.

What is factored stays factored. All-zero tensors must find their place too, and take none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from weightarith.algebra import Linear, Sum, collect
from weightarith.engine.visit import plan_of, visit
from weightarith.errors import IncompatibleError, NonFiniteError, RecipeError, quoted
from weightarith.operators.field import Field
from weightarith.steer.places import Place, Places


@dataclass(frozen=True, eq=False)
class Factors:
    """A displacement `left @ right`."""

    left: torch.Tensor  # (rows, rank)
    right: torch.Tensor  # (rank, columns)

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """Return what the displacement makes of inputs, (..., columns) to (..., rows)."""
        return functional.linear(functional.linear(values, self.right), self.left)

    def rows(self, span: slice) -> torch.Tensor:
        """Return some rows of it, dense."""
        return self.left[span] @ self.right

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """What it is made of."""
        return (self.left, self.right)


@dataclass(frozen=True, eq=False)
class Dense:
    """A displacement in full."""

    tensor: torch.Tensor

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """Return what the displacement of a matrix makes of inputs, or that of a bias itself."""
        return self.tensor if self.tensor.dim() == 1 else functional.linear(values, self.tensor)

    def rows(self, span: slice) -> torch.Tensor:
        """Return some rows of it; a number counts as one row."""
        return (self.tensor if self.tensor.dim() else self.tensor[None])[span]

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """What it is made of."""
        return (self.tensor,)


Delta = Factors | Dense


@dataclass(frozen=True, eq=False)
class Fitted:
    """A vector that fits a network: what is added at linear modules and what is moved, by name."""

    added: Mapping[str, Delta]
    moved: Mapping[str, Delta]


def fit(
    network: nn.Module,
    vector: Linear,
    label: str,
    change: Callable[[str, Delta], Delta] = lambda _name, delta: delta,
) -> Fitted:
    """Return a vector as it is applied to a network, all of its tensors accounted for.

    Args:
        network: whose tensors it moves.
        vector: any sum that is a vector.
        label: what errors call the network.
        change: makes another displacement of each, given its name and the numbers in float64.

    Raises:
        DegreeError, RecipeError: the sum is no vector.
        IncompatibleError: it moves what the network lacks, or is of another shape.
        NonFiniteError: it holds NaN or infinity, or does in the dtype of the network.
        UnsupportedError: weights of the network that cannot be moved.
    """
    total = collect(vector.terms)
    if total.kind != "vector":
        raise RecipeError(
            f"{quoted(str(total))} is a model, and a model is steered with a vector",
            hint="subtract its base: model - base",
        )
    plan, places = plan_of(total), Places(network, label)
    where = {
        job.tensor: places.at(job.tensor, job.tensor_shape)
        for file in plan.files for job in file.jobs
    }  # fmt: skip

    def look(field: Field) -> Delta | None:
        delta = _read(field)
        made = None if delta is None else _none_if_zero(change(field.name, delta))
        return None if made is None else _settled(made, where[field.name], field.name)

    with torch.inference_mode(False):
        found = visit(plan, look)
    return _sorted(found, where, total)


def _sorted(found: Mapping[str, Delta | None], where: Mapping[str, Place], total: Sum) -> Fitted:
    """Return the displacements under the network's names, that of a weight with several names once.

    Raises:
        IncompatibleError: a shared weight is moved by a further name alone, or by its names differently.
    """
    together: dict[str, list[str]] = {}
    for name in where:
        together.setdefault(where[name].name, []).append(name)
    sides: dict[str, dict[str, Delta]] = {"added": {}, "moved": {}}
    for own, names in together.items():
        first = [name for name in names if not where[name].further]
        if len(first) != 1 or not all(_alike(found[first[0]], found[name]) for name in names):
            other = next(name for name in names if [name] != first)
            raise IncompatibleError(
                f"{quoted(str(total))} moves {quoted(other)} by itself, "
                f"and in this network it is one weight with {quoted(own)}",
                hint=f"move {quoted(own)}, and both will",
            )
        delta = found[first[0]]
        if delta is not None:
            sides[where[first[0]].how][own] = delta
    return Fitted(sides["added"], sides["moved"])


def _alike(one: Delta | None, other: Delta | None) -> bool:
    if one is None or other is None:
        return one is other
    pairs = zip(one.tensors, other.tensors, strict=False)
    return type(one) is type(other) and all(torch.equal(left, right) for left, right in pairs)


def _read(field: Field) -> Delta | None:
    """Return what a field holds, in float64; None if that is nothing but zeros.

    Raises:
        NonFiniteError: it holds NaN or infinity.
    """
    product = field.factors()[0]
    delta = (
        Dense(_doubles(field.whole()[0]))
        if product is None
        else Factors(_doubles(product.left), _doubles(product.right))
    )
    _check_finite(delta, field.name, "")
    return _none_if_zero(delta)


def _none_if_zero(delta: Delta) -> Delta | None:
    return delta if all(tensor.any() for tensor in delta.tensors) else None


def _doubles(array: Any) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float64)


def _settled(delta: Delta, place: Place, name: str) -> Delta:
    """Return a displacement in the dtype and on the device of its place, factors as large as each other.

    Raises:
        NonFiniteError: it is too large for the dtype.
    """

    def put(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(device=place.device, dtype=place.dtype)

    if isinstance(delta, Dense):
        settled: Delta = Dense(put(delta.tensor))
    else:
        left, right = (float(tensor.abs().max()) for tensor in delta.tensors)
        power = round(
            math.log2(right / left) / 2
        )  # a power of two: exact, and neither one vanishes in float16
        settled = Factors(put(delta.left * 2.0**power), put(delta.right * 2.0**-power))
    _check_finite(settled, name, f" as {str(place.dtype).removeprefix('torch.')}")
    return settled


def _check_finite(delta: Delta, name: str, how: str) -> None:
    if not all(tensor.isfinite().all() for tensor in delta.tensors):
        raise NonFiniteError(f"the vector holds NaN or infinity{how} at {quoted(name)}")
