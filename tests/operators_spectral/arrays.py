"""Matrices for tests, in numpy or torch, and their way back to numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from weightarith.operators.field import Array, Field, Product, Result, Tensors, computed

Doubles = NDArray[np.float64]
LIBRARIES = ("numpy", "torch")


def normal(seed: int, *shape: int) -> Doubles:
    """Return normally distributed numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


def orthonormal(seed: int, rows: int, columns: int) -> Doubles:
    return np.linalg.qr(normal(seed, rows, columns))[0]


def with_spectrum(seed: int, rows: int, columns: int, values: Any) -> Doubles:
    """Return a matrix with the singular values given, and zeros after them."""
    rank = len(values)
    left, right = orthonormal(seed, rows, rank), orthonormal(seed + 1, columns, rank)
    return np.asarray((left * np.asarray(values)) @ right.T)


def to(library: str, array: Any) -> Array:
    """Return an array of a library, its dtype kept."""
    return torch.from_numpy(np.array(array)) if library == "torch" else np.array(array)


def back(array: Array) -> Any:
    """Return an array of either library as numpy, its dtype kept."""
    return array if isinstance(array, np.ndarray) else np.asarray(array)


def product(library: str, left: Any, right: Any) -> Product:
    return Product(to(library, left), to(library, right))


def dense(result: Result, field: Field) -> Doubles:
    """Return what an operator makes of a field, as float64."""
    return np.asarray(back(computed(result, field)), np.float64)


def field(library: str, operands: Sequence[Any], **more: Any) -> Tensors:
    return Tensors([to(library, operand) for operand in operands], **more)


def factored_field(library: str, pairs: Sequence[tuple[Any, Any]], **more: Any) -> Tensors:
    """Return a field of products, stored as such."""
    factors = [product(library, left, right) for left, right in pairs]
    return Tensors([factor.left @ factor.right for factor in factors], factors=factors, **more)


class Single(Tensors):
    """A field whose whole tensors are float32, as those of 16-bit and float32 files are."""

    def whole(self) -> tuple[Array, ...]:
        return tuple(self._xp.astype(one, self._xp.float32) for one in super().whole())


class NeverDense(Tensors):
    """A field of products that must not be asked for its dense form."""

    def whole(self) -> tuple[Array, ...]:
        raise AssertionError("the dense form was asked for")
