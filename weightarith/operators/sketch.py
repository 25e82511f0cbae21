"""The largest singular triplets of a matrix, from its products with a few random vectors.

Power iterations go on until the captured energy has settled. Halko, Martinsson and Tropp (2011), "Finding
structure with randomness", algorithms 4.4 and 5.1, https://doi.org/10.1137/090771806
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from array_api_compat import array_namespace, device

from weightarith.operators.field import Array
from weightarith.operators.masks import uniform
from weightarith.operators.statistics import Doubles, on_host

MOST_ITERATIONS = 16
"""Power iterations, at most."""

TOLERANCE = 0.005
"""Error beyond that of the best approximation of the rank, relative, at which iterations stop."""


@dataclass(frozen=True, eq=False)
class Triplets:
    """Singular triplets, largest first, and how far from optimal they may be; a batch has its axes first."""

    left: Array  # (..., rows, rank), orthonormal
    values: Array  # (..., rank), float64
    right: Array  # (..., rank, columns)
    excess: Doubles


def gaussian(rows: int, columns: int, key: int, seed: int, like: Array) -> Array:
    """Return normally distributed numbers (rows, columns) in the dtype and on the device of `like`.

    Box and Muller (1958), https://doi.org/10.1214/aoms/1177706645
    """
    xp = array_namespace(like)
    half = -(-rows * columns // 2)
    even = uniform(key, seed, 0, xp.empty((2 * half,), dtype=xp.float64, device=device(like)))
    radius, angle = xp.sqrt(-2.0 * xp.log(1.0 - even[:half])), 2.0 * math.pi * even[half:]
    normal = xp.concat([radius * xp.cos(angle), radius * xp.sin(angle)])[: rows * columns]
    return xp.astype(xp.reshape(normal, (rows, columns)), like.dtype)


def sketched(
    matrix: Array, rank: int, size: int, iterations: int, *, gaussian_key: tuple[int, int], norm: Doubles
) -> Triplets:
    """Return the largest singular triplets in the range of a sketch of `size` vectors.

    Every half of an iteration ends in the small decomposition that the result is made of, so that looking at
    how far it has come costs nothing.
    """
    xp = array_namespace(matrix)
    basis = xp.linalg.qr(matrix @ gaussian(matrix.shape[-1], size, *gaussian_key, matrix))[0]
    energies: list[Doubles] = []
    for done in range(MOST_ITERATIONS + 1):
        across, triangle = xp.linalg.qr(matrix.mT @ basis)  # (..., columns, size), (..., size, size)
        inner, values, outer = xp.linalg.svd(xp.astype(triangle.mT, xp.float64))
        energies.append(_energy(values, rank))
        excess = _excess(energies, norm, rounding(matrix))
        if done == MOST_ITERATIONS or (done >= iterations and (excess <= TOLERANCE).all()):
            break
        basis, triangle = xp.linalg.qr(matrix @ across)
        energies.append(_energy(xp.linalg.svdvals(xp.astype(triangle, xp.float64)), rank))
    left = basis @ xp.astype(inner[..., :, :rank], matrix.dtype)
    right = xp.astype(outer[..., :rank, :], matrix.dtype) @ across.mT
    return Triplets(left, values[..., :rank], right, excess)


def _energy(values: Array, rank: int) -> Doubles:
    xp = array_namespace(values)
    return on_host(xp.asarray(xp.vecdot(values[..., :rank], values[..., :rank])))


def _excess(energies: list[Doubles], norm: Doubles, noise: float) -> Doubles:
    """Estimate how far the error is above the smallest possible.

    Captured energy grows towards its limit by ever smaller steps; the steps to come are taken as a geometric
    series that goes on as the last two did, and doubled, since in a slow tail the series slows down. A step
    lost in rounding means there are none.
    """
    import numpy as np

    if len(energies) < 3:
        return np.full_like(norm, np.inf)
    before, last = energies[-2] - energies[-3], energies[-1] - energies[-2]
    ratio = np.clip(last / np.maximum(before, 1e-300), 0.0, 0.98)
    to_come = np.where(last > noise * norm**2, 2.0 * last * ratio / (1.0 - ratio), 0.0)
    lost = np.maximum(norm**2 - energies[-1], noise * norm**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.sqrt(lost / np.maximum(lost - to_come, 0.0)) - 1.0
    return np.where(to_come > 0, found, 0.0)


def rounding(matrix: Array) -> float:
    """Return the share of a matrix's energy that may be lost in the rounding of its numbers."""
    xp = array_namespace(matrix)
    return 2.0 * float(xp.finfo(matrix.dtype).eps)
