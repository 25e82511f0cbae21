"""Operators run on arrays made in the test: by numpy and by torch, in blocks of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightarith.operators.field import Array, Result, Tensors, computed
from weightarith.operators.statistics import on_host

Doubles = NDArray[np.float64]

SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (7,), (6, 5), (9, 1), (4, 1, 3), (3, 4, 5))
MATRICES = tuple(shape for shape in SHAPES if len(shape) > 1)


@dataclass(frozen=True)
class Machine:
    """Whose arrays the operands are (`numpy`, `torch`, or torch on `cuda`), and the elements of a block."""

    library: str = "numpy"
    block: int = 1 << 15

    def field(self, operands: Sequence[Doubles], name: str = "", depth: int = 1) -> Tensors:
        return Tensors([self._given(one) for one in operands], name=name, depth=depth, block=self.block)

    def __call__(self, run: Callable[..., Result], operands: Sequence[Doubles], /, **options: Any) -> Doubles:
        """Return what the operator makes of the operands, as one tensor."""
        field = self.field(operands)
        return on_host(computed(run(field, **options), field))

    def _given(self, values: Doubles) -> Array:
        if self.library == "numpy":
            return values
        import torch

        found = torch.from_numpy(np.array(values))
        return found.cuda() if self.library == "cuda" else found


MACHINES = tuple(Machine(library, block) for library in ("numpy", "torch") for block in (7, 1 << 15))
PLAIN = Machine()


def random(count: int, shape: tuple[int, ...], seed: int = 0, spread: float = 1.0) -> list[Doubles]:
    """Return tensors that have something in common, the less the greater the spread."""
    generator = np.random.default_rng(seed)
    common = generator.standard_normal(shape)
    return [np.asarray(common + spread * generator.standard_normal(shape)) for _ in range(count)]


def close(found: Doubles, expected: Doubles, tolerance: float = 1e-13) -> bool:
    """Return whether two tensors agree to a part of the largest number in them."""
    largest = max(np.max(np.abs(expected), initial=0.0), 1e-300)
    return found.shape == expected.shape and bool(np.all(np.abs(found - expected) <= tolerance * largest))


def along(axis: int | None, rule: Callable[..., Doubles], operands: Sequence[Doubles]) -> Doubles:
    """Return what a rule makes of vectors along an axis, each by itself; of the tensor as one for None."""
    if axis is None or not operands[0].shape:
        return rule(*(one.reshape(-1) for one in operands)).reshape(operands[0].shape)
    moved = [np.moveaxis(one, axis, -1) for one in operands]
    found = np.empty_like(moved[0])
    for place in np.ndindex(found.shape[:-1]):
        found[place] = rule(*(one[place] for one in moved))
    return np.moveaxis(found, -1, axis)
